"""Smoothing of closed surfaces. The default keeps volume; every smoothing says how far it moved the surface.

Two filters, by name (``SMOOTHINGS``):

``"volume-preserving"``
    The default. A low-pass filter takes the terraces of the voxel grid out; what it takes from the shape itself (a
    small sphere shrinks, a thin plate too) is the slowly varying part of the movement along the normals, and is given
    back.
``"inverse-distance-laplacian"``
    Every point moves to the mean of its neighbours, weighted by one over their distance, as in the paper on low-field
    MR of the knee (A. Belyaev, Mesh smoothing and enhancing). It shrinks, most of all where bone is thin: offered
    for comparison only.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy import sparse
from vtkmodules.util.numpy_support import numpy_to_vtk, vtk_to_numpy
from vtkmodules.vtkCommonCore import vtkStringArray
from vtkmodules.vtkCommonDataModel import vtkPolyData

from KneeSegLib.errors import InputError
from KneeSegLib.geometry.mesh import (
    directed_edges,
    enclosed_volume,
    point_normals,
    points_of,
    polydata_from,
    triangles_of,
)

DEFAULT_SMOOTHING = "volume-preserving"
DEFAULT_ROUNDS = 20
_NAME_ARRAY = "Smoothing"
_FIGURES_ARRAY = "SmoothingMovedMeanMmMaxMmVolumeRatio"


@dataclass(frozen=True)
class Movement:
    """What a smoothing did. Distances are along the normal: sliding within the surface is no change of shape."""

    smoothing: str
    mean_mm: float
    max_mm: float
    volume_ratio: float


def smooth(polydata: vtkPolyData, smoothing: str = DEFAULT_SMOOTHING, rounds: int = DEFAULT_ROUNDS) -> vtkPolyData:
    """Return a smoothed copy of a closed surface; :func:`movement_of` tells how far it moved.

    Args:
        polydata: closed triangle mesh, mm.
        smoothing: a key of ``SMOOTHINGS``.
        rounds: how often every point averages its neighbours, and so how many edges away it feels the surface.

    Raises:
        InputError: no smoothing has that name.
    """
    points, triangles = points_of(polydata), triangles_of(polydata)
    moved = smoothed_points(points, triangles, smoothing, rounds)
    return with_movement(polydata_from(moved, triangles), smoothing, points)


def smoothed_points(
    points: np.ndarray,
    triangles: np.ndarray,
    smoothing: str = DEFAULT_SMOOTHING,
    rounds: int = DEFAULT_ROUNDS,
    fixed: np.ndarray | None = None,
) -> np.ndarray:
    """Return the new positions of ``points`` (N, 3) of a closed mesh, mm.

    Args:
        fixed: bool (N, 3), coordinates that must not change, such as the height of a flat cap.
    """
    if smoothing not in SMOOTHINGS:
        raise InputError(f"No smoothing is called {smoothing!r}; choose one of {', '.join(SMOOTHINGS)}.")
    if fixed is None:
        fixed = np.zeros(points.shape, bool)
    # Single precision around the centre: micrometres, at twice the speed.
    center = points.mean(axis=0)
    moved = SMOOTHINGS[smoothing]((points - center).astype(np.float32), triangles, rounds, fixed) + center
    return np.where(fixed, points, moved)


def _volume_preserving(points: np.ndarray, triangles: np.ndarray, rounds: int, fixed: np.ndarray) -> np.ndarray:
    mean_of_neighbours = _mean_of_neighbours(len(points), triangles)
    gains = _low_pass(rounds)
    smoothed = _filtered(lambda values: np.where(fixed, values, mean_of_neighbours @ values), points, gains)
    normals = point_normals(smoothed, triangles).astype(np.float32)
    taken = np.einsum("ij,ij->i", points - smoothed, normals)
    return smoothed + normals * _filtered(lambda values: mean_of_neighbours @ values, taken, gains)[:, None]


def _inverse_distance_laplacian(
    points: np.ndarray, triangles: np.ndarray, rounds: int, fixed: np.ndarray
) -> np.ndarray:
    neighbours = _neighbours(len(points), triangles)
    source = np.repeat(np.arange(len(points)), np.diff(neighbours.indptr))
    for _ in range(rounds):
        distance = np.linalg.norm(points[source] - points[neighbours.indices], axis=1)
        neighbours.data[:] = 1.0 / np.maximum(distance, 1e-6)
        total = np.add.reduceat(neighbours.data, neighbours.indptr[:-1])
        points = np.where(fixed, points, (neighbours @ points) / total[:, None])
    return points


def _unchanged(points: np.ndarray, triangles: np.ndarray, rounds: int, fixed: np.ndarray) -> np.ndarray:
    return points


SMOOTHINGS: dict[str, Callable[[np.ndarray, np.ndarray, int, np.ndarray], np.ndarray]] = {
    "volume-preserving": _volume_preserving,
    "inverse-distance-laplacian": _inverse_distance_laplacian,
    "none": _unchanged,
}
"""Smoothings by name: (points, triangles, rounds, fixed coordinates) to new points."""


@lru_cache
def _low_pass(degree: int) -> np.ndarray:
    """Return the Chebyshev coefficients of a low-pass filter, a polynomial in "mean of the neighbours".

    A wave that this operator scales by x (1: constant, less: shorter waves) is scaled by the polynomial at x. Of all
    polynomials of its degree that leave x = 1 alone, in value and slope, it lets least of the short waves through
    (after G. Taubin, T. Zhang, G. Golub, Optimal surface smoothing as filter design, ECCV 1996).
    """
    shortest_kept = 40.0 / degree**2
    x = np.linspace(-1.0, 1.0 - min(shortest_kept, 1.0), 2000)
    order = np.arange(degree + 1)
    waves = np.cos(np.outer(np.arccos(x), order))
    energy = waves.T @ waves / len(x) + 1e-9 * np.eye(degree + 1)
    at_one = np.stack([np.ones(degree + 1), order**2.0])
    system = np.block([[energy, at_one.T], [at_one, np.zeros((2, 2))]])
    return np.linalg.solve(system, np.r_[np.zeros(degree + 1), 1.0, 0.0])[: degree + 1].astype(np.float32)


def _filtered(average: Callable[[np.ndarray], np.ndarray], values: np.ndarray, gains: np.ndarray) -> np.ndarray:
    """Apply to ``values`` the Chebyshev series with coefficients ``gains`` in the linear operator ``average``."""
    before, current = values, average(values)
    total = gains[0] * before + gains[1] * current
    for gain in gains[2:]:
        before, current = current, 2 * average(current) - before
        total += gain * current
    return total


def _mean_of_neighbours(count: int, triangles: np.ndarray) -> sparse.csr_matrix:
    neighbours = _neighbours(count, triangles)
    neighbours.data /= np.repeat(np.diff(neighbours.indptr), np.diff(neighbours.indptr))
    return neighbours


def _neighbours(count: int, triangles: np.ndarray) -> sparse.csr_matrix:
    """Return the adjacency of the points as ones; both directions are there because the surface is closed."""
    start, end = directed_edges(triangles).T
    adjacency = sparse.csr_matrix((np.ones(len(start), np.float32), (start, end)), shape=(count, count))
    adjacency.data[:] = 1.0
    return adjacency


def with_movement(polydata: vtkPolyData, smoothing: str, points_before: np.ndarray) -> vtkPolyData:
    """Note in the mesh's field data what smoothed it and how far it moved from ``points_before`` (N, 3); returns it."""
    points, triangles = points_of(polydata), triangles_of(polydata)
    along_normal = np.abs(np.einsum("ij,ij->i", points - points_before, point_normals(points_before, triangles)))
    volume_before = enclosed_volume(points_before, triangles)
    ratio = enclosed_volume(points, triangles) / volume_before if volume_before else 1.0
    name = vtkStringArray()
    name.SetName(_NAME_ARRAY)
    name.InsertNextValue(smoothing)
    figures = numpy_to_vtk(np.array([along_normal.mean(), along_normal.max(), ratio]), deep=True)
    figures.SetName(_FIGURES_ARRAY)
    polydata.GetFieldData().AddArray(name)
    polydata.GetFieldData().AddArray(figures)
    return polydata


def movement_of(polydata: vtkPolyData) -> Movement | None:
    """Return how far smoothing moved this surface, or None where nobody noted it."""
    name = polydata.GetFieldData().GetAbstractArray(_NAME_ARRAY)
    figures = polydata.GetFieldData().GetArray(_FIGURES_ARRAY)
    if name is None or figures is None:
        return None
    mean_mm, max_mm, volume_ratio = (float(value) for value in vtk_to_numpy(figures))
    return Movement(name.GetValue(0), mean_mm, max_mm, volume_ratio)
