"""Every number of the report that was chosen: what is shown, how large, in which light."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class JointView:
    """How a joint is found and shown.

    Attributes:
        meeting: pairs of bones whose meeting marks it, the most telling pair first.
        width_mm: of its pictures.
        reach_mm: how far from the meeting point a slice may lie to be chosen.
    """

    meeting: tuple[tuple[str, str], ...]
    width_mm: float
    reach_mm: float


JOINT_VIEWS = {
    "hip": JointView((("femur", "hip_bone"),), 170.0, 10.0),
    "knee": JointView((("femur", "tibia"), ("femur", "patella")), 150.0, 40.0),
    "ankle": JointView((("tibia", "talus"), ("talus", "calcaneus")), 140.0, 30.0),
}
"""By eye: the joint of an adult fills its picture. A hip is judged through the femoral head, hence its short reach; the
knee's reaches the patella, which lies above the joint line."""

LONE_BONE_WIDTH_MM = 170.0
"""Width of the pictures of a bone that belongs to no joint in view: that of a hip, the widest joint."""

SHAFT_BONES = ("femur", "tibia")
"""Bones whose shaft is shown; the fibula is seen beside the tibia."""

SHAFT_SHOWN_FROM_MM = 220.0
"""A long bone that is in view over less than this has no picture of its shaft: those of its joints show most of it."""

SHAFT_WIDTH_MM = 120.0
"""Width of the picture of a shaft: the bone with muscle around it."""

FARTHEST_MEETING_MM = 25.0
"""Bones farther apart than this do not meet in a joint; what lies between two that do is cartilage and joint space."""

CONTACT_DEPTH_MM = 6.0
"""What of a bone is at most so much farther from the other one than its nearest point faces it: both condyles do,
although one is nearer."""

SEARCH_SPACING_MM = 1.6
"""Joints and best slices are looked for at this spacing, a little coarser than most scans, so that it takes no time."""

SEARCH_FRACTION = 0.4
"""Fraction of a picture's width on either side of the joint in which its best slice is looked for."""

BONE_WINDOW_HU = (-350.0, 1250.0)
"""Values shown as black and as white in CT: the usual window for bone, level 450 and width 1600."""

MR_PERCENTILES = (1.0, 99.7)
"""Percentiles of an MR's values shown as black and as white: the highest values are vessels and fat near the coil."""

MR_SAMPLE_STEPS = (4, 8, 8)
"""Every so many slices, rows and columns go into those percentiles: of 30 million voxels more than 100 000."""

SLICE_TEXT_FRACTION = 0.036
"""Height of the letters on a slice picture, as a fraction of its width: legible at a third of a page's width."""

BAR_LENGTHS_MM = (5, 10, 20, 50, 100, 200)
"""Lengths of scale bars."""

BAR_FRACTION = 1.0 / 6.0
"""A scale bar is as near to this fraction of a picture as the round lengths allow."""

TILT_TOLD_FROM_DEGREES = 5.0
"""A scan turned against the body by more is said to be; less is how patients lie."""

LARGEST_SOLIDS_PIXELS = (720, 1440)
"""Rows and columns of all 3D pictures side by side: sharp at the width of a page."""

SOLID_MARGIN_FRACTION = 0.06
"""Empty border of a 3D picture, as a fraction of its height, so that letters stand beside bones and not on them."""

SOLID_TEXT_FRACTION = 0.026
"""Height of the letters on a 3D picture, as a fraction of its height or two thirds of the width of all together."""

SUPERSAMPLING = 2
"""3D pictures are drawn at so many times their size along either edge: edges become smooth."""

CANDIDATES_AT_ONCE = 1 << 21
"""So many pixels are tested against their triangles at a time: ten arrays of 16 MB."""

LIGHTS = (
    ((-0.45, 0.65, 0.62), 0.88),
    ((0.70, 0.05, 0.70), 0.26),
)
"""Direction in the viewer's frame (right, up, towards the viewer) and strength: a key light from the upper left and a
weak one from the right. Chosen by eye on legs, so that condyles stand out and no side is black."""

AMBIENT_LIGHT = 0.20
"""Light from everywhere, half as much again from above and half as much less from below."""

WRAP = 0.2
"""How far a light reaches around the edge of what it lights: bone looks chalky and not like metal."""

SHINE = (0.10, 28)
"""Strength and sharpness of the highlight: a trace, to show curvature."""

GAMMA = 2.2
"""Of sRGB, nearly: light is the channel's value to this power."""

CREVICE_RADII = (0.011, 0.035)
"""Neighbourhoods in which a point that lies deeper than its surroundings is darkened, as fractions of the picture's
height: the gap of a joint and the hollow of a knee."""

CREVICE_SHADOW = (0.55, 2.5)
"""How much of the light is lost at most, and at which depth in units of the neighbourhood's radius."""

CARTILAGE_SCALE_MM = 4.0
"""End of the colour scale for cartilage thickness: most of a healthy knee is thinner."""

CARTILAGE_COLORS = ((94, 42, 132), (58, 96, 158), (38, 147, 143), (104, 191, 96), (246, 225, 62))
"""From no thickness to the end of the scale, 8-bit sRGB: thicker is always lighter, also for the colour-blind."""

BARE_BONE_COLOR = (214, 208, 198)
"""Of bone without cartilage, 8-bit sRGB: no colour of the scale."""

CARTILAGE_AROUND_MM = 6.0
"""So much of the bone around its cartilage is shown: the joint surface's edge and no shaft."""

CARTILAGE_PIXELS = 420
"""Of the longer edge of a joint surface's picture."""

CARTILAGE_FRAME = 1.16
"""Size of a joint surface's picture beside what is shown on it, so that letters have room."""

CARTILAGE_TEXT_FRACTION = 0.045
"""Height of the letters on a joint surface's picture, as a fraction of its longer edge."""

ADDED_COLOR = (40, 190, 75)
MISSED_COLOR = (225, 45, 45)
CONFUSED_COLOR = (245, 175, 30)
"""8-bit sRGB of voxels that only the prediction has (false positives), that only the reference has (false negatives),
and that each gives to another structure."""

ERROR_OPACITY = 0.7
"""Of these colours over the image: the edge below them stays visible."""

CORRECT_GRAY = 110
"""Of voxels that agree, where there is no image to draw on."""

REFERENCE_OUTLINE_COLOR = (255, 255, 255)
"""Of the reference's outline on error maps, 8-bit sRGB: no colour of an error or of the image."""

DISTANCE_SCALE_MM = 2.0
"""End of the colour scale of error maps on surfaces, either way: several times what good results are off, so that a
lost osteophyte stands out, and a voxel can still be told from none."""

DISTANCE_COLORS = ((33, 80, 175), (120, 165, 225), (232, 230, 226), (240, 150, 95), (180, 30, 35))
"""From too small by the scale's end over no error to too large by it, 8-bit sRGB: blue and orange are told apart by the
colour-blind."""

ABSENT_COLOR = (72, 70, 76)
"""Of a structure that the prediction does not have at all, 8-bit sRGB: no colour of the scale."""

ERROR_SOLIDS_PIXELS = (420, 1260)
"""Rows and columns of the error maps on the surfaces of one prediction: several predictions stand one above another."""

NEAR_SURFACE_VOXELS = 2.0
"""Up to so many voxels from the other surface's nearest point the distance is that to its plane; the points of a
surface lie a voxel apart."""
