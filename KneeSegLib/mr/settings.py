"""Numbers of MR of the knee. "Not measured" says that a number was set by reasoning and not compared with others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

# Slices

THINNEST_SLICE_MM = 0.6
"""Thinner slices than the network knows are averaged to this."""

BLUR_ACROSS_MM = 0.6
"""Standard deviation of the blur of probabilities across slices. Chosen on validation subjects among none, 0.4, 0.6 and
more, where bone gained little and cartilage up to 0.02 of Dice; thick slices are hardly touched."""

SAMPLED_VALUES = 500_000
"""Voxels, evenly spread, that the intensity percentile of a scan is taken from."""

# Bones, coarsely

SPACING_MM = 1.25
"""Edge of the voxels in which shape networks see a bone: 88 of them hold the end of a large femur."""

LEAST_CM3: Mapping[str, float] = MappingProxyType({"femur": 15.0, "tibia": 10.0})
"""A knee shows more of these two, even a child's in a small field of view. Not measured."""

NEAR_MM = 25.0
"""The femur and the tibia of a knee come closer than this. Not measured."""

AROUND_VOXELS = 2
"""Probabilities are kept in a bone's component and so many coarse voxels around it."""

# Crops for shape networks

END_TO_CENTRE_MM = 45.0
"""Along z from the bone's end at the knee to the centre of the crop: 10 mm are seen beyond the end, 100 mm of bone."""

WITHIN_MM = 60.0
"""Sideways the crop is centred on what lies so near to the end: a leaning shaft does not move it."""

UPWARD: Mapping[str, int] = MappingProxyType({"femur": 1, "tibia": -1})
"""Which way a bone leads away from the knee, along z."""

SHAPE_BOX_MARGIN_MM = 3.0
"""Around what slices take for a bone, where a shape network sees grey values: their edge is not exact. Not measured."""

# Optimisation of the shape


@dataclass(frozen=True)
class ShapeOptimisation:
    """How the parameters of a shape are optimised on a surface. Chosen on degraded crops of validation subjects.

    Attributes:
        rounds: of L-BFGS, each time.
        tolerated_mm: farther landmarks pull no harder than this: they may belong to a component that is missing.
        facing: penalty of facing the wrong way, in mm2 of mean squared distance for each unit of one minus the cosine.
        near_mm: only landmarks so near to the surface have to face its way.
        deviation: penalty of one squared standard deviation of a weight, in mm2 of mean squared distance.
        sharp_per_mm: an edge where the probability falls as steeply as this has its full weight; one that falls less
            steeply has the square of its fraction.
        least_weight: no edge has less.
        growth: a shape whose scale along an axis came to more than this, or less than its inverse, is taken back to
            the network's prediction.
        border_mm: landmarks nearer to the border of the scan do not count: the bone may be cut there.
    """

    rounds: int = 60
    tolerated_mm: float = 3.0
    facing: float = 60.0
    near_mm: float = 4.0
    deviation: float = 0.01
    sharp_per_mm: float = 0.25
    least_weight: float = 0.05
    growth: float = 1.5
    border_mm: float = 3.0


OPTIMISATION = ShapeOptimisation()

FARTHEST_MM = 10.0
"""Distances to a bone's surface are clipped here."""

TERRACE_VOXELS = 0.7
"""Standard deviation of the Gaussian that smooths the terraces of a distance transform."""

# What a fitted shape makes of the slices


@dataclass(frozen=True)
class ShapePrior:
    """How a fitted shape changes the odds of a bone. Chosen on validation subjects of both simulators.

    Attributes:
        free_mm: no change so near to the surface: a fitted shape is no better than that.
        softness_mm: further away, the odds change by a factor of e over this distance.
        most: no odds change by more than e to the power of this.
        reach_mm: no change further away; what is left of a bone there is a component of its own, and cleaned away.
        rim_mm: no change so near to where the shape ends and the shaft goes on.
        residual_mm: a shape that lies as far as this from the slices' surface, on average, changes nothing.
        grid_mm: distances are worked out on cubes of this edge and interpolated between them.
    """

    free_mm: float = 0.7
    softness_mm: float = 1.0
    most: float = 6.0
    reach_mm: float = 14.0
    rim_mm: float = 6.0
    residual_mm: float = 1.2
    grid_mm: float = 2.0


PRIOR = ShapePrior()

PRIOR_NEIGHBOURS = 3
"""Points of a shape whose tangent planes give the distance to it."""

PRIOR_NEAR_MM = 0.3
"""Added to the distance of a point before it is inverted to a weight."""

# Patches


@dataclass(frozen=True)
class PatchPlacing:
    """Where patches lie.

    Attributes:
        most: how many patches a bone gets at most; of femur and tibia the paper's.
        apart_mm: least distance of the patches of a bone; it is raised by the factor ``wider`` until there are no more
            than ``most``.
        probability: from this one on, patellar cartilage is there.
    """

    most: Mapping[str, int]
    apart_mm: float = 7.0
    wider: float = 1.12
    probability: float = 0.4


PLACING = PatchPlacing(MappingProxyType({"femur": 100, "tibia": 30, "patella": 20}))

# Labels

BONE_ODDS: Mapping[str, float] = MappingProxyType({"femur": 1.5, "tibia": 1.5})
"""By how much the odds of a bone against the background are raised.

Slices draw the tibia too small in 14 of 19 scans of validation subjects, and a temperature moves no edge. Chosen among
1, 1.25, 1.4, 1.6 and 2 on these scans by both simulators: 1.4 and 1.6 gained the tibia 0.0015 and 0.0017 of Dice and
the femur 0.001, and did no good to patella and fibula."""

SURROUNDINGS_MM = 3.0
"""How far around a structure's voxels its surface is looked for."""

POSSIBLE = 1.0 / 3.0
"""A class with a lower probability is not the most probable one where three compete."""

LEAST_ODDS = 1e-6
"""What divisors of odds are kept from zero by."""

MENISCUS_GAP_MM = 2.5
"""A meniscus may float so far above the tibia and its cartilage, on fluid or where cartilage is worn and not seen."""

# What a user is told

COARSE_PIXELS_MM = 1.0
"""Larger pixels are said: cartilage is a few of them thick."""

THICK_SLICES_MM = 1.5
"""Slices further apart are said: volumes and thicknesses of thin cartilage become rough."""

CLEAR_SIDE = 0.15
"""A side whose shapes lie nearer by less than this fraction is a guess. Both echoes of the one real knee whose side is
known had 0.42 and more."""
