"""Numbers of synthetic CT: first what a recipe may change, then what is the same for all recipes.

Pairs of a recipe's entries are bounds between which a value is drawn evenly for each image. Not measured: every number
for which no source or reason is named was set by judgement and not compared with other values.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from KneeSegLib.training.synthesis.anatomy_file import Group
from KneeSegLib.training.synthesis.osteoarthritis.settings import Osteoarthritis

Bounds = tuple[float, float]


@dataclass(frozen=True)
class Warp:
    """How far an image's anatomy may differ from the subject as prepared.

    Attributes:
        tilt_degrees: rotation about the two horizontal axes, one value each.
        turn_degrees: rotation about the vertical.
        scale: factor of the size as a whole.
        stretch: further factor along each axis.
        bend_mm: amplitude of a smooth displacement that varies over :data:`BEND_SCALE_MM`.
        ripple_mm: the same over :data:`RIPPLE_SCALE_MM`.
    """

    tilt_degrees: Bounds = (-12.0, 12.0)
    turn_degrees: Bounds = (-25.0, 25.0)
    scale: Bounds = (0.9, 1.12)
    stretch: Bounds = (0.94, 1.06)
    bend_mm: Bounds = (0.0, 3.0)
    ripple_mm: Bounds = (0.0, 0.5)


@dataclass(frozen=True)
class BoneTissue:
    """Bone before the scanner's blur, so that thin cortices come out lower, as they do in a scanner.

    Attributes:
        cortex_hu: HU of compact bone.
        cortex_factor: factor of the cortical thickness that was prepared.
        trabecular_hu: mean HU of spongy bone.
        marrow_hu: HU of the canal of a shaft.
        texture_hu: standard deviation of the trabecular texture, which varies over ``texture_mm``.
        patchiness_hu: standard deviation of the density of spongy bone over a centimetre.
        cyst_probability, scar_probability: of cysts, of the scar of a growth plate.
        mineral_left: fraction of what bone has above soft tissue that severe osteoporosis leaves.
        osteoporosis_probability: of severe osteoporosis.
    """

    cortex_hu: Bounds = (950.0, 2000.0)
    cortex_factor: Bounds = (0.55, 1.5)
    trabecular_hu: Bounds = (20.0, 480.0)
    marrow_hu: Bounds = (-110.0, 40.0)
    texture_hu: Bounds = (20.0, 170.0)
    texture_mm: Bounds = (0.8, 2.2)
    patchiness_hu: Bounds = (10.0, 110.0)
    cyst_probability: float = 0.12
    scar_probability: float = 0.2
    mineral_left: Bounds = (0.1, 0.6)
    osteoporosis_probability: float = 0.0


@dataclass(frozen=True)
class SoftTissue:
    """What surrounds bone.

    Attributes:
        depth_mm: from bone to skin at the knee; other joints by :data:`SOFT_TISSUE_FACTORS`.
        fat_mm: thickness of the fat under the skin at the knee, at most 0.7 of the depth.
        muscle_hu, fat_hu, skin_hu: mean HU of each.
        vessel_hu: HU of vessels; vessel_probability: of vessels that differ from muscle.
        calcification_probability: of specks of calcium in soft tissue.
        angiography_probability: of arteries along the bones that are full of contrast medium.
        contrast_hu, artery_mm: HU and radius of such an artery. artery_depth_mm: its distance from bone.
    """

    depth_mm: Bounds = (6.0, 70.0)
    fat_mm: Bounds = (1.0, 28.0)
    muscle_hu: Bounds = (20.0, 85.0)
    fat_hu: Bounds = (-130.0, -70.0)
    skin_hu: Bounds = (-20.0, 90.0)
    vessel_hu: Bounds = (30.0, 450.0)
    vessel_probability: float = 0.35
    calcification_probability: float = 0.15
    angiography_probability: float = 0.0
    contrast_hu: Bounds = (180.0, 600.0)
    artery_mm: Bounds = (2.0, 5.0)
    artery_depth_mm: Bounds = (4.0, 22.0)


@dataclass(frozen=True)
class Scanner:
    """How scanners differ; probabilities are those that an ingredient takes part.

    Attributes:
        blur_mm, slice_blur_mm: standard deviation of the blur within slices and across them.
        overshoot: factor of the overshoot at edges that sharp kernels make.
        noise_hu: standard deviation; noise_grain: width of the noise's own blur, in voxels.
        shading_hu: standard deviation of slow shading.
        cupping_hu: how much darker the middle of a slice is.
        calibration_scale, calibration_offset_hu: factor about air, and offset, of values that are not quite HU.
        metal_probability: of a rod of metal with streaks that are drawn.
        metal_in_bone: fraction of those that are a nail or screw within a bone, not anywhere in the image.
        implant_probability: of nails and screws of any direction, with streaks made of the rays they meet.
        low_ceiling_probability: of values cut off at one of :data:`LOW_CEILINGS_HU`.
        wrap_probability: of values that start again at -1024 HU above 3071 HU.
        coarse_mm: size of coarse voxels, drawn by itself for slices and for pixels.
        round_field_probability: of padding outside a circle of reconstruction. table_probability: of a table.
    """

    blur_mm: Bounds = (0.2, 0.75)
    slice_blur_mm: Bounds = (0.2, 1.3)
    overshoot: Bounds = (0.0, 0.9)
    overshoot_probability: float = 0.4
    noise_hu: Bounds = (4.0, 75.0)
    noise_grain: Bounds = (0.0, 0.9)
    shading_hu: Bounds = (0.0, 55.0)
    cupping_hu: Bounds = (20.0, 180.0)
    cupping_probability: float = 0.15
    calibration_scale: Bounds = (0.82, 1.12)
    calibration_offset_hu: Bounds = (-70.0, 50.0)
    calibration_probability: float = 0.5
    metal_probability: float = 0.07
    metal_in_bone: float = 0.0
    implant_probability: float = 0.0
    low_ceiling_probability: float = 0.15
    wrap_probability: float = 0.03
    coarse_mm: Bounds = (1.0, 3.2)
    coarse_probability: float = 0.0
    round_field_probability: float = 0.12
    table_probability: float = 0.35


@dataclass(frozen=True)
class CtSynthesis:
    """Everything a recipe may change about synthetic CT; the recipes that ship narrow some of these defaults.

    Attributes:
        warp, bone, soft, scanner: the ingredients.
        other_leg_probability: of the other leg beside a knee or an ankle.
        ossicle_probability: of small round bones near a joint. osteophyte_probability: of outgrowths of bone.
        torso_probability, arms_probability: of spine and ribs, and of arms, where the whole body is shown.
        osteoarthritis: severe disease of knees, in files of one knee.
    """

    warp: Warp = field(default_factory=Warp)
    bone: BoneTissue = field(default_factory=BoneTissue)
    soft: SoftTissue = field(default_factory=SoftTissue)
    scanner: Scanner = field(default_factory=Scanner)
    other_leg_probability: float = 0.25
    ossicle_probability: float = 0.2
    osteophyte_probability: float = 0.25
    torso_probability: float = 0.5
    arms_probability: float = 0.35
    osteoarthritis: Osteoarthritis = field(default_factory=Osteoarthritis)


# Rendering.

BEND_SCALE_MM = 60.0
"""Distance over which a warp's bend varies."""
RIPPLE_SCALE_MM = 18.0
"""Distance over which a warp's ripple varies."""
LEAST_AMPLITUDE_MM = 0.02
"""Displacements of a smaller amplitude are left out."""

SOFT_TISSUE_FACTORS = {"ankle": 0.45, "knee": 1.0, "hip": 1.5, "body": 1.0}
"""Factor of the depth of soft tissue and of fat at each joint: feet are lean and hips are not."""
SIDE_SLACK_MM = 10.0
"""So far a rendered grid may reach out of the prepared box at its sides; its slices never do."""

BRIM_MM = 2.0
"""Osteophytes start from the surface: they fill no space further from it than their height and this."""
DEMINERALISED_HU = 40.0
"""Of bone that has lost all its mineral: as dense as muscle."""

MOST_ARTERIES = 3
"""Of a leg in angiography: an artery, a vein that fills late, a branch."""
ARTERY_SWAY = 0.35
"""Standard deviation of an artery's distance from bone along its course, as a fraction of its mean."""
ARTERY_SWAY_MM = 60.0
"""Over this length of leg that distance varies."""

LOW_CEILINGS_HU = (1023.0, 1500.0, 2000.0)
"""Where some scanners and exports cut bone off."""

BONE_HU = 250.0
"""What is denser than this before the scanner's part is taken for bone when metal is placed."""
METAL_HU = (2600.0, 6000.0)
"""Bounds of the HU of metal; the highest value of a scan is 3071 HU."""
WIDEST_BONE_MM = 40.0
"""Implants pass through the mean of the bone that is within a radius of up to this around a random voxel of bone."""
ALONG_THE_LIMB = 0.9
"""Least cosine between an implant and the limb for it to be a nail, which is longer than a screw."""
ANGLES = 48
"""Projections from which streaks are made."""
STREAK_STRIDE = 2
"""Streaks are worked out on every second pixel: they are smooth beside noise."""

# Preparation of anatomy.

MOST_DEVIATIONS = 2.0
"""Coefficients of the shape model are cut at so many standard deviations: its shapes are not trusted beyond."""
SIZE_FACTORS = (0.93, 1.07)
"""Bounds of the factor by which a subject of the shape model is larger than its coefficients make it."""
ANKLE_SIZE_FACTORS = (0.95, 1.06)
"""The same for an ankle with its foot, most of which are scanned."""
SIDES_DEVIATION = 0.25
"""Standard deviation of the difference between the coefficients of a subject's two legs."""
LEAST_ILIAC_WING_MM = 2.0
"""Modes of the shape model drive the two faces of the iliac wing through each other; they are kept so far apart."""

CORTEX_PROFILES_MM: Mapping[str, tuple[Sequence[float], Sequence[float], Sequence[float], Sequence[float]]] = {
    "femur": (
        (0, 25, 40, 55, 80, 130),
        (0.6, 0.7, 1.3, 2.0, 4.0, 6.5),
        (0, 28, 50, 75, 110, 160),
        (0.5, 0.6, 1.2, 2.4, 4.5, 6.5),
    ),
    "tibia": (
        (0, 15, 35, 60, 100, 150),
        (0.6, 0.8, 1.2, 2.2, 4.2, 5.5),
        (0, 20, 40, 70, 110, 150),
        (0.5, 0.9, 1.6, 3.0, 4.5, 5.5),
    ),
    "fibula": ((0, 15, 40, 80), (0.5, 0.7, 1.6, 2.5), (0, 20, 45, 80), (0.6, 0.8, 1.7, 2.5)),
}
"""Distance from the proximal end, cortical thickness there; distance from the distal end, thickness there. Round
figures for adults: thin shells at the joints, 1 to 2 mm at the femoral neck, thick walls in the shafts."""
FLAT_CORTEX_MM = {"hip_bone": 1.1, "patella": 0.8, "talus": 0.6, "calcaneus": 0.7, "other": 0.7}
"""Cortical thickness of bones that are not long."""
THINNEST_CORTEX_MM = 0.35
"""No cortex is thinner."""
CORTEX_FACTORS = (0.6, 1.25)
"""Bounds of the factor by which a subject's cortices differ from those figures."""

CLOSED_JOINT_PROBABILITY = 0.15
"""Of a subject whose bones come as near to each other as :data:`CLOSED_GAP_MM`, as where disease closes a joint."""
CLOSED_GAP_MM = 0.3
"""Least distance between the bones of such a subject."""
LEAST_GAP_MM = 0.5
"""Lower bound of the least distance between the bones of all others; the upper one depends on the joint."""

REACH_MM = 13.0
"""Signed distances are right up to here and clipped beyond: a little more than what a prepared file holds."""
EXACT_MM = 4.0
"""Up to here distances are those to the triangle of the nearest surface point; beyond, feet of nearer voxels serve."""
FOOT_STEPS = (2, 1, 1)
"""Steps in voxels over which feet are handed on, one after the other."""
DISC_VOXELS = 1.5
"""Radius of the disc of surface that a foot stands for: feet lie about a voxel apart."""
POINT_SPACING_MM = 0.8
"""Distance of the points that stand for a surface when the nearest triangle is looked up."""

FIT_STEPS = 30
"""Gauss-Newton steps of every registration."""
FIT_POINTS = 700
"""Points of each bone to which the shape model is fitted."""
FIT_MODES = 12
"""First modes of the shape model that a fit may move; the others stay as drawn."""
FIT_DEVIATION_MM = 0.5
"""How far from a scan a fitted surface is expected to stay; with it the prior is weighed against the points."""
INDEPENDENT_POINTS = 60
"""So many of a bone's points count as independent: neighbours are redundant."""

PREPARED_SPACING_MM = {"knee": 1.0, "ankle": 1.0, "hip": 1.25, "body": 3.0}
"""Voxels of prepared anatomy."""
SUBJECTS_OF_THE_MODEL: Mapping[str, Mapping[Group, int]] = {
    "knee": {"train": 32, "validation": 4, "test": 4},
    "body": {"train": 16, "validation": 2, "test": 3},
    "hip": {"train": 14, "validation": 2},
}
"""How many subjects of a joint are drawn from the shape model, by group; scanned ones come on top."""
KNEE_HALF_HEIGHT_MM = 150.0
"""A prepared knee reaches so far up and down from its joint line."""
KNEE_HALF_WIDTH_MM = 76.0
"""And so far to either side, forward and backward."""
KNEE_BENT_MM = 12.0
"""A bent knee reaches so much further forward and backward, in full from :data:`KNEE_BENT_DEGREES`."""
KNEE_BENT_DEGREES = 20
"""Flexion from which a knee takes all of that room."""
ANKLE_HEIGHT_MM = 150.0
"""A prepared ankle reaches so far up from the joint."""
ANKLE_LENGTH_MM = 164.0
"""And so far forward from behind the heel."""
ANKLE_MARGIN_MM = 13.0
"""Around its bones elsewhere."""
HIP_BELOW_HEAD_MM = 225.0
"""A prepared hip reaches so far down from the centre of the femoral head."""
HIP_ACROSS_MIDLINE_MM = 40.0
"""And so far across the midline."""
HIP_LATERAL_MM = 30.0
"""Beside the femur, and so far outward."""
HIP_MARGIN_MM = 14.0
"""Around its bones elsewhere."""
BODY_MARGIN_MM = 15.0
"""Around the bones of pelvis and legs."""
LEAST_BETWEEN_LEGS_MM = 20.0
"""Legs are spread until bones of one are so far from those of the other: until flesh fits between them."""
MOST_SPREAD_DEGREES = 24
"""But no further than this, each."""
TOUCHING_MM = 9.0
"""Legs that touch, or lie across each other, leave so much between their bones: skin and flesh that is pressed flat."""
OUTLINE_MM = 5.0
"""Legs are kept apart by one point of their bones in every cube of this edge."""
SLAB_MM = 25.0
"""They are compared in slabs of this height."""
CROSSED_DEGREES = (8.0, 16.0)
"""Bounds of how far a leg that touches the other one is brought across it: its foot comes to lie on or beyond the other
foot."""
MOST_RAISED_DEGREES = 45
"""To cross the other leg a leg is raised no further than this."""

POSED_SUBJECTS: Mapping[Group, int] = {"train": 24, "validation": 2, "test": 12}
"""How many subjects have each leg posed for itself: each arrangement of legs twice in training and once in tests."""
POSED_TEST_SPACING_MM = 2.0
"""Voxels of the prepared test subjects among them, of whom every bone's edge is measured."""
RELAXED_PROBABILITY = 0.5
"""Of a leg turned as that of a patient who lies at ease."""
RELAXED_TURN = (-35.0, 5.0)
"""Bounds of a foot's turn at ease, degrees, inward positive."""
TURN_OF_LEGS = (-70.0, 70.0)
"""Bounds of any foot's turn: a broken hip lets a leg fall outward, a prone patient lies with the toes turned in."""
MOST_TURN_OF_BENT_LEGS = (-30.0, 30.0)
"""Legs with bent knees are turned less: their shanks would lie across the table."""
STRAIGHT_PROBABILITY = 0.7
"""Of a knee that is nearly straight."""
STRAIGHT_DEGREES = (0.0, 12.0)
"""Bounds of the flexion of such a knee."""
FLEXION_OF_KNEES = (12.0, 75.0)
"""Bounds of the flexion of any other: over a cushion, or with the foot set up on the table."""
PLANTAR_FLEXION = (-10.0, 60.0)
"""Bounds of how far feet point down, degrees, against those of who stands; in a scanner they hang down."""
MOST_OF_ANKLE_DEGREES = 40.0
"""An ankle bends no further; beyond, the midfoot does."""
MIDFOOT_INWARD_DEGREES = (-12.0, 18.0)
"""Bounds of the inward turn of the forefoot on the hindfoot."""
NEUTRAL_FOOT_DEGREES = 7.0
"""The line from the middle of the calcaneus to that of metatarsals and toes points so far down in who stands."""
STUMP_OF_THIGH = (0.35, 0.85)
"""Bounds of what is left of the femur after an amputation, as a fraction of its length."""
STUMP_OF_SHANK = (0.25, 0.75)
"""The same of the tibia."""
FIBULA_SHORTER_MM = 12.0
"""So much higher the fibula is cut than the tibia."""

LABEL_SPACING_MM = 0.8
"""Voxels of knees that are prepared from label maps."""
LABEL_SMOOTHING_MM = 0.8
"""Standard deviation of the smoothing of their distances, which takes out the steps of the slices."""
LABEL_CONTINUED_MM = 16.0
"""So far beyond a label map's ends its last slices are repeated: more than distances reach."""
LABEL_INSIDE_MM = 2.0
"""The prepared volume ends so far inside of what the label map shows."""
LABEL_FAR_END_MM = 330.0
"""Where the other end of a long bone is taken to be, for its cortical thickness."""
