"""Metal in a CT: values above those of bone, in one connected component."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from KneeSegLib.geometry.boxes import ArrayBox
from KneeSegLib.geometry.masks import label_components
from KneeSegLib.quality.settings import LEAST_METAL_MM3, METAL_HU, METAL_REACH_MM


def find_metal(hu: np.ndarray, spacing_mm: Sequence[float]) -> np.ndarray:
    """Return the indices (N, 3) ``[z, y, x]`` of the voxels that are metal.

    Args:
        hu: (Z, Y, X).
        spacing_mm: (z, y, x).
    """
    bright = hu > METAL_HU
    slices = np.flatnonzero(bright.any(axis=(1, 2)))
    if not slices.size:
        return np.zeros((0, 3), int)
    first = int(slices[0])
    components, voxels = label_components(bright[first : int(slices[-1]) + 1])
    large = voxels * float(np.prod(spacing_mm)) >= LEAST_METAL_MM3
    large[0] = False
    return np.argwhere(large[components]) + (first, 0, 0)


def measure_metal_cm3(metal: np.ndarray, box: ArrayBox, spacing_mm: Sequence[float]) -> float:
    """Return the volume of metal in a bone's box and :data:`METAL_REACH_MM` around it.

    Args:
        metal: see :func:`find_metal`.
        box: of the bone, in the array in which metal was found.
        spacing_mm: (z, y, x).
    """
    near = np.ones(len(metal), bool)
    for axis, (bounds, step_mm) in enumerate(zip(box, spacing_mm)):
        reach = METAL_REACH_MM / step_mm
        near &= (metal[:, axis] >= bounds.start - reach) & (metal[:, axis] < bounds.stop + reach)
    return float(np.count_nonzero(near) * np.prod(spacing_mm) / 1000.0)
