"""Fewer triangles, where somebody asks for them: for planning software and printers that choke on a million."""

from __future__ import annotations

import math

import numpy as np
from vtkmodules.vtkCommonDataModel import vtkPolyData
from vtkmodules.vtkFiltersCore import vtkQuadricDecimation

from KneeSegLib.errors import InputError
from KneeSegLib.geometry.mesh import face_normals, points_of, polydata_from, triangles_of
from KneeSegLib.surfaces.topology import topology_of

_LESS_AND_LESS = (1.0, 1.1, 1.25, 1.5, 2.0)
"""Triangles left over, as multiples of those wanted, in the order in which they are tried."""


def decimate(polydata: vtkPolyData, target_edge_mm: float) -> vtkPolyData:
    """Return a copy with edges of about ``target_edge_mm``: longer where it is flat, shorter where it is curved.

    The number of triangles is that of an even mesh with edges of this length. Edges collapse in the order of the error
    that this makes (M. Garland, P. Heckbert, Surface simplification using quadric error metrics, SIGGRAPH 1997).
    Pieces, handles and watertightness stay as they are: where the full reduction would change them, less is reduced.

    Raises:
        InputError: the length is not positive.
    """
    if not target_edge_mm > 0:
        raise InputError(f"The target length of edges must be positive, not {target_edge_mm} mm.")
    points, triangles = points_of(polydata), triangles_of(polydata)
    topology = topology_of(triangles)
    area = np.linalg.norm(face_normals(points, triangles), axis=1).sum() / 2
    wanted = area / (math.sqrt(3) / 4 * target_edge_mm**2)
    for multiple in _LESS_AND_LESS:
        if multiple * wanted >= len(triangles):
            break
        reduced = _reduced(polydata, 1.0 - multiple * wanted / len(triangles))
        if topology_of(triangles_of(reduced)) == topology:
            return reduced
    return _copy(polydata)


def _reduced(polydata: vtkPolyData, reduction: float) -> vtkPolyData:
    decimation = vtkQuadricDecimation()
    decimation.SetInputData(polydata)
    decimation.SetTargetReduction(reduction)
    decimation.VolumePreservationOn()
    decimation.Update()
    reduced = polydata_from(points_of(decimation.GetOutput()), triangles_of(decimation.GetOutput()))
    reduced.GetFieldData().ShallowCopy(polydata.GetFieldData())
    return reduced


def _copy(polydata: vtkPolyData) -> vtkPolyData:
    copy = vtkPolyData()
    copy.DeepCopy(polydata)
    return copy
