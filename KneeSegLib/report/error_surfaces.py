"""Error maps on surfaces: the reference's surface in the colours of how far the prediction lies beyond or within it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import SimpleITK as sitk

from KneeSegLib.anatomy import Structure, structure_of_label
from KneeSegLib.geometry.boxes import find_label_boxes
from KneeSegLib.geometry.mesh import point_normals, points_of, triangles_of
from KneeSegLib.report.settings import (
    ABSENT_COLOR,
    DISTANCE_COLORS,
    DISTANCE_SCALE_MM,
    ERROR_SOLIDS_PIXELS,
    NEAR_SURFACE_VOXELS,
)
from KneeSegLib.report.shading import ColoredMesh
from KneeSegLib.report.solids import draw_solid_meshes

if TYPE_CHECKING:
    from vtkmodules.vtkCommonDataModel import vtkPolyData

    from KneeSegLib.report.error_slices import JudgedPrediction
    from KneeSegLib.report.pictures import Picture


def mesh_structures(labels: sitk.Image) -> dict[Structure, vtkPolyData]:
    """Return the closed surface (LPS, mm) of every structure that ``labels`` hold."""
    from KneeSegLib.surfaces import surface_of

    found = find_label_boxes(sitk.GetArrayViewFromImage(labels))
    return {structure_of_label(value): surface_of(labels, structure_of_label(value)) for value in found}


def draw_error_surfaces(reference: Mapping[Structure, vtkPolyData], prediction: JudgedPrediction) -> list[Picture]:
    """Return pictures of the reference's surfaces in the colours of :func:`color_distance`.

    Where a part is missed the surface is far beyond the prediction; a piece that the prediction adds elsewhere is not
    seen on it.

    Args:
        reference: surfaces of :func:`mesh_structures`.
    """
    predicted = mesh_structures(prediction.labels)
    near_mm = NEAR_SURFACE_VOXELS * max(prediction.labels.GetSpacing())
    meshes = []
    for structure, surface in reference.items():
        if structure not in prediction.structures:
            continue
        points, color = points_of(surface), np.array(ABSENT_COLOR)
        if structure in predicted:
            color = color_distance(measure_signed_distance(points, predicted[structure], near_mm))
        meshes.append((structure, ColoredMesh(points, triangles_of(surface), color)))
    return draw_solid_meshes(meshes, ERROR_SOLIDS_PIXELS, from_behind=True)


def measure_signed_distance(points: np.ndarray, surface: vtkPolyData, near_mm: float) -> np.ndarray:
    """Return how far (mm) a closed surface lies beyond each of ``points`` (P, 3); negative where it lies within.

    Near its surface a point's distance is that to the plane through the surface's nearest point, which is right to
    the second order and takes a tenth of the time of VTK's exact one; farther away it is that to the point itself.
    """
    from scipy.spatial import KDTree

    of_surface = points_of(surface)
    far_mm, nearest = KDTree(of_surface).query(points)
    normals = point_normals(of_surface, triangles_of(surface))[nearest]
    outside_mm = np.einsum("pc,pc->p", points - of_surface[nearest], normals)
    return -np.where(far_mm <= near_mm, outside_mm, np.copysign(far_mm, outside_mm))


def color_distance(signed_mm: np.ndarray) -> np.ndarray:
    """Return 8-bit sRGB (P, 3) of signed distances (P,): the first colour is too small, the last one too large."""
    steps = np.linspace(-DISTANCE_SCALE_MM, DISTANCE_SCALE_MM, len(DISTANCE_COLORS))
    return np.stack([np.interp(signed_mm, steps, channel) for channel in zip(*DISTANCE_COLORS)], axis=1)
