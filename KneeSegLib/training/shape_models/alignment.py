"""Procrustes: corresponding points of many cases are aligned by rotation, translation and scale."""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation

from KneeSegLib.training.shape_models.settings import PROCRUSTES_CONVERGED_MM, PROCRUSTES_ROUNDS


def align(points: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Return ``points`` (P, 3) after the similarity that brings them nearest to ``target`` (P, 3), both in mm.

    S. Umeyama, Least-squares estimation of transformation parameters between two point patterns, IEEE PAMI 13 (1991).
    """
    center = target.mean(axis=0)
    centered, goal = points - points.mean(axis=0), target - center
    rotation = Rotation.align_vectors(goal, centered)[0]
    turned = rotation.apply(centered)
    return turned * (np.sum(turned * goal) / np.sum(turned**2)) + center


def align_all(shapes: np.ndarray, start: int = 0) -> np.ndarray:
    """Return all shapes (N, P, 3) aligned to their common mean, which is centred and lies like shape number ``start``.

    The mean has the average size of the shapes, size being the root mean square distance of the points from their
    centre. J. C. Gower, Generalized Procrustes analysis, Psychometrika 40 (1975).
    """
    centered = shapes - shapes.mean(axis=1, keepdims=True)
    size = np.mean([measure_radius(shape) for shape in centered])
    mean = centered[start] * (size / measure_radius(centered[start]))
    for _ in range(PROCRUSTES_ROUNDS):
        placed = np.stack([align(shape, mean) for shape in centered])
        new_mean = align(placed.mean(axis=0), centered[start])
        new_mean *= size / measure_radius(new_mean)
        moved = np.abs(new_mean - mean).max()
        mean = new_mean
        if moved < PROCRUSTES_CONVERGED_MM:
            break
    placed = np.stack([align(shape, mean) for shape in centered])
    return placed + (mean - placed.mean(axis=0))


def measure_radius(points: np.ndarray) -> float:
    """Return the root mean square distance in mm of points (P, 3) from their centre."""
    return float(np.sqrt(np.mean(np.sum((points - points.mean(axis=0)) ** 2, axis=-1))))
