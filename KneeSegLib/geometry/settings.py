"""Numbers of grids and resampling. "Not measured" says that a number was set by reasoning."""

LARGEST_COSINE = 1e-3
"""Rows and columns of an image are perpendicular up to this cosine between them: less is rounding. Not measured."""

LARGEST_DRIFT_PIXELS = 0.25
"""Slices lean where the last one lies further sideways of the first one than this: less is rounding. Not measured."""

LARGEST_LEAN_DEGREES = 60.0
"""Slices that lean by more are placed wrong: gantries tilt by 30 degrees. Not measured."""

LARGEST_GROWTH = 8.0
"""By this factor the grid may become larger on which leaning slices are put. That of a whole leg at 30 degrees has some
three times the voxels. Not measured."""

BLOCK_VALUES = 8_000_000
"""Values of the source that are resampled at a time, 32 MB as float32: what bounds the memory."""

SAME_SPACING = 1e-4
"""Spacings whose ratio differs by less than this from one are the same; positions, by as many voxels. Not measured."""
