"""The pictures of all surfaces together: from the front and from the outer side of each leg."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from KneeSegLib.anatomy import SIDES, Structure
from KneeSegLib.report.pictures import Picture, choose_bar_mm, encode_png
from KneeSegLib.report.settings import (
    LARGEST_SOLIDS_PIXELS,
    SOLID_MARGIN_FRACTION,
    SOLID_TEXT_FRACTION,
)
from KneeSegLib.report.shading import (
    FROM_BEHIND,
    FROM_LEFT,
    FROM_RIGHT,
    FRONT,
    ColoredMesh,
    Viewpoint,
    draw_meshes,
)

if TYPE_CHECKING:
    from vtkmodules.vtkCommonDataModel import vtkPolyData

_SIDE_VIEWS = {"right": FROM_RIGHT, "left": FROM_LEFT}


def draw_solids(surfaces: Sequence[tuple[Structure, vtkPolyData]]) -> list[Picture]:
    """Return pictures of one scale and height: the front, then each leg that was found from its outer side.

    Args:
        surfaces: closed surfaces in common LPS, mm; empty ones are skipped.
    """
    return draw_solid_meshes(
        [(structure, _color(surface, structure)) for structure, surface in surfaces if surface.GetNumberOfCells()]
    )


def draw_solid_meshes(
    meshes: Sequence[tuple[Structure, ColoredMesh]],
    most_pixels: tuple[int, int] = LARGEST_SOLIDS_PIXELS,
    from_behind: bool = False,
) -> list[Picture]:
    """Return what :func:`draw_solids` does, of meshes that have their colours.

    Args:
        most_pixels: rows and columns of all pictures side by side.
        from_behind: add a view from behind.
    """
    if not meshes:
        return []
    every_mesh = [mesh for _, mesh in meshes]
    views: list[tuple[str, Viewpoint, list[ColoredMesh]]] = [("Front view", FRONT, every_mesh)]
    if from_behind:
        views.append(("From behind", FROM_BEHIND, every_mesh))
    for side in SIDES:
        of_side = [mesh for structure, mesh in meshes if structure.side == side]
        if of_side:
            views.append((f"{side.capitalize()}, from the side", _SIDE_VIEWS[side], of_side))
    heights = np.concatenate([mesh.points[:, 2] for _, mesh in meshes])
    bottom, top = float(heights.min()), float(heights.max())
    height_mm = (top - bottom) * (1 + 2 * SOLID_MARGIN_FRACTION)
    centers, widths_mm = [], []
    for _, view, seen in views:
        points = np.concatenate([mesh.points for mesh in seen])
        right = np.asarray(view.right, dtype=float)
        across = points @ right
        center = points.mean(axis=0)
        center += right * ((across.min() + across.max()) / 2 - center @ right)
        center[2] = (bottom + top) / 2
        centers.append(center)
        widths_mm.append(float(np.ptp(across)) + 2 * SOLID_MARGIN_FRACTION * height_mm)
    rows, columns = most_pixels
    pixel_mm = max(height_mm / rows, sum(widths_mm) / columns)
    bar_mm = choose_bar_mm(min(height_mm / 2, *(1.5 * width_mm for width_mm in widths_mm)))
    return [
        Picture(
            caption=caption,
            width_mm=width_mm,
            height_mm=height_mm,
            png=encode_png(draw_meshes(seen, view, center, (width_mm, height_mm), pixel_mm)),
            png_box_mm=(0.0, 0.0, width_mm, height_mm),
            letters=view.letters,
            text_mm=SOLID_TEXT_FRACTION * max(height_mm, 0.67 * sum(widths_mm)),
            bar_mm=bar_mm,
            dark=False,
        )
        for (caption, view, seen), center, width_mm in zip(views, centers, widths_mm)
    ]


def _color(surface: vtkPolyData, structure: Structure) -> ColoredMesh:
    from KneeSegLib.geometry.mesh import points_of, triangles_of

    return ColoredMesh(points_of(surface), triangles_of(surface), structure.color)
