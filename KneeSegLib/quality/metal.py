"""Metal in a CT: values above those of bone, in one connected component."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from KneeSegLib.geometry.boxes import ArrayBox
from KneeSegLib.geometry.masks import label_components, measure_distance_mm
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


def measure_metal_cm3(metal: np.ndarray, mask: np.ndarray, place: ArrayBox, spacing_mm: Sequence[float]) -> float:
    """Return the volume of metal within :data:`METAL_REACH_MM` of a bone.

    Args:
        metal: see :func:`find_metal`.
        mask: bool (Z, Y, X), the bone with what lies around it.
        place: of ``mask`` in the array in which metal was found.
        spacing_mm: (z, y, x).
    """
    reach = [int(np.ceil(METAL_REACH_MM / mm)) for mm in spacing_mm]
    at = metal - [side.start - margin for side, margin in zip(place, reach)]
    padded = np.pad(mask, [(margin, margin) for margin in reach])
    at = at[np.all((at >= 0) & (at < padded.shape), axis=1)]
    if not at.size:
        return 0.0
    near = measure_distance_mm(padded, spacing_mm)[tuple(at.T)] <= METAL_REACH_MM
    return float(np.count_nonzero(near) * np.prod(spacing_mm) / 1000.0)
