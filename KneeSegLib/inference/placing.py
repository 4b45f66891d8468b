"""Where along a bone's surface patches are placed: everywhere, and no more of them than needed."""

from __future__ import annotations

import numpy as np
from scipy import ndimage
from scipy.spatial import KDTree

from KneeSegLib.geometry.grid import Grid

UNSURE = (0.1, 0.9)
"""Voxels whose probability lies between these are looked at as well, whether or not a surface goes through them."""


def find_surface_candidates(probability: np.ndarray, grid: Grid) -> tuple[np.ndarray, np.ndarray]:
    """Return positions ``(N, 3)`` in mm ``(z, y, x)`` along a bone's surface, and how unsure each is (0..1).

    The faces of ``grid`` are no surface: a bone that leaves it goes on beyond.

    Args:
        probability: ``(D, H, W)`` probability of the bone on ``grid``.
    """
    inside = probability > 0.5
    edge = inside & np.logical_not(ndimage.binary_erosion(inside, border_value=1))
    places = np.argwhere(edge | ((probability > UNSURE[0]) & (probability < UNSURE[1])))
    chosen = probability[tuple(places.T)]
    positions = np.stack([axis.positions_mm[index] for axis, index in zip(grid, places.T)], axis=1)
    return positions, 4.0 * chosen * (1.0 - chosen)


def suppress_neighbours(positions_mm: np.ndarray, scores: np.ndarray, apart_mm: float) -> np.ndarray:
    """Return the positions that remain after distance-based non-maximum suppression, the highest score first.

    No two of them are closer than ``apart_mm``, and every position has one within that distance. Distance is the
    largest difference along an axis, as befits cubes.

    Args:
        positions_mm: ``(N, 3)``.
        scores: ``(N,)``; among equals the earlier one wins.
    """
    if not len(positions_mm):
        return positions_mm
    tree = KDTree(positions_mm)
    free = np.ones(len(positions_mm), bool)
    kept = []
    for index in np.argsort(-scores, kind="stable"):
        if free[index]:
            kept.append(index)
            free[tree.query_ball_point(positions_mm[index], apart_mm, p=np.inf)] = False
    return positions_mm[kept]
