"""Metal in a CT: more than bone can have, in one piece."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import ndimage

METAL_HU = 2600.0
"""Dense cortical bone has up to 2200 HU. Scanners that cut off at 3071 still show metal; where a scan ends lower
(exports cut off at 1000 or 2000), metal has the value of bone and cannot be told from it."""

LEAST_PIECE_MM3 = 40.0
"""Smaller pieces are noise on dense bone."""


def find_metal(hu: np.ndarray, spacing_mm: Sequence[float]) -> np.ndarray:
    """Return the positions (N, 3) of the voxels that belong to a piece of metal.

    Args:
        hu: (Z, Y, X).
        spacing_mm: (z, y, x).
    """
    bright = hu > METAL_HU
    slices = np.flatnonzero(bright.any(axis=(1, 2)))
    if not slices.size:
        return np.zeros((0, 3), int)
    first = int(slices[0])
    pieces, count = ndimage.label(bright[first : int(slices[-1]) + 1])
    volume_mm3 = np.bincount(pieces.ravel(), minlength=count + 1) * float(np.prod(spacing_mm))
    large = volume_mm3 >= LEAST_PIECE_MM3
    large[0] = False
    return np.argwhere(large[pieces]) + (first, 0, 0)


def measure_metal_cm3(
    metal: np.ndarray, box: Sequence[slice], spacing_mm: Sequence[float], reach_mm: float = 5.0
) -> float:
    """Return the volume of metal in a bone's box and ``reach_mm`` around it.

    Args:
        metal: see :func:`find_metal`.
    """
    near = np.ones(len(metal), bool)
    for axis, (bounds, step_mm) in enumerate(zip(box, spacing_mm)):
        reach = reach_mm / step_mm
        near &= (metal[:, axis] >= bounds.start - reach) & (metal[:, axis] < bounds.stop + reach)
    return float(np.count_nonzero(near) * np.prod(spacing_mm) / 1000.0)
