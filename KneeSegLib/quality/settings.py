"""Numbers of quality control. "Not measured" says that a number was set by reasoning and not compared with others.

Limits were chosen on degraded scans of validation subjects with ``Testing/benchmarks/flags.py`` unless they say
otherwise; their units are those of :class:`~KneeSegLib.quality.features.QualityFeatures`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True)
class QualityLimits:
    """From which value of a feature on a structure is flagged, or named as limited by the scan.

    Attributes:
        uncertain_band_mm: good results stay below 0.8 mm, whatever the size of the bone.
        disputed_fraction: fusion is there to resolve disputes; where it had to resolve so many, it may be wrong too.
        refined_mm: half a millimetre is the edge that both networks see; more is another opinion about the bone.
        localiser_agreement: less is no agreement about where the bone is; to the localiser thin bones have little
            contrast.
        side_certainty: less is a toss-up. Scans of one end of a bone are near it.
        cleaned_fraction: cleaning removes fragments; this much is no fragment.
        contact_fraction: bones of a worn joint touch over up to a sixth of their surface at the resolution of CT.
        uncertain_contact_mm2: where severe osteoarthritis has closed the joint, femur and tibia of validation knees
            have 700 to 920; healthy ones, and patellae of both, have up to 41.
        edgeless_fraction: subchondral bone and thin cortices have weak edges over a tenth of the surface and more.
        air_fraction, blank_fraction: no bone borders on either.
        unseen_fraction: of both together; a bone with more goes on where the scan shows nothing: a cone beam's field of
            view is no box.
        continuing_fraction: long bones that end where they should stay below 0.4, in strong noise below 0.6.
        unlabelled_cm3: 28 bones that were labelled well, real and synthetic, stay below 0.25; a real tibial plateau
            whose label has a bay of 5 cm3 has 1.1.
        noise_hu: no protocol for bones is as noisy; low-contrast edges drown in less.
        soft_tissue_low_hu, soft_tissue_high_hu: beyond these, values are no Hounsfield units, or shifted ones.
        ceiling_hu: scanners that cut off early do so at 1000 HU and above; a soft-tissue window ends below.
        jump_mm: across 3 mm along the leg; whole bones stay below 0.9 mm.
        sway_mm: per mm along the leg; bones lean by up to 0.2.
        metal_cm3: a screw thread; less is calcium or noise.
        slice_mm: thicker slices are named as a limit of the image. Not measured.
        shape_residual_mm: a shape of the model comes nearer than this to bones that are labelled well.
        border_mm2: smaller contact with the scan's border is a grazing one. Not measured.
    """

    uncertain_band_mm: float = 1.0
    disputed_fraction: float = 0.55
    refined_mm: float = 0.5
    localiser_agreement: float = 0.6
    side_certainty: float = 0.25
    cleaned_fraction: float = 0.25
    contact_fraction: float = 0.2
    uncertain_contact_mm2: float = 200.0
    edgeless_fraction: float = 0.25
    air_fraction: float = 0.08
    blank_fraction: float = 0.04
    unseen_fraction: float = 0.005
    continuing_fraction: float = 0.6
    unlabelled_cm3: float = 0.5
    noise_hu: float = 250.0
    soft_tissue_low_hu: float = -350.0
    soft_tissue_high_hu: float = 250.0
    ceiling_hu: float = 800.0
    jump_mm: float = 1.2
    sway_mm: float = 0.25
    metal_cm3: float = 0.05
    slice_mm: float = 1.5
    border_mm2: float = 10.0
    shape_residual_mm: float = 2.5


BONE_CT_LIMITS = QualityLimits()
"""Of bones in CT."""

KNEE_MR_LIMITS: Mapping[str, QualityLimits] = MappingProxyType(
    {
        "bone": QualityLimits(uncertain_band_mm=1.3, shape_residual_mm=1.2),
        "cartilage": QualityLimits(uncertain_band_mm=0.63),
        "meniscus": QualityLimits(uncertain_band_mm=1.15),
    }
)
"""In MR, by kind of tissue. Read off the six subjects of ``Testing/benchmarks/held_out_mr.py`` (``--sequence
poor-dess``, by earlier weights): shapes lay 0.2 to 0.6 mm from good bones; the uncertain band of cartilage with a Dice
above 0.85 was mostly below 0.62 mm, that of such menisci below 1.15 mm."""

# The predictions of the networks

UNCERTAIN_MARGIN = 0.5
"""A voxel is uncertain where the most probable class leads by less than this: at best 0.75 against 0.25.
Not measured."""

MET_AT_THE_KNEE: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {"femur": ("tibia", "patella"), "tibia": ("femur",), "patella": ("femur",)}
)
"""Bones between which an uncertain border is told. At hips and ankles narrow joints touch in good results too: in
coarse scans of whole legs over up to 30 cm2."""

DISPUTE_STRIDE = 3
"""Every so many voxels of each axis are compared: fractions of a whole bone need no more. Not measured."""

# The image along a bone's surface

AIR_HU = -400.0
"""Half-way between air and flesh: less is air."""

LEAST_EDGE_HU = 60.0
"""A smaller step from outside to inside is no edge of a bone, not even of a thin cortex in fat marrow. Not measured."""

EDGE_REACH_MM = 1.5
"""Values are averaged so far inward and outward, over two voxels at least, against noise. Not measured."""

BLANK_OFFSETS = (2, 3, 4)
"""Voxels outward of a face that are compared: the image is blank where their values are equal. Not measured."""

MOST_FACES = 6000
"""Faces per axis that are evaluated, evenly chosen: fractions of a surface need no more. Not measured."""

NOISE_SLICES = 12
"""Noise is estimated in so many slices of a bone's box, evenly chosen. Not measured."""

LEAST_CUT_OFF_FRACTION = 0.02
"""Values are cut off where this fraction of a bone's voxels has exactly the highest value. Not measured."""

AROUND_VOXELS = 5
"""What the image shows around a bone is evaluated within so many voxels of its box. Not measured."""

# Ends and outlines along the leg

END_STEP_MM = 3.0
"""So far from its end, inward and outward, a label is evaluated: ends of whole bones are round or flat.
Not measured."""

LEAST_END_MM2 = 20.0
"""Less dense bone within an end does not tell whether it goes on. Not measured."""

DENSE_HU = 150.0
"""Above soft tissue: bone with little marrow in it, even in a scan of low values. Not measured."""

JUMP_ACROSS_MM = 3.0
"""A jump is searched across this height: networks that see several slices at once smear it over some of them."""

LEAST_OUTLINE_MM2 = 60.0
"""Slices with less of the bone have no outline to compare. Not measured."""

KNOBS_MM = 15.0
"""At its ends a bone is several knobs, which appear one after the other: no jumps are searched there. Not measured."""

# Bone without a label

BAY_RADIUS_MM = 5.0
"""A bone is closed with a ball of this size: clefts of a centimetre are taken in, the notch of a femur is not."""

BAY_GRID_MM = 1.5
"""Bone without a label is looked for on about this grid, see :mod:`KneeSegLib.quality.bays`. Not measured."""

BAY_HU = 200.0
"""The average of a block of bone; fluid, cartilage and muscle stay below 150."""

# Metal

METAL_HU = 2600.0
"""Dense cortical bone has up to 2200 HU. Scanners that cut off at 3071 still show metal; where a scan ends lower
(exports cut off at 1000 or 2000), metal has the value of bone and cannot be told from it."""

LEAST_METAL_MM3 = 40.0
"""A smaller component is noise on dense bone. Not measured."""

METAL_REACH_MM = 5.0
"""Metal no farther than this from a bone counts as its own: streaks reach farther than metal. Not measured."""

# Sizes of whole bones, beyond what was seen

VOLUME_SLACK = 1.6
"""The smallest volume seen divided by this, the largest times this: smaller and larger adults exist. Not measured."""

LENGTH_SLACK = 1.25
"""The same for lengths. Not measured."""

LEAST_PIECE_FRACTION = 0.02
"""Of a bone: smaller parts beside it are specks that moving its edge leaves at its ends. Not measured; the fibula of a
real leg that was parted at its neck had .29."""

JOINT_END_MM = 30.0
"""Length of a bone's end at the knee within which its width is measured: the condyles, and the tibial plateau."""

LONGEST_ACROSS = 1.5
"""A bone that reaches this many times as far across the scan as along it lies on its side. Not measured: a long shaft
at 45 degrees has 1."""

JOINT_WIDTHS_MM: Mapping[str, tuple[float, float]] = MappingProxyType({"femur": (60.0, 108.0), "tibia": (54.0, 100.0)})
"""Narrowest and widest ends of adults' bones at the knee, as the largest distance within the outline seen along the
leg. Ten prepared subjects had 74 to 91 mm (femur) and 64 to 85 mm (tibia); published widths of men and women reach four
standard deviations beyond their means of 86 and 76, 78 and 69 mm."""
