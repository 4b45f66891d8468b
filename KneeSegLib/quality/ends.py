"""Whether a bone goes on, along the leg, where its label ends."""

from __future__ import annotations

from collections.abc import Sequence
from math import nan

import numpy as np

from KneeSegLib.quality.settings import DENSE_HU, END_STEP_MM, LEAST_END_MM2, METAL_HU


def measure_continuing_fraction(
    mask: np.ndarray, bones: np.ndarray, hu: np.ndarray, soft_tissue_hu: float, spacing_mm: Sequence[float]
) -> float:
    """Return the fraction of the dense bone just within an end of the label that goes on, unlabelled, beyond it.

    Near 1 where a shaft was labelled half-way, near 0 where a bone ends. The larger of both ends along the leg counts.
    Metal, which goes on beyond bones, does not.

    Args:
        mask: bool (Z, Y, X), the bone, with some voxels around it; an end near the array's border does not count.
        bones: bool, every bone.
        hu: the image.
        soft_tissue_hu: around the bone, see :func:`~KneeSegLib.quality.values.measure_soft_tissue_hu`.
        spacing_mm: (z, y, x).

    Returns:
        0..1; NaN where no end can be evaluated.
    """
    step = max(round(END_STEP_MM / spacing_mm[0]), 1)
    filled = np.flatnonzero(mask.any(axis=(1, 2)))
    least_hu = soft_tissue_hu + DENSE_HU
    fractions = []
    for last, outward in ((filled[0], -1), (filled[-1], 1)) if filled.size else ():
        within, beyond = last - outward * step, last + outward * step
        if not (0 <= within < len(mask) and 0 <= beyond < len(mask)):
            continue
        dense = mask[within] & (hu[within] > least_hu)
        if np.count_nonzero(dense) * spacing_mm[1] * spacing_mm[2] < LEAST_END_MM2:
            continue
        goes_on = ~bones[beyond] & (hu[beyond] > least_hu) & (hu[beyond] <= METAL_HU)
        fractions.append(np.count_nonzero(dense & goes_on) / np.count_nonzero(dense))
    return max(fractions, default=nan)
