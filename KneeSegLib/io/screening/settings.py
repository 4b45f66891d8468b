"""Numbers of screening. "Not measured" says that a number was set by reasoning and not by comparison."""

SMALLEST_SPACING_MM = 1e-3
"""Voxels closer than this are no image of a body part: those of micro-CT are ten times as far apart. Not measured."""

LARGEST_SPACING_MM = 1e3
"""Voxels farther apart than this are no image of a body. Not measured."""

FARTHEST_MM = 1e6
"""An image whose origin is farther away than a kilometre lies nowhere near a patient. Not measured."""

SAME_SPACING = 1e-3
"""By this fraction the spacing that a library found may differ from that of the header: what is less is rounding."""

SAME_PLACING_VOXELS = 0.5
"""Placings of a NIfTI by which no corner of the image lies farther apart than this part of the smallest distance of
voxels are the same: they are written in 32 bits, one of them as a quaternion. Not measured."""

SAME_SIZE = 0.01
"""Sizes of voxels that a NIfTI says twice and that differ by less than this fraction were rounded: they are read with a
warning, others are refused. Not measured."""

SMALLEST_VOLUME = 0.3
"""The determinant of an image's directions is 1 where they are perpendicular. Slices that lean (tilted gantry) have
less, 0.87 at 30 degrees; where it is less than this nothing that scans has made the image. Not measured."""

MOST_AXES = 7
"""Of an image, as many as NIfTI has; NRRD and MetaImage would take more, which no image of a patient has."""

LARGEST_AXIS = 2**31 - 1
"""Voxels along one axis: what readers count in 32 bits."""

LONGEST_LINE = 4096
"""Characters of a line in a header. MetaImage's reader keeps lines in buffers of fixed length. Segmentations of 3D
Slicer may have longer ones, in NRRD, where the length is :data:`LONGEST_NRRD_LINE`."""

LONGEST_NRRD_LINE = 2**16
"""Characters of a line in the header of an NRRD."""

LONGEST_KEY = 1024
"""Characters of the name of a key in an NRRD; those of 3D Slicer have some fifty."""

MOST_HEADER_BYTES = 2**20
"""Of a header as text: those of segmentations with hundreds of segments have some 100 kB."""

DEFLATE_RATIO = 1032
"""The most that a deflate stream (gzip, zlib) can shrink anything: 258 bytes take two bits."""

BLOCK_BYTES = 2**20
"""A compressed stream is unpacked in pieces of this size where it has to be."""

SLACK_BYTES = 2**20
"""A compressed stream may hold so much more than its image: comments after it. Not measured."""

CHILD_SECONDS = 300
"""A file that another process reads and has not read after this time is given up. Not measured."""

CHILD_SECONDS_PER_SLICE = 5
"""... and so much more for each compressed slice, of which a large one takes a fifth of a second. Not measured."""

CHILD_BYTES = 2**29
"""Memory that another process may take beside that of its interpreter and of the image that it reads: libraries of
decoders keep a copy or two of a slice. Not measured."""

DECODER_BYTES = 32
"""... and for each pixel of the largest file: as decoded, rescaled to 64 bits, and as they leave, twice each."""

LARGEST_INFLATED = 2**28
"""Bytes of a DICOM file that is deflated as a whole: slices are, which have half a megabyte each. Not measured."""

LARGEST_INFLATED_SEGMENTATION = 2**29
"""... and of a segmentation: 14 bones in 1000 slices of 512 x 512, a bit each, have 460 MB. Not measured."""

PICTURE_RATIO = 4096
"""A large compressed slice has no more pixels for each byte of its file. Not measured."""

LARGE_SLICE_PIXELS = 2**24
"""... where it has more pixels than this, 4096 x 4096: smaller ones may be blank and take nearly no bytes."""
