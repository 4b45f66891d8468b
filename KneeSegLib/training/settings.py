"""Numbers chosen for training and its sample sources; a recipe's own numbers are its entries.

Those for which no measurement is named were set by judgement and never tuned.
"""

from __future__ import annotations

CHECKPOINT_SECONDS = 60.0
"""A checkpoint is written so often: at most a minute of work is lost."""
REPORT_STEPS = 50
"""Steps between two lines of the log, which hold the mean loss of these steps."""
VALIDATION_RENDERS = 10
"""Images of validation subjects that figures are measured on while training; always the same ones."""
VALIDATION_SEED = 1000
"""Seed of the first of these images."""

CURVE_COLORS = ("#1f77b4", "#d62728", "#2ca02c", "#9467bd", "#ff7f0e", "#8c564b", "#17becf", "#7f7f7f", "#bcbd22")
"""Colours of learning curves, one after the other: nine that differ also in lightness."""
CURVE_TICKS = 5
"""Lines of the grid of a learning curve."""

GRADIENT_NORM = 5.0
"""Gradients are scaled down to this norm: one odd batch does not undo many steps."""
WARM_UP = 0.03
"""Fraction of the steps over which the learning rate rises; batch normalisation has no statistics at first."""
FINAL_LEARNING_RATE = 0.01
"""Fraction of the learning rate that is left at the last step."""

TEMPERATURE_BOUNDS = (0.25, 4.0)
"""Temperatures lie between these; those of the networks that ship lie between 1.08 and 1.28."""
CALIBRATION_VOXELS = 60_000
"""Voxels of each rendered image that a temperature is fitted on, drawn at random: neighbours tell the same."""
CALIBRATED_KINDS = ("slices", "mr-slices", "mr-patches")
"""The kinds of network whose probabilities are used as such."""

LOCALISER_WIDE_MM = 300.0
"""A localiser's window that is wider shows both legs, and is placed in whole bodies only."""
CENTRE_JITTER = (-0.3, 0.3)
"""Bounds of how far from its middle a window shows the place that it is centred at, as a fraction of its edges."""
SHAFT_END_FRACTIONS = (0.15, 0.85)
"""Bounds of the height in a long bone at which a window on its shaft is centred."""
LOCALISER_CUT_PROBABILITY = 0.5
"""Of a localiser's window in which the field of view ends."""
LOCALISER_FAR_WEIGHT = 0.1
"""Weight of a voxel that is far from any bone: most are, and what is near one decides."""

VOLUME_AROUND_MM = 28.0
"""A CT that femora are cropped from reaches so far beyond the femur on every side."""
VOLUME_SHORTEST_MM = 70.0
"""A field of view that ends in the femur shows at least so much of it: a hip or a knee."""

CUT_AXIS_PROBABILITY = 0.4
"""Of a field of view that ends along an axis, where one ends at all."""
CUT_FRACTION = 0.4
"""Most that is cut off along an axis, as a fraction of the window."""

NAMING_OFFSET_MM = (0.0, 0.8)
"""Bounds of the standard deviation of the error of the bone mask's surface, as slice networks make it."""
NAMING_OFFSET_SCALE_MM = 8.0
"""Extent of these errors along the surface."""
NAMING_OTHERS_KEPT = (-0.5, 3.0)
"""Bounds of a threshold, in standard deviations of a smooth noise: slice networks leave some of the other bones out."""
NAMING_OTHERS_SCALE_MM = 25.0
"""Extent of the pieces of other bones that are left out."""
NAMING_PIECE_PROBABILITY = 0.3
"""Of a mask in which pieces of bone are missing, and of one in which pieces are too many."""
NAMING_MISSING = (1.8, 2.8)
"""Bounds of the deviations of a smooth noise above which bone is missing: 0.3 to 4 % of it."""
NAMING_MISSING_SCALE_MM = 14.0
"""Extent of the missing pieces."""
NAMING_INVENTED = 2.4
"""Deviations of a smooth noise above which soft tissue is taken for bone: about 1 % of it."""
NAMING_INVENTED_SCALE_MM = 12.0
"""Extent of these pieces."""
NAMING_INVENTED_AWAY_MM = 3.0
"""They lie at least so far from bone, or they would belong to it."""
NAMING_CUT_PROBABILITY = 0.4
"""Of a mask whose field of view ends."""

BOX_PATCHES = 2
"""Edge of a rendered box, in patches (in MR within slices): many patches see different things, and most of the box is
in one."""
PATCH_JITTER_VOXELS = 5
"""How far a CT patch's centre may lie from the surface: inference places it by a surface that is wrong."""
BONES_APART_MM = 2.0
"""In another bone, a bone is taken to be at least this far away: distances are known to the nearest one only."""
LEAK_SCALE_MM = 12.0
"""Extent of the pieces of a neighbouring bone that a CT prior labels as its own."""
LEAK_EDGE = (-0.3, 0.7)
"""Deviations of a smooth noise between which such a piece begins: about 40 % of the neighbour."""
LEAK_PROBABILITIES = (0.3, 1.0)
"""Bounds of the probability within it."""
COMPONENT_EDGE = (1.3, 2.0)
"""Deviations of a smooth noise between which a missing or an extra piece of a CT prior begins: about 5 % of a patch."""
COMPONENT_PROBABILITIES = (0.4, 1.0)
"""Bounds of the probability that such a piece adds or takes away."""

KNEE_HALF_WIDTH_MM = 58.0
"""Slabs of knee MR lie anywhere between this far to the right and to the left of the middle: knees end there."""
KNEE_HALF_EXTENT_MM = (36.0, 36.0, 46.0)
"""Boxes for the binary network are centred within so much of the joint's middle to either side, front and back, up and
down: they reach to the ends of the templates, and few of them show nothing but air."""
BOX_GROWTH = 1.5
"""Edge of a box rendered for the binary network, in patches: neighbours overlap as the paper's do."""
PATCH_CARTILAGE_FRACTION = 0.1
"""Patches of knee MR are centred on voxels that cartilage or menisci fill to more than this."""

SLICE_BLUR_SIGMA = 0.3
"""Standard deviation of the blur across slices, as a fraction of their distance: that of a box of the same width."""
SHAPE_SPARE_VOXELS = 12
"""Rendered around a shape network's crop: where it has to hang is known only after the warp."""
VIEW_MM = (20.0, 400.0)
"""Bounds of a field of view of a knee that a recipe may ask for. Not measured: no scan is smaller or larger."""
SHAPE_VIEW_FROM = (0.5, 0.75, 0.75)
"""Least fraction of a shape network's crop that a field of view shows, along z, y and x: shafts are cut most."""

MISLABELLED_PIECES = 2
"""Pairs of classes of an MR prior of which pieces are mislabelled, in a box that has any."""
MISLABELLED_EDGE = (1.0, 1.7)
"""Deviations of a smooth noise between which a mislabelled piece begins: about 9 % of a box."""
MISLABELLED_FRACTIONS = (0.3, 1.0)
"""Bounds of the fraction of the probability that goes to the wrong class."""

MOST_RECIPE_BYTES = 2**20
"""Of a recipe's file. Those that ship have one or two kB."""
