"""Smooth displacement fields from scattered displacements: where the anatomy of a map is found in another subject.

A field leads backward: a point of the subject plus its displacement is a point of the map. It is an affine motion
plus Gaussian means of what is left over, over ever shorter distances (multi-level scattered data approximation in the
manner of Lee, Wolberg and Shin, 1997, with Gaussians in the place of splines).
"""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter, map_coordinates

from KneeSegLib.training.synthesis.cubic_grid import CubicGrid
from KneeSegLib.training.synthesis.mr.settings import FIELD_LEVELS_MM, FIELD_PARTS, NO_DISPLACEMENT_WEIGHT


def fit_unfolded_displacement(places: np.ndarray, steps: np.ndarray, grid: CubicGrid) -> np.ndarray:
    """Return the field of :func:`fit_displacement`, but composed of some fields along the way, each a small one.

    Small steps do not fold, and a composition of maps that do not fold does not fold either.
    """
    x, y, z = grid.coordinates()
    voxels = np.stack(np.broadcast_arrays(x, y[:, None], z[:, None, None]), axis=-1).reshape(-1, 3)
    total = np.zeros_like(voxels)
    for part in range(FIELD_PARTS):
        field = fit_displacement(places + steps * (part / FIELD_PARTS), steps / FIELD_PARTS, grid)
        total += sample_displacement(field, (voxels + total - np.array(grid.origin_mm)) / grid.spacing_mm)
    return total.T.reshape(3, *grid.shape).astype(np.float32)


def fit_displacement(places: np.ndarray, steps: np.ndarray, grid: CubicGrid) -> np.ndarray:
    """Return a field (3, Z, Y, X) float32 on ``grid``, components along x, y, z in mm.

    Args:
        places: points (N, 3) of the subject, x, y, z in mm.
        steps: displacement (N, 3) at each.
    """
    affine, *_ = np.linalg.lstsq(np.column_stack([places, np.ones(len(places))]), steps, rcond=None)
    x, y, z = grid.coordinates()
    axes = np.broadcast_arrays(x, y[:, None], z[:, None, None])
    field = np.stack([sum(c * axis for c, axis in zip(affine[:, i], axes)) + affine[3, i] for i in range(3)])
    field = field.astype(np.float32)
    index = (places - np.array(grid.origin_mm)) / grid.spacing_mm
    inside = ((index > 0) & (index < np.array(grid.shape[::-1]) - 1)).all(axis=1)
    index, steps = index[inside], steps[inside]
    splat = _Splat(index, grid.shape)
    weight = splat(np.ones(len(index)))
    for level_mm in FIELD_LEVELS_MM:
        sigma = level_mm / grid.spacing_mm
        scale = (2 * np.pi) ** 1.5 * sigma**3
        certainty = gaussian_filter(weight, sigma, mode="constant", truncate=3.0) * scale + NO_DISPLACEMENT_WEIGHT
        for component, left_over in zip(field, (steps - sample_displacement(field, index)).T):
            mean = gaussian_filter(splat(left_over), sigma, mode="constant", truncate=3.0) * scale
            component += mean / certainty
    return field


def sample_displacement(field: np.ndarray, index: np.ndarray) -> np.ndarray:
    """Return the displacement (N, 3) at fractional places (N, 3), x, y, z in voxels, as at the border beyond it."""
    return np.stack([map_coordinates(c, index.T[::-1], order=1, mode="nearest") for c in field], axis=1)


def measure_least_volume_change(field: np.ndarray, spacing_mm: float) -> float:
    """Return the smallest determinant of the Jacobian of ``x + field(x)``: the map folds where it is not positive."""
    gradients = [np.gradient(component, spacing_mm) for component in field]
    jacobian = np.empty((*field.shape[1:], 3, 3), np.float32)
    for i in range(3):
        for j in range(3):
            jacobian[..., i, j] = gradients[i][2 - j] + (i == j)
    return float(np.linalg.det(jacobian).min())


class _Splat:
    """Spreads values at scattered places (N, 3), x, y, z in voxels, to the eight voxels around each."""

    def __init__(self, index: np.ndarray, shape: tuple[int, int, int]) -> None:
        self.shape = shape
        base = np.floor(index).astype(int)
        part = index - base
        corners = list(np.ndindex(2, 2, 2))
        self._where = np.stack([np.ravel_multi_index((base + corner).T[::-1], shape) for corner in corners])
        self._weights = np.stack([np.prod(np.where(corner, part, 1 - part), axis=1) for corner in corners])

    def __call__(self, values: np.ndarray) -> np.ndarray:
        sums = np.bincount(self._where.ravel(), (self._weights * values).ravel(), int(np.prod(self.shape)))
        return sums.reshape(self.shape).astype(np.float32)
