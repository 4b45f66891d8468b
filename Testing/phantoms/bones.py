"""Families of bones whose shape is a formula: each is the image of the unit sphere under a known map."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from KneeSegLib.anatomy import CARTILAGES, Side, structure
from KneeSegLib.training.synthesis.meshes import Mesh

SPACING_MM = 1.5
_HALF_BOX_MM = (32.0, 22.0, 32.0)


@dataclass(frozen=True)
class Pebble:
    """A patella of sorts: an ellipsoid, longer or shorter along x, that leans to the left further up.

    ``lean`` gives it a right and a left: a mirrored one leans to the other side.
    """

    length: float = 0.0
    lean: float = 0.0
    offset: tuple[float, float, float] = (0.0, 0.0, 0.0)

    def placed(self, sphere: np.ndarray) -> np.ndarray:
        """Points (P, 3) of the unit sphere on the surface, mm."""
        x, y, z = (sphere * (18 + self.length, 11, 20)).T
        return np.column_stack([x + self._shift(z), y, z]) + self.offset

    def sphere_points(self, points: np.ndarray) -> np.ndarray:
        """The inverse of :meth:`placed`, for points anywhere."""
        x, y, z = (points - self.offset).T
        return np.column_stack([x - self._shift(z), y, z]) / (18 + self.length, 11, 20)

    def labels(self, side: Side = "right", with_cartilage: bool = False, spacing_mm: float = SPACING_MM) -> sitk.Image:
        """Label map; with cartilage as a shell of 3 mm behind the patella (y > 0). A left one is mirrored."""
        points, image = _grid(np.array(self.offset), spacing_mm)
        radius = np.linalg.norm(self.sphere_points(points), axis=1)
        values = np.where(radius < 1, structure("patella", side).label_value, 0)
        if with_cartilage:
            shell = (radius >= 1) & (radius < 1.3) & (points[:, 1] > self.offset[1] + 3)
            values[shell] = structure(CARTILAGES["patella"], side).label_value
        return _filled(image, values, side)

    def _shift(self, z: np.ndarray) -> np.ndarray:
        return (4 + self.lean) * (np.abs(z / 20) ** 1.5 * np.sign(z) + (z / 20) ** 2)


def wrong_bone(spacing_mm: float = SPACING_MM) -> sitk.Image:
    """A label map whose patella is two bars at right angles, as no affine transform makes it of a pebble."""
    points, image = _grid(np.zeros(3), spacing_mm)
    x, y, z = points.T
    upright = (np.abs(x + 14) < 5) & (np.abs(y) < 8) & (np.abs(z) < 24)
    flat = (np.abs(z + 19) < 5) & (np.abs(y) < 8) & (np.abs(x - 3) < 22)
    return _filled(image, np.where(upright | flat, structure("patella", "right").label_value, 0), "right")


def nothing(spacing_mm: float = SPACING_MM) -> sitk.Image:
    """A label map without a bone."""
    points, image = _grid(np.zeros(3), spacing_mm)
    return _filled(image, np.zeros(len(points)), "right")


def distal_femur(shaft_mm: float, spacing_mm: float = 2.0, taper: float = 0.0) -> sitk.Image:
    """A right femur of sorts: an ellipsoid from z = -30 to 10 mm and 60 mm wide, on it a shaft up to ``shaft_mm``.

    ``taper`` is what the shaft's radius, 12 mm at z = 10, loses per mm of height.
    """
    axes = [np.arange(-40, 40, spacing_mm), np.arange(-40, 40, spacing_mm), np.arange(-34, shaft_mm, spacing_mm)]
    z, y, x = np.meshgrid(*axes[::-1], indexing="ij")
    inside = ((x / 30) ** 2 + (y / 28) ** 2 + ((z + 10) / 20) ** 2 < 1) | (
        (np.hypot(x, y) < 12 - taper * (z - 10)) & (z > 0)
    )
    image = sitk.GetImageFromArray(inside.astype(np.uint8) * structure("femur", "right").label_value)
    image.SetSpacing((spacing_mm,) * 3)
    image.SetOrigin((-40.0, -40.0, -34.0))
    return image


def sphere(rings: int = 24) -> Mesh:
    """The unit sphere as a closed mesh, triangles outward."""
    polar = np.linspace(0, np.pi, rings + 1)[1:-1]
    around = np.linspace(0, 2 * np.pi, 2 * rings, endpoint=False)
    theta, phi = np.meshgrid(polar, around, indexing="ij")
    body = np.stack([np.sin(theta) * np.cos(phi), np.sin(theta) * np.sin(phi), np.cos(theta)], -1).reshape(-1, 3)
    vertices = np.concatenate([body, [[0, 0, 1], [0, 0, -1]]])
    number = np.arange(len(body)).reshape(theta.shape)
    right = np.roll(number, -1, axis=1)
    top, bottom = len(body), len(body) + 1
    triangles = [
        np.stack([number[:-1], number[1:], right[:-1]], -1).reshape(-1, 3),
        np.stack([right[:-1], number[1:], right[1:]], -1).reshape(-1, 3),
        np.stack([np.full(len(around), top), number[0], right[0]], -1),
        np.stack([np.full(len(around), bottom), right[-1], number[-1]], -1),
    ]
    return Mesh(vertices, np.concatenate(triangles))


def write(image: sitk.Image, path: Path) -> Path:
    """Write a label map and return its path."""
    sitk.WriteImage(image, str(path), True)
    return path


def _grid(center: np.ndarray, spacing_mm: float) -> tuple[np.ndarray, sitk.Image]:
    """Voxel centres (P, 3) around a point, and the empty image that has them."""
    sizes = [int(2 * half / spacing_mm) for half in _HALF_BOX_MM]
    low = center - np.array(sizes) * spacing_mm / 2
    image = sitk.Image(sizes, sitk.sitkUInt8)
    image.SetSpacing((spacing_mm,) * 3)
    image.SetOrigin(low)
    indices = np.indices(sizes[::-1]).reshape(3, -1)[::-1].T
    return low + indices * spacing_mm, image


def _filled(image: sitk.Image, values: np.ndarray, side: Side) -> sitk.Image:
    array = np.reshape(values, image.GetSize()[::-1]).astype(np.uint8)
    origin = np.array(image.GetOrigin())
    if side == "left":
        array = array[:, :, ::-1]
        origin[0] = -(origin[0] + (image.GetSize()[0] - 1) * image.GetSpacing()[0])
    filled = sitk.GetImageFromArray(np.ascontiguousarray(array))
    filled.SetSpacing(image.GetSpacing())
    filled.SetOrigin(origin)
    return filled
