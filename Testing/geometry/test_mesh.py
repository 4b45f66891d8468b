"""Meshes as arrays and as VTK's polygonal data."""

from __future__ import annotations

import numpy as np
import pytest
from vtkmodules.vtkCommonCore import vtkPoints
from vtkmodules.vtkCommonDataModel import vtkCellArray, vtkPolyData

from KneeSegLib.geometry.mesh import enclosed_volume, point_normals, points_of, polydata_from, triangles_of

CORNERS = np.array([[0.0, 0.0, 0.0], [2.0, 0.0, 0.0], [0.0, 3.0, 0.0], [0.0, 0.0, 4.0]])
TETRAHEDRON = np.array([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]])


@pytest.mark.parametrize("count", [0, 1, 4])
def test_a_mesh_comes_back_as_it_went_in(count):
    polydata = polydata_from(CORNERS[: 4 if count else 0], TETRAHEDRON[:count])
    assert np.array_equal(points_of(polydata), CORNERS[: 4 if count else 0])
    assert np.array_equal(triangles_of(polydata), TETRAHEDRON[:count])


def test_faces_of_four_corners_are_refused():
    points, faces = vtkPoints(), vtkCellArray()
    for corner in CORNERS:
        points.InsertNextPoint(corner)
    faces.InsertNextCell(4, [0, 1, 2, 3])
    polydata = vtkPolyData()
    polydata.SetPoints(points)
    polydata.SetPolys(faces)
    with pytest.raises(ValueError, match="not triangles"):
        triangles_of(polydata)


def test_volume_is_that_of_the_tetrahedron_and_negative_inside_out():
    assert enclosed_volume(CORNERS, TETRAHEDRON) == pytest.approx(4.0)
    assert enclosed_volume(CORNERS, TETRAHEDRON[:, ::-1]) == pytest.approx(-4.0)


def test_normals_point_outward():
    outward = CORNERS - CORNERS.mean(axis=0)
    assert (np.sum(point_normals(CORNERS, TETRAHEDRON) * outward, axis=1) > 0.0).all()
