"""The error of the correspondence of warped points, on a family of shapes whose correspondence is known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from vtkmodules.vtkCommonCore import mutable
from vtkmodules.vtkCommonDataModel import vtkStaticCellLocator

from KneeSegLib.geometry.mesh import point_normals, polydata_from


@dataclass(frozen=True)
class CorrespondenceError:
    """Distance in mm of warped points from where they belong: all points of all cases.

    ``along_mm`` is the mean of its part within the surface, ``across_mm`` of that along the normal.
    """

    mean_mm: float
    median_mm: float
    percentile_95_mm: float
    along_mm: float
    across_mm: float


def measure_correspondence_error(
    warped: np.ndarray, cases: np.ndarray, reference: int, triangles: np.ndarray
) -> CorrespondenceError:
    """Compare points that a registration warped with where the known correspondence takes them.

    Args:
        warped: (N, P, 3) mm, the points on each case; those of case number ``reference`` are where they were set.
        cases: (N, V, 3) mm, the surfaces of the cases, vertex v of one corresponding to vertex v of all others.
        triangles: (T, 3) of these surfaces.
    """
    owners, weights = _locate(warped[reference], cases[reference], triangles)
    others = np.flatnonzero(np.arange(len(cases)) != reference)
    corners = cases[others][:, triangles[owners]]
    true = np.einsum("pc,npcx->npx", weights, corners)
    normals = np.stack([point_normals(vertices, triangles) for vertices in cases[others]])
    across_direction = np.einsum("pc,npcx->npx", weights, normals[:, triangles[owners]])
    across_direction /= np.linalg.norm(across_direction, axis=-1, keepdims=True)

    offset = warped[others] - true
    distance = np.linalg.norm(offset, axis=-1)
    across = np.abs(np.sum(offset * across_direction, axis=-1))
    along = np.sqrt(np.maximum(distance**2 - across**2, 0))
    return CorrespondenceError(
        mean_mm=float(distance.mean()),
        median_mm=float(np.median(distance)),
        percentile_95_mm=float(np.percentile(distance, 95)),
        along_mm=float(along.mean()),
        across_mm=float(across.mean()),
    )


def _locate(points: np.ndarray, vertices: np.ndarray, triangles: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the triangle (P,) nearest to each point, and the barycentric coordinates (P, 3) of its foot there."""
    center = vertices.mean(axis=0)  # VTK's points are single precision here
    locator = vtkStaticCellLocator()
    locator.SetDataSet(polydata_from(vertices - center, triangles))
    locator.BuildLocator()
    foot = [0.0] * 3
    cell: Any = mutable(0)  # VTK's own description takes these for plain numbers
    part: Any = mutable(0)
    squared: Any = mutable(0.0)
    owners, feet = np.empty(len(points), int), np.empty((len(points), 3))
    for number, point in enumerate(points - center):
        locator.FindClosestPoint(point, foot, cell, part, squared)
        owners[number], feet[number] = cell.get(), foot
    corners = vertices[triangles[owners]] - center
    edges = np.swapaxes(corners[:, 1:] - corners[:, :1], 1, 2)
    last_two = np.einsum("pcx,px->pc", np.linalg.pinv(edges), feet - corners[:, 0])
    return owners, np.column_stack([1 - last_two.sum(axis=1), last_two])
