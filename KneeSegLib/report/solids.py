"""The pictures of all surfaces together: from the front and from the outer side of each leg."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from KneeSegLib.anatomy import SIDES, Structure
from KneeSegLib.report.shading import FROM_LEFT, FROM_RIGHT, FRONT, Mesh, Viewpoint, shaded
from KneeSegLib.report.slices import Picture, bar_length_mm, png_bytes

if TYPE_CHECKING:
    from vtkmodules.vtkCommonDataModel import vtkPolyData

_LARGEST_ROWS, _LARGEST_COLUMNS = 720, 1440  # of all pictures side by side
_MARGIN = 0.06
_TEXT_SHARE = 0.026
_SIDE_VIEWS = {"right": FROM_RIGHT, "left": FROM_LEFT}


def solid_pictures(surfaces: Mapping[Structure, vtkPolyData]) -> list[Picture]:
    """Return pictures of one scale and height: the front, then each leg that was found from its outer side.

    Args:
        surfaces: closed surfaces in LPS, mm; empty ones are skipped.
    """
    meshes = {
        structure: _mesh(surface, structure) for structure, surface in surfaces.items() if surface.GetNumberOfCells()
    }
    if not meshes:
        return []
    views: list[tuple[str, Viewpoint, list[Mesh]]] = [("Front view", FRONT, list(meshes.values()))]
    for side in SIDES:
        of_side = [mesh for structure, mesh in meshes.items() if structure.side == side]
        if of_side:
            views.append((f"{side.capitalize()}, from the side", _SIDE_VIEWS[side], of_side))
    heights = np.concatenate([mesh.points[:, 2] for mesh in meshes.values()])
    bottom, top = float(heights.min()), float(heights.max())
    height_mm = (top - bottom) * (1 + 2 * _MARGIN)
    centers, widths_mm = [], []
    for _, view, seen in views:
        points = np.concatenate([mesh.points for mesh in seen])
        right = np.asarray(view.right, dtype=float)
        across = points @ right
        center = points.mean(axis=0)
        center += right * ((across.min() + across.max()) / 2 - center @ right)
        center[2] = (bottom + top) / 2
        centers.append(center)
        widths_mm.append(float(np.ptp(across)) + 2 * _MARGIN * height_mm)
    pixel_mm = max(height_mm / _LARGEST_ROWS, sum(widths_mm) / _LARGEST_COLUMNS)
    bar_mm = bar_length_mm(min(height_mm / 2, *(1.5 * width_mm for width_mm in widths_mm)))
    return [
        Picture(
            caption=caption,
            width_mm=width_mm,
            height_mm=height_mm,
            png=png_bytes(shaded(seen, view, center, (width_mm, height_mm), pixel_mm)),
            png_box_mm=(0.0, 0.0, width_mm, height_mm),
            letters=view.letters,
            text_mm=_TEXT_SHARE * max(height_mm, 0.67 * sum(widths_mm)),
            bar_mm=bar_mm,
            dark=False,
        )
        for (caption, view, seen), center, width_mm in zip(views, centers, widths_mm)
    ]


def _mesh(surface: vtkPolyData, structure: Structure) -> Mesh:
    from KneeSegLib.geometry.mesh import points_of, triangles_of

    return Mesh(points_of(surface), triangles_of(surface), structure.color)
