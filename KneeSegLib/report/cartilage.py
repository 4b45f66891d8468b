"""Pictures of cartilage thickness on the joint surfaces: the femur from below, the tibia from above, the patella from
behind."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from KneeSegLib.geometry.mesh import points_of, triangles_of
from KneeSegLib.report.pictures import Picture, choose_bar_mm, encode_png
from KneeSegLib.report.settings import (
    BARE_BONE_COLOR,
    CARTILAGE_AROUND_MM,
    CARTILAGE_COLORS,
    CARTILAGE_FRAME,
    CARTILAGE_PIXELS,
    CARTILAGE_SCALE_MM,
    CARTILAGE_TEXT_FRACTION,
)
from KneeSegLib.report.shading import FROM_ABOVE, FROM_BEHIND, FROM_BELOW, ColoredMesh, draw_meshes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from KneeSegLib.measurements.cartilage import CartilageMeasurement

VIEWS = {
    "femur": (FROM_BELOW, "from below"),
    "tibia": (FROM_ABOVE, "from above"),
    "patella": (FROM_BEHIND, "from behind"),
}


def draw_cartilage(measured: Sequence[CartilageMeasurement]) -> list[Picture]:
    """Return a picture of each joint surface, the thickness in colours; what is far from cartilage is cut away."""
    return [_draw_joint_surface(entry) for entry in measured if entry.regions]


def color_thickness(thickness_mm: np.ndarray) -> np.ndarray:
    """Return 8-bit sRGB (P, 3) of thicknesses (P,); bare bone where it is 0."""
    steps = np.arange(len(CARTILAGE_COLORS))
    place = np.clip(thickness_mm / CARTILAGE_SCALE_MM, 0.0, 1.0) * steps[-1]
    shown = np.stack([np.interp(place, steps, channel) for channel in zip(*CARTILAGE_COLORS)], axis=1)
    return np.where((thickness_mm > 0)[:, None], shown, BARE_BONE_COLOR)


def format_css_gradient(colors: Sequence[tuple[int, int, int]] = CARTILAGE_COLORS) -> str:
    """Return a scale, that of the thickness if no other is given, as CSS colours from left to right."""
    return ", ".join("rgb({}, {}, {})".format(*color) for color in colors)


def _draw_joint_surface(entry: CartilageMeasurement) -> Picture:
    from vtkmodules.util.numpy_support import vtk_to_numpy

    from KneeSegLib.measurements.cartilage import THICKNESS

    points, triangles = points_of(entry.surface), triangles_of(entry.surface)
    thickness = vtk_to_numpy(entry.surface.GetPointData().GetArray(THICKNESS))
    covered = points[thickness > 0]
    low, high = covered.min(axis=0) - CARTILAGE_AROUND_MM, covered.max(axis=0) + CARTILAGE_AROUND_MM
    near = ((points >= low) & (points <= high)).all(axis=1)
    view, direction = VIEWS[entry.bone.tissue.key]
    mesh = ColoredMesh(points, triangles[near[triangles].all(axis=1)], color_thickness(thickness))
    corners = np.stack([low, high]) @ view.lps_to_screen.T
    width_mm, height_mm = np.abs(corners[1] - corners[0])[:2]
    size_mm = (CARTILAGE_FRAME * float(width_mm), CARTILAGE_FRAME * float(height_mm))
    picture = draw_meshes([mesh], view, (low + high) / 2.0, size_mm, max(size_mm) / CARTILAGE_PIXELS)
    return Picture(
        caption=f"{entry.bone.name}, {direction}",
        width_mm=size_mm[0],
        height_mm=size_mm[1],
        png=encode_png(picture),
        png_box_mm=(0.0, 0.0, *size_mm),
        letters=view.letters,
        text_mm=CARTILAGE_TEXT_FRACTION * max(size_mm),
        bar_mm=choose_bar_mm(max(size_mm) / 2.0),
        dark=False,
    )
