"""Numbers of reading and writing. "Not measured" says that a number was set by reasoning and not by comparison."""

# Volumes that a pipeline can work on

SMALLEST_EXTENT_MM = 40.0
"""A scan that covers less in any direction shows too little of a joint. Not measured."""

FEWEST_SLICES = 8
"""A scan of fewer slices, rows or columns is no volume to the networks. Not measured."""

LARGEST_PIXEL_MM = 10.0
"""Larger pixels are a spacing in other units than mm. Not measured."""

# Values

LOWEST_HU = -1024
"""Lower values in a CT are no Hounsfield units but padding, what the scanner did not see; they become this one."""

BRIGHT_PADDING_HU = 1500
"""The highest value of a CT is padding where most corners of the image have it and it is no less than this: in corners
lies air, or a table. Not measured."""

LOWEST_PADDING_HU = -4096
"""No padding of a CT is lower: scanners write -2000 to -3024. Not measured."""

AIR_BELOW_HU = -500
"""An image that holds values this low and bone is taken for a CT: air has -1000. Not measured."""

AIR_CENTRE_BELOW_HU = -800
"""Air gathers at -1000 HU: of the values that are as dark as air, most are this low. Not measured."""

AIR_CENTRE_HU = (-1100.0, -900.0)
"""Where the median of dark values lies in a CT that holds Hounsfield units: air has -1000, fields of view are padded
with -1024. Not measured."""

TISSUE_CENTRE_HU = (-250.0, 400.0)
"""Where the median of all other values lies in a CT of a leg: between fat and cancellous bone. Not measured."""

AIR_FRACTION = 0.75
"""How many of them at least: in a knee MR resampled with splines 1 to 17 % were, in a synthetic one with sharp edges
60 %."""

BONE_ABOVE_HU = 200
"""An image without such values holds no bone, which has 800 and more where it is cortical. Not measured."""

FAT_BELOW_HU = -50
"""A body part without such values holds no fat, which has -100: it was windowed or normalised. Not measured."""

WHOLE_NUMBER = 0.01
"""A value of a label map this near to a whole number is that number: labels scaled to 16 bits and back miss it by up to
half of their range / 65535, to 8 bits by half of their range / 255. Not measured."""

# DICOM slices that belong together

SAME_POSITION_MM = 0.01
"""Slices nearer than this along their normal lie at one position: what is nearer is rounding. Not measured."""

SAME_DIRECTION = 2e-3
"""Directions whose cosines differ by less than this are parallel: what is less is rounding. Not measured."""

SAME_SPACING = 1e-3
"""Pixel spacings that differ by less than this fraction are the same. Not measured."""

EVEN_FRACTION = 0.05
"""A distance between slices may differ from the median one by this fraction of it. Not measured."""

EVEN_MM = 0.02
"""... or by this, where positions were rounded."""

MOST_DECIMALS = 4
"""Positions that are written with more decimals count as exact."""

ROUNDED_FRACTION = 0.25
"""Positions rounded more coarsely than this fraction of the distance do not tell a missing slice. Not measured."""

BLOCK_GAP_MM = 20.0
"""A way without slices that is longer parts a series into blocks, as planning scans have them of hip, knee and ankle; a
shorter one is slices that are missing. Not measured."""

BLOCK_GAPS = 3.0
"""... if it is also this many times the usual distance. Not measured."""

SIDEWAYS_PIXELS = 0.5
"""A slice may miss the line on which the others lie by this much: more would be seen. Not measured."""

SMALLEST_TILT_DEGREES = 1.0
"""A gantry that a header says is tilted by less stands upright: scanners measure some tenths. Not measured."""

DICOM_BYTES_PER_VOXEL = 6
"""Memory that reading takes: a voxel as stored, in 16 bits, and as float32."""

PICTURE_BYTES_PER_VOXEL = 8
"""... and of slices that are pictures: as decoded, which may be colours, and as one volume."""

FRACTION_INSIDE = 0.5
"""A voxel of a fractional segmentation is inside from this fraction or probability on."""

FRACTION_BYTES = 10
"""Memory for each voxel of a segment that is stored as fractions; 9.2 were taken by one and by two segments."""

SAME_GRID_MM = 1e-3
"""Origins and voxel sizes of masks of one image differ by less: what headers round. Not measured."""

LABEL_WORKING_BYTES = 18
"""Memory for each value of a label map beside the value itself: as whole number, its distance from one, and the result
in 8 bits; labels of floating point take the most. Not measured."""

# Messages

MOST_SERIES_NAMED = 20
"""Series that one sentence lists."""

MOST_PLACES_NAMED = 3
"""Positions of slices that one sentence lists."""

MOST_VALUES_NAMED = 5
"""Label values that one sentence lists."""

# Files

GZIP_LEVEL = 2
"""Compression of segmentation files: as quick as level 1 on label images and a third smaller; level 6 takes four times
as long."""

LARGEST_SERIES_NUMBER = 99_999
"""DICOM series are called by their own numbers up to this, the largest that scanners give to what they reconstruct; a
larger one may be a patient's or an order's number, and series are counted from 1 instead. Not measured."""

MOST_UNPACKED_BYTES = 16 * 2**30
"""A zipped study that unpacks to more is none: a whole body at 0.5 mm has 4 GB. Not measured."""

MOST_UNPACKED_FILES = 50_000
"""... and likewise of more files."""

# Writing

PROBE_BYTES = 2**24
"""What is written on after a file that was not written whole, to learn why: as much as a large surface, which some
writers have taken away again. Not measured."""

# Runs that write the same result

LOCK_ATTEMPTS = 1000
"""How often a lock is tried again that another run has just given back; each attempt means that one run has ended, so
that this number is reached by nothing but an endless loop. Not measured."""
