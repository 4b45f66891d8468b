"""A triangle mesh as two arrays, and its way into and out of VTK.

``points`` is float (N, 3) in mm, ``triangles`` int (M, 3) into it, counter-clockwise when seen from outside.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from vtkmodules.util.numpy_support import numpy_to_vtk, numpy_to_vtkIdTypeArray, vtk_to_numpy
from vtkmodules.vtkCommonCore import vtkPoints
from vtkmodules.vtkCommonDataModel import vtkCellArray, vtkPolyData


def polydata_from(points: np.ndarray, triangles: np.ndarray) -> vtkPolyData:
    """Return a mesh with single-precision points, which is what STL and PLY files hold, so that files lose nothing."""
    vtk_points = vtkPoints()
    vtk_points.SetData(numpy_to_vtk(np.ascontiguousarray(points, dtype=np.float32), deep=True))
    cells = vtkCellArray()
    cells.SetData(3, numpy_to_vtkIdTypeArray(np.ascontiguousarray(triangles, dtype=np.int64).ravel(), deep=True))
    polydata = vtkPolyData()
    polydata.SetPoints(vtk_points)
    polydata.SetPolys(cells)
    return polydata


def polydata_with(points: np.ndarray, triangles: np.ndarray, values: Mapping[str, np.ndarray]) -> vtkPolyData:
    """As :func:`polydata_from`, with named values (P,) on the points, single precision."""
    polydata = polydata_from(points, triangles)
    for name, of_points in values.items():
        array = numpy_to_vtk(np.ascontiguousarray(of_points, np.float32), deep=True)
        array.SetName(name)
        polydata.GetPointData().AddArray(array)
    return polydata


def points_of(polydata: vtkPolyData) -> np.ndarray:
    """Return a float64 copy of the points, shape (N, 3)."""
    if polydata.GetNumberOfPoints() == 0:
        return np.zeros((0, 3))
    return vtk_to_numpy(polydata.GetPoints().GetData()).astype(np.float64)


def triangles_of(polydata: vtkPolyData) -> np.ndarray:
    """Return an int64 copy of the triangles, shape (M, 3).

    Raises:
        ValueError: a face has more or fewer than three corners.
    """
    cells = polydata.GetPolys()
    if cells.GetNumberOfCells() == 0:
        return np.zeros((0, 3), np.int64)
    if cells.IsHomogeneous() != 3:
        raise ValueError("The surface has faces that are not triangles; run vtkTriangleFilter on it first.")
    return vtk_to_numpy(cells.GetConnectivityArray()).astype(np.int64).reshape(-1, 3)


def enclosed_volume(points: np.ndarray, triangles: np.ndarray) -> float:
    """Return the volume in mm³ by the divergence theorem; negative where the triangles are turned inside out."""
    corner = points[triangles] - points.mean(axis=0)
    return float(np.einsum("ij,ij->", corner[:, 0], np.cross(corner[:, 1], corner[:, 2])) / 6.0)


def face_normals(points: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """Return one normal for each triangle, twice the triangle's area long, shape (M, 3)."""
    corner = points[triangles]
    return np.cross(corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0])


def point_normals(points: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """Return area-weighted unit normals at the points, shape (N, 3)."""
    faces = face_normals(points, triangles)
    normals = np.stack(
        [np.bincount(triangles.ravel(), np.repeat(faces[:, axis], 3), len(points)) for axis in range(3)], axis=1
    )
    return normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-30)


def directed_edges(triangles: np.ndarray) -> np.ndarray:
    """Return the (3 M, 2) edges in the direction in which each triangle runs through them."""
    return np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])
