"""The head of a femur that is cut off from its shaft, by a fracture or by streaks of metal."""

from __future__ import annotations

import numpy as np

from KneeSegLib.cleaning.settings import LARGEST_HEAD_GAP_MM, LEAST_HEAD_MM3
from KneeSegLib.geometry.masks import measure_distance_mm

HEADED, SOCKET = "femur", "hip_bone"
"""A head lies in its socket. That it touches the socket's bone, as it does where voxels are coarse, tells nothing."""


def find_severed_heads(
    components: np.ndarray, voxels: np.ndarray, main: int, spacing_mm: tuple[float, float, float]
) -> np.ndarray:
    """Return bool (number of components + 1,): which components of a femur are too large and too near to be spurious.

    Args:
        components: int (Z, Y, X), component numbers, 0 outside.
        voxels: number of voxels of each component.
        main: number of the component that the others are compared with.
        spacing_mm: (z, y, x).
    """
    severed = voxels * float(np.prod(spacing_mm)) >= LEAST_HEAD_MM3
    severed[[0, main]] = False
    if not severed.any():
        return severed
    from_main_mm = measure_distance_mm(components == main, spacing_mm)
    near = np.zeros(len(voxels), bool)
    near[np.unique(components[from_main_mm <= LARGEST_HEAD_GAP_MM])] = True
    return severed & near
