"""Pictures of cartilage thickness on the joint surfaces: the femur from below, the tibia from above, the patella from
behind."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from KneeSegLib.geometry.mesh import points_of, triangles_of
from KneeSegLib.report.shading import FROM_ABOVE, FROM_BEHIND, FROM_BELOW, Mesh, shaded
from KneeSegLib.report.slices import Picture, bar_length_mm, png_bytes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from KneeSegLib.measurements.cartilage import CartilageMeasurement

VIEWS = {
    "femur": (FROM_BELOW, "from below"),
    "tibia": (FROM_ABOVE, "from above"),
    "patella": (FROM_BEHIND, "from behind"),
}

SCALE_MM = 4.0
COLORS = np.array([(94, 42, 132), (58, 96, 158), (38, 147, 143), (104, 191, 96), (246, 225, 62)], float)
"""From no thickness to :data:`SCALE_MM` and more, 8-bit sRGB."""

BARE = (214, 208, 198)

_AROUND_MM = 6.0
_PIXELS = 420
_FRAME = 1.16


def cartilage_pictures(measured: Sequence[CartilageMeasurement]) -> list[Picture]:
    """Return a picture of each joint surface, the thickness in colours; what is far from cartilage is cut away."""
    return [_picture(entry) for entry in measured if entry.regions]


def thickness_colors(thickness_mm: np.ndarray) -> np.ndarray:
    """8-bit sRGB (P, 3) of thicknesses (P,); bare bone where it is 0."""
    place = np.clip(thickness_mm / SCALE_MM, 0.0, 1.0) * (len(COLORS) - 1)
    shown = np.stack([np.interp(place, np.arange(len(COLORS)), channel) for channel in COLORS.T], axis=1)
    return np.where((thickness_mm > 0)[:, None], shown, BARE)


def css_gradient() -> str:
    """The scale as CSS colours, from left to right."""
    return ", ".join("rgb({:.0f}, {:.0f}, {:.0f})".format(*color) for color in COLORS)


def _picture(entry: CartilageMeasurement) -> Picture:
    from vtkmodules.util.numpy_support import vtk_to_numpy

    from KneeSegLib.measurements.cartilage import THICKNESS

    points, triangles = points_of(entry.surface), triangles_of(entry.surface)
    thickness = vtk_to_numpy(entry.surface.GetPointData().GetArray(THICKNESS))
    covered = points[thickness > 0]
    low, high = covered.min(axis=0) - _AROUND_MM, covered.max(axis=0) + _AROUND_MM
    near = ((points >= low) & (points <= high)).all(axis=1)
    view, direction = VIEWS[entry.bone.tissue.key]
    mesh = Mesh(points, triangles[near[triangles].all(axis=1)], thickness_colors(thickness))
    corners = np.stack([low, high]) @ view.lps_to_screen.T
    width_mm, height_mm = np.abs(corners[1] - corners[0])[:2]
    size_mm = (_FRAME * float(width_mm), _FRAME * float(height_mm))
    picture = shaded([mesh], view, (low + high) / 2.0, size_mm, max(size_mm) / _PIXELS)
    return Picture(
        caption=f"{entry.bone.name}, {direction}",
        width_mm=size_mm[0],
        height_mm=size_mm[1],
        png=png_bytes(picture),
        png_box_mm=(0.0, 0.0, *size_mm),
        letters=view.letters,
        text_mm=0.045 * max(size_mm),
        bar_mm=bar_length_mm(max(size_mm) / 2.0),
        dark=False,
    )
