"""Numbers about what was segmented: cartilage thickness, and how well a segmentation agrees with a reference."""
