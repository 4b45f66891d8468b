"""Whether a bone goes on, along the leg, where its label ends."""

from __future__ import annotations

from collections.abc import Sequence
from math import nan

import numpy as np

from KneeSegLib.quality.values import soft_tissue_hu

_STEP_MM = 3.0
"""So far from its end, inward and outward, a label is looked at: ends of whole bones are round or flat."""
_LEAST_AREA_MM2 = 20.0
_DENSE_HU = 150.0
"""Above soft tissue: bone with little marrow in it, even in a scan of low values."""
_MOST_HU = 2500.0
"""Above it lies metal, which goes on beyond bones."""


def going_on_share(mask: np.ndarray, bones: np.ndarray, hu: np.ndarray, spacing_mm: Sequence[float]) -> float:
    """Return how much of the dense bone just within an end of the label goes on, without a label, just beyond it.

    Near 1 where a shaft was labelled half-way, near 0 where a bone ends. The larger of both ends along the leg counts.

    Args:
        mask: bool (Z, Y, X), the bone, with some voxels around it; an end near the array's border does not count.
        bones: bool, every bone.
        hu: the image.
        spacing_mm: (z, y, x).

    Returns:
        0..1; NaN where no end can be looked at.
    """
    step = max(round(_STEP_MM / spacing_mm[0]), 1)
    filled = np.flatnonzero(mask.any(axis=(1, 2)))
    soft_hu = soft_tissue_hu(hu, bones)
    shares = []
    for last, outward in ((filled[0], -1), (filled[-1], 1)) if filled.size else ():
        within, beyond = last - outward * step, last + outward * step
        if not (0 <= within < len(mask) and 0 <= beyond < len(mask)):
            continue
        dense = mask[within] & (hu[within] > soft_hu + _DENSE_HU)
        if np.count_nonzero(dense) * spacing_mm[1] * spacing_mm[2] < _LEAST_AREA_MM2:
            continue
        goes_on = ~bones[beyond] & (hu[beyond] > soft_hu + _DENSE_HU) & (hu[beyond] < _MOST_HU)
        shares.append(np.count_nonzero(dense & goes_on) / np.count_nonzero(dense))
    return max(shares, default=nan)
