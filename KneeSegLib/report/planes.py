"""Slices of a volume in the body's planes, cut one by one and never resampled.

Works on grids as :func:`~KneeSegLib.geometry.orientation.reorient_to_lps` leaves them: arrays run ``[S, P, L]``,
inferior to superior, anterior to posterior, patient's right to left. What is left of an oblique direction matrix stays:
slices follow the scan's own axes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import SimpleITK as sitk

from KneeSegLib.geometry.boxes import ArrayBox, box_shape, make_box, overlap_boxes
from KneeSegLib.geometry.grid import Grid

Position = tuple[int, int, int]
"""A voxel of an array ``[S, P, L]``."""

Plane = Literal["axial", "coronal", "sagittal"]
PLANES: tuple[Plane, ...] = ("axial", "coronal", "sagittal")
"""In the order of the array axes that they cut across."""

# The array axes down the rows and along the columns of each plane. Viewed as radiologists do: axial from the feet,
# coronal from the front, sagittal from the patient's left.
_ROW_AXIS: dict[Plane, int] = {"axial": 1, "coronal": 0, "sagittal": 0}
_COLUMN_AXIS: dict[Plane, int] = {"axial": 2, "coronal": 2, "sagittal": 1}
LETTERS: dict[Plane, tuple[str, str, str, str]] = {
    "axial": ("A", "P", "R", "L"),
    "coronal": ("S", "I", "R", "L"),
    "sagittal": ("S", "I", "A", "P"),
}
"""Orientation letters of each plane: top, bottom, left, right."""


@dataclass(frozen=True)
class Window:
    """A rectangle of slice ``position`` of its plane; row and column bounds are half-open, in voxels."""

    plane: Plane
    position: int
    rows: tuple[int, int]
    columns: tuple[int, int]

    @classmethod
    def around(cls, plane: Plane, center: Position, width_mm: float, grid: Grid) -> Window:
        """Return the square of ``width_mm`` around the voxel ``center``, clipped to the grid."""

        def bounds(axis: int) -> tuple[int, int]:
            half = width_mm / 2 / grid[axis].spacing_mm
            return max(0, round(center[axis] - half)), min(grid[axis].count, max(1, round(center[axis] + half)))

        return cls(plane, center[PLANES.index(plane)], bounds(_ROW_AXIS[plane]), bounds(_COLUMN_AXIS[plane]))

    @property
    def box(self) -> ArrayBox:
        """The voxels that are seen: one along the axis that the plane cuts across."""
        bounds = [(self.position, self.position + 1)] * 3
        bounds[_ROW_AXIS[self.plane]], bounds[_COLUMN_AXIS[self.plane]] = self.rows, self.columns
        return make_box(bounds)

    def pixel_mm(self, grid: Grid) -> tuple[float, float]:
        """Return the height and width of one pixel."""
        return grid[_ROW_AXIS[self.plane]].spacing_mm, grid[_COLUMN_AXIS[self.plane]].spacing_mm

    def cut(self, array: np.ndarray, offset: Position = (0, 0, 0), outside: float = 0) -> np.ndarray:
        """Return the pixels as they are seen on the screen; what ``array`` does not hold is filled with ``outside``.

        Args:
            array: ``[S, P, L]``, the whole grid or a crop of it.
            offset: the voxel of the whole grid with which the crop begins.
        """
        voxels = np.full(box_shape(self.box), outside, dtype=array.dtype)
        held = make_box((first, first + size) for first, size in zip(offset, array.shape))
        overlap = overlap_boxes(self.box, held)
        if overlap is not None:
            here, there = overlap
            voxels[here] = array[there]
        pixels = voxels.squeeze(PLANES.index(self.plane))  # the two axes left are rows, then columns
        return pixels[::-1] if _ROW_AXIS[self.plane] == 0 else pixels


def turn_box(box: ArrayBox, image: sitk.Image, turned: sitk.Image) -> ArrayBox:
    """Return a box of the array of ``image`` as a box of the same grid reoriented."""
    ends = [[bounds.start for bounds in reversed(box)], [bounds.stop - 1 for bounds in reversed(box)]]
    corners = [turned.TransformPhysicalPointToIndex(image.TransformIndexToPhysicalPoint(end)) for end in ends]
    return make_box((min(pair), max(pair) + 1) for pair in reversed(list(zip(*corners))))


def measure_tilt_degrees(image: sitk.Image) -> float:
    """Return the largest angle between an axis of a reoriented grid and the body axis that it stands for."""
    cosines = np.diag(np.reshape(image.GetDirection(), (3, 3)))
    return float(np.degrees(np.arccos(np.clip(cosines.min(), -1.0, 1.0))))
