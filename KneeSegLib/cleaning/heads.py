"""The head of a femur that is cut off from its shaft, by a fracture or by streaks of metal."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

HEADED, SOCKET = "femur", "hip_bone"
"""A head lies in its socket. That it touches the socket's bone, as it does where voxels are coarse, tells nothing."""

_SMALLEST_MM3 = 8000.0
"""A ball of 48 mm holds 58 cm³: this is what streaks may leave of a head, and more than is misnamed by chance."""
_LARGEST_GAP_MM = 12.0


def find_severed_heads(
    components: np.ndarray, voxels: np.ndarray, main: int, spacing_mm: tuple[float, float, float]
) -> np.ndarray:
    """Return bool (number of components + 1,): which of a femur's pieces are too large and too near to be strays.

    Args:
        components: int (Z, Y, X), component numbers, 0 outside.
        voxels: number of voxels of each component.
        main: number of the component that the others are compared with.
        spacing_mm: (z, y, x).
    """
    severed = voxels * float(np.prod(spacing_mm)) >= _SMALLEST_MM3
    severed[[0, main]] = False
    if not severed.any():
        return severed
    from_main = ndimage.distance_transform_edt(components != main, sampling=spacing_mm)
    near = np.zeros(len(voxels), bool)
    near[np.unique(components[from_main <= _LARGEST_GAP_MM])] = True
    return severed & near
