"""Numbers of severe osteoarthritis: what a recipe may change, then what is the same for all recipes.

Set by judgement, from descriptions of knees before arthroplasty and by looking at rendered images; not measured.
"""

from __future__ import annotations

from dataclasses import dataclass

Bounds = tuple[float, float]


@dataclass(frozen=True)
class Osteoarthritis:
    """Severe osteoarthritis of a knee; pairs are bounds between which a value is drawn evenly for each image.

    Attributes:
        probability: of a knee with severe osteoarthritis.
        valgus_probability: of a lateral compartment that is worn, in valgus; otherwise the medial one is, in varus.
        deviation_degrees: varus or valgus beyond the subject's own.
        worn_degrees: what of it comes from the joint itself, at most; the rest bends femur and tibia beside it.
        shift_mm: subluxation of the tibia: sideways (outward in varus), and half as much forward or backward.
        attrition_mm: how deep the bones of the worn compartment have ground into each other.
        patellofemoral_probability: of a patella that is worn down to the bone as well.
        osteophyte_mm: height of the outgrowths at the rims of femur, tibia and patella.
        sclerosis_hu, sclerosis_mm: what dense bone below the worn surface has more than cancellous bone, and how deep.
        cysts, cyst_mm: number of subchondral cysts, and their radius.
    """

    probability: float = 0.0
    valgus_probability: float = 0.3
    deviation_degrees: Bounds = (0.0, 20.0)
    worn_degrees: float = 6.0
    shift_mm: Bounds = (0.0, 7.0)
    attrition_mm: Bounds = (0.3, 4.0)
    patellofemoral_probability: float = 0.4
    osteophyte_mm: Bounds = (3.0, 10.0)
    sclerosis_hu: Bounds = (200.0, 800.0)
    sclerosis_mm: Bounds = (3.0, 12.0)
    cysts: Bounds = (0.0, 7.0)
    cyst_mm: Bounds = (1.5, 6.5)


# Taking a knee apart

JOINT_SEARCHED_MM = 5.0
"""The joint is where femur and tibia are no more than this further from each other than where they are nearest."""

MOST_TAKEN_APART = 64
"""So many subjects are kept taken apart, a few MB each: more than recipes train on."""

# Deformity

STIFF_MM = 22.0
"""So far above and below the joint line bones keep their shape: the condyles and the plateau."""
BEND_MM = 40.0
"""Length beyond over which a bone bends."""
MIDDLE_MM = 8.0
"""Half the width of what lies between the compartments, the eminence, which does not stop the bones."""
PROBE_MM = 2.0
"""Distance of the points at which two bones are compared while one is moved onto the other."""
PROBED_MM = (22.0, 42.0, 48.0)
"""Half extent (z, y, x) of the block of such points around the joint."""
PATELLA_PROBED_MM = (45.0, 60.0, 40.0)
"""The same for the patella."""
MOST_MOVED_MM = (-12.0, 16.0)
"""Bounds of how far a bone is moved onto the other one, away from it and towards it."""
BISECTIONS = 8
"""Halvings of that: they leave a tenth of a millimetre."""
CONTACT_GAP_MM = (0.0, 0.4)
"""Bounds of what is left between bones that touch."""

ABOVE_JOINT_MM = 70.0
"""A picture that begins so far above the joint line shows the femur alone: beyond the patella and all osteophytes."""
BELOW_JOINT_MM = 40.0
"""One that ends so far below it shows tibia and fibula alone."""

# Osteophytes

RIM_MM = (1.5, 5.0, 8.0, 12.5)
"""A rim is where the opposite bone is so far away: from the first two on, up to the last two."""
OUTSIDE_SLOPES = (0.15, 0.7)
"""Squared slopes of the sum of the distances to both bones: a place lies between them below the first one, and beside
them above the second."""
SLOPE_MM = 3.0
"""These slopes are measured over about this length."""
KNOB_MM = (8.0, 15.0)
"""Bounds of the width of an osteophyte."""
SPREAD_MM = 28.0
"""Length of rim over which osteophytes are large or small."""
BRIM_MM = 2.0
"""They start from the surface: they fill no space further from it than their height and this."""

SLACK_MM = 0.3
"""A distance so near to the band of prepared files counts as out of reach."""

# Bone below the worn surface

WORN_GAP_MM = (1.0, 4.0)
"""A surface is worn fully where the opposite bone is nearer than the first, and not at all beyond the second."""
PLATE_MM = (1.0, 3.5)
"""Bounds of the thickness of the dense plate of bone that bears the load."""
PLATE_HU = (900.0, 1600.0)
"""Bounds of its HU."""
CYST_DEPTH_MM = (1.5, 12.0)
"""Bounds of how deep the middle of a cyst lies."""
CYST_GAP_MM = 5.0
"""Cysts lie below a surface whose opposite bone is nearer than this."""
CYST_HU = (-30.0, 80.0)
"""Bounds of the HU of what fills a cyst, fluid or fatty tissue."""
RIM_OF_CYST_HU = (200.0, 700.0)
"""Bounds of what the hard rim of a cyst has more than the bone around it."""
RIM_OF_CYST_MM = 1.2
"""Thickness of that rim."""
CYST_ROUGHNESS = 0.18
"""How much the radius of a cyst varies over its surface, as a fraction of it."""
