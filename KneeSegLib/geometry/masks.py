"""Masks, bool arrays ``[z, y, x]``: their connected components and distances."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import numpy as np
from scipy import ndimage

FACES = ndimage.generate_binary_structure(3, 1)
"""Voxels that share a face are connected."""

FACES_AND_EDGES = ndimage.generate_binary_structure(3, 2)
"""Voxels that share an edge are connected as well."""


def label_components(mask: np.ndarray, connected: np.ndarray = FACES) -> tuple[np.ndarray, np.ndarray]:
    """Number the connected components of a mask.

    Args:
        mask: bool (Z, Y, X).
        connected: bool (3, 3, 3), which voxels around one are connected with it.

    Returns:
        numbers: int (Z, Y, X), 0 outside, then 1, 2, 3...
        voxels: int (number of components + 1,), how many voxels have each number.
    """
    numbers, count = cast("tuple[np.ndarray, int]", ndimage.label(mask, connected))
    return numbers, np.bincount(numbers.ravel(), minlength=count + 1)


def measure_distance_mm(mask: np.ndarray, spacing_mm: Sequence[float]) -> np.ndarray:
    """Return for every voxel (Z, Y, X) the distance of its centre from the nearest one of the mask; 0 inside.

    Args:
        mask: bool (Z, Y, X), not empty.
        spacing_mm: (z, y, x).
    """
    return cast("np.ndarray", ndimage.distance_transform_edt(~mask, sampling=spacing_mm))


def find_edge_voxels(mask: np.ndarray) -> np.ndarray:
    """Return the voxels of a mask that have a face on its outside; what the border of the array cuts is outside."""
    return mask & ~cast("np.ndarray", ndimage.binary_erosion(mask, FACES))
