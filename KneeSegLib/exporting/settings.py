"""Numbers of exporting. "Not measured" says that a number was set by reasoning and not by comparison."""

CONTOUR_LEVEL = 0.55
"""Where a contour lies between the centre of a pixel of the structure (1) and that of one outside (0). At 0.5, readers
that round to whole pixels before they fill (rt-utils) take every other pixel too many; at 0.55, a twentieth of a pixel
further in, all readers that were tried fill exactly the pixels of the label map."""

SAME_VOXEL = 0.02
"""Voxels by which a label map may lie beside the voxels of its source and count as lying on them: positions are written
with few decimals. Not measured."""

STRAIGHT_VOXELS = 0.1
"""Voxels by which the corners of a label map may move where its axes, not quite perpendicular, are made so: directions
are written with few decimals. Not measured."""

OUTSIDE_VOXELS = 1.0
"""Voxels by which a structure may reach beyond the source series before it is taken for that of another scan. Not
measured."""

POSITION_DECIMALS = 4
"""Decimals of coordinates in mm; 16 characters have to hold them, and 0.1 micrometre is less than any scanner knows."""
