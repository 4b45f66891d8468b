"""Numbers chosen for the building of shape models.

Those for which no measurement is named were set by judgement and never tuned.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

POINTS = 2000
"""Points on each bone: as many as J. Schock et al. (ShapeMI 2020) place."""
LEAST_CASES = 3
"""Usable cases that a model needs: of fewer, nothing varies when one is left out to measure quality."""

LEAST_AFFINE_OVERLAP = 0.85
"""Dice after affine registration of a case that is used; femora among each other reach 0.91 to 0.97, a tibia on a femur
0.80."""
LEAST_OVERLAP = 0.95
"""Dice after the whole registration of a case that is used: below it the bones do not lie on each other."""
MOST_RESIDUAL_VOXELS = 0.5
"""Mean distance in voxels of warped points from the surface that they should lie on: labels tell no less."""
MIRRORED_BETTER_BY = 0.015
"""Dice by which a case may fit better as its mirror image; the right side leads by 0.03 to 0.07 where a bone has a left
and a right."""


@dataclass(frozen=True)
class Shaft:
    """How much of a long bone belongs to the model: so many of its own widths from the end at the knee."""

    knee_end: Literal["upper", "lower"]
    widths: float


SHAFTS = {"femur": Shaft("lower", 0.85), "tibia": Shaft("upper", 0.5)}
"""What the fields of view of label maps of the knee have in common; other bones are taken whole."""
WIDTH_WITHIN_MM = 50.0
"""A bone's width is its largest extent from right to left so near to its end at the knee: the condyles lie within."""
CONTINUES_MM = 4.0
"""So far beyond the cut a shaft is looked for, to tell one that goes on from one that ends with the image."""
LEAST_SECTION = 0.5
"""Fraction of its section that a whole shaft has left beyond the cut; bone tapers far less on that way."""

BAND_MM = 10.0
"""Signed distances are clipped here: demons need a slope near the surface and nothing further away."""
LEAST_VOXELS = 200
"""Voxels of a label below which it is a fragment and no bone."""

AFFINE_LEVELS_MM = (5.0, 2.5)
"""Voxel edges of the affine registration, coarse to fine; demons see to what is finer."""
COARSE_LEVELS_MM = (5.0,)
"""The same where two bones are only compared: whether they are alike shows at the coarse level already."""
AFFINE_STEPS = 100
"""Most steps of gradient descent on each level."""
DEMONS_LEVELS = ((4, 40), (2, 20), (1, 5))
"""Voxels put together, and iterations of demons. Four times the iterations at the finest level cost three times the
time and bring neither overlap nor nearer points."""
DEMONS_SMOOTHING_VOXELS = 1.5
"""Standard deviation of the smoothing of the field after each iteration, which keeps it from folding."""
FOLDING_WITHIN_MM = 5.0
"""Folds count so near to the surface; further away they move no point."""

KEPT_VARIANCE = 0.995
"""Fraction of the variance that the kept components explain; what is left is noise of the registration."""
PROCRUSTES_ROUNDS = 20
"""Most rounds of generalised Procrustes alignment."""
PROCRUSTES_CONVERGED_MM = 1e-6
"""It has converged when no point of the mean moves further than this."""

SPECIFICITY_SAMPLES = 200
"""Random shapes that specificity is measured with."""
MOST_LEFT_OUT = 48
"""Subjects that generalisation is measured on at most; each costs an alignment and a decomposition."""
MODE_DEVIATION = 2.0
"""Standard deviations to either side of the mean at which a mode is written as a surface."""

AWAY_FROM_CUT_VOXELS = 1.0
"""Points keep this far from the face where a shaft was cut, which is no surface of the bone."""
VERTICES_PER_POINT = 4
"""Points are chosen among the vertices of a mesh that has at least so many times more, to be spread evenly."""
REFINEMENTS = (1, 2, 3)
"""Parts into which the edge of a voxel is divided, if need be: a signed distance is smooth between voxels."""

SHOWN_MODES = (1, 2, 3, 4, 5, 6, 8, 10, 15, 20, 30, 40)
"""Numbers of modes that tables show, beside all of them."""
