"""Files in and out: DICOM, image files, segmentation files, resources. Knows no networks."""
