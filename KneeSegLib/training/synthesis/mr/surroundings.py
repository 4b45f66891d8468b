"""Soft tissue around a template's bones: what the label map lacks is added, and the hull of it all found."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import distance_transform_edt, gaussian_filter

from KneeSegLib.training.synthesis.cubic_grid import CubicGrid
from KneeSegLib.training.synthesis.mr.settings import (
    HULL_RADIUS_MM,
    HULL_SMOOTHING_MM,
    POUCH_DEPTH_MM,
    POUCH_HALF_WIDTH_MM,
    POUCH_HEIGHT_MM,
    TENDON_HALF_DEPTH_MM,
    TENDON_HALF_WIDTH_MM,
)
from KneeSegLib.training.synthesis.mr.structures import BONES, FAT, FIRST_MUSCLE, POUCH, TENDON


def add_quadriceps_tendon(soft: np.ndarray, bone: np.ndarray, owner: np.ndarray, grid: CubicGrid) -> np.ndarray:
    """Add the tendon above the patella and the recess of the joint behind it, which no label map here shows.

    The tendon is a flat ellipse that rises from the patella's upper pole along the femur; the recess lies on the front
    of the femur behind it.

    Args:
        soft: soft tissue [Z, Y, X]. bone: signed distance in mm to the bone ``owner``.
    """
    x, y, z = grid.coordinates()
    patella = np.argwhere((owner == BONES.index("patella") + 1) & (bone < 0))
    top = float(z[patella[:, 0].max()])
    pole = patella[z[patella[:, 0]] > top - 8.0]
    start_x, start_y = x[pole[:, 2]].mean(), y[pole[:, 1]].mean()
    lean_x, lean_y = _measure_lean(bone, owner, grid, top)

    height = (z - top)[:, None, None]
    across = (x[None, None] - start_x - lean_x * height) / TENDON_HALF_WIDTH_MM
    behind = y[None, :, None] - start_y - lean_y * height
    tendon = (across**2 + (behind / TENDON_HALF_DEPTH_MM) ** 2 < 1.0) & (height > -8.0) & (bone > 0)
    result = np.where(tendon & ((soft == FAT) | (soft >= FIRST_MUSCLE)), TENDON, soft)

    femur = owner == BONES.index("femur") + 1
    on_the_front = femur & (bone > 0) & (bone < POUCH_DEPTH_MM) & (behind > 2.0) & (behind < 45.0)
    front = on_the_front & (np.abs(across) * TENDON_HALF_WIDTH_MM < POUCH_HALF_WIDTH_MM)
    middle = _find_middle_of_femur(bone, owner, grid, top)
    recess = front & (y[None, :, None] < middle - 8.0) & (height > -25.0) & (height < POUCH_HEIGHT_MM)
    return np.where(recess & (result == FAT), POUCH, result).astype(np.uint8)


def measure_hull_distance(filled: np.ndarray, spacing_mm: float) -> np.ndarray:
    """Return the distance in mm to the hull of everything in ``filled`` [Z, Y, X], 0 inside.

    Gaps and hollows are bridged. It is smoothed, so that skin at some distance shows no voxels.
    """
    grown = np.asarray(distance_transform_edt(~filled, sampling=spacing_mm))
    closed = np.asarray(distance_transform_edt(grown <= HULL_RADIUS_MM, sampling=spacing_mm)) > HULL_RADIUS_MM
    # At the ends of the grid growing meets nothing: what is filled stays filled.
    distance = np.asarray(distance_transform_edt(~(closed | filled), sampling=spacing_mm))
    return gaussian_filter(distance, HULL_SMOOTHING_MM / spacing_mm)


def _measure_lean(bone: np.ndarray, owner: np.ndarray, grid: CubicGrid, top: float) -> tuple[float, float]:
    """Return how far the femur's shaft leans to the left and backward per mm upward, above the height ``top``."""
    x, y, z = grid.coordinates()
    lower, upper = int(np.searchsorted(z, top)), len(z) - 1
    femur = (owner == BONES.index("femur") + 1) & (bone < 0)
    (low_y, low_x), (high_y, high_x) = (np.argwhere(femur[row]).mean(axis=0) for row in (lower, upper))
    per_mm = grid.spacing_mm / (z[upper] - z[lower])
    return (high_x - low_x) * per_mm, (high_y - low_y) * per_mm


def _find_middle_of_femur(bone: np.ndarray, owner: np.ndarray, grid: CubicGrid, height: float) -> float:
    """Return the y of the middle of the femur at a height."""
    row = int(np.searchsorted(grid.coordinates()[2], height))
    inside = np.argwhere((owner[row] == BONES.index("femur") + 1) & (bone[row] < 0))
    return float(grid.coordinates()[1][int(inside[:, 0].mean())])
