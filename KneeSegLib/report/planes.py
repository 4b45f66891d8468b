"""Slices of a volume in the body's planes, cut one by one and never resampled.

Works on grids as :func:`~KneeSegLib.geometry.orientation.reorient_to_lps` leaves them: arrays run
``[S, P, L]``, inferior to superior, anterior to posterior, patient's right to left. What is left of an oblique
direction matrix stays: slices follow the scan's own axes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import SimpleITK as sitk

Plane = Literal["axial", "coronal", "sagittal"]
PLANES: tuple[Plane, ...] = ("axial", "coronal", "sagittal")
"""In the order of the array axes that they cut across."""

Position = tuple[int, int, int]
Box = tuple[slice, slice, slice]

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
class Grid:
    """Size in voxels and spacing in mm of an array ``[S, P, L]``."""

    size: tuple[int, int, int]
    spacing_mm: tuple[float, float, float]

    @classmethod
    def of(cls, image: sitk.Image) -> Grid:
        """Return the grid of a reoriented image."""
        return cls(image.GetSize()[::-1], image.GetSpacing()[::-1])


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
            half = width_mm / 2 / grid.spacing_mm[axis]
            return max(0, round(center[axis] - half)), min(grid.size[axis], max(1, round(center[axis] + half)))

        return cls(plane, center[PLANES.index(plane)], bounds(_ROW_AXIS[plane]), bounds(_COLUMN_AXIS[plane]))

    def pixel_mm(self, grid: Grid) -> tuple[float, float]:
        """Return the height and width of one pixel."""
        return grid.spacing_mm[_ROW_AXIS[self.plane]], grid.spacing_mm[_COLUMN_AXIS[self.plane]]

    def cut(self, array: np.ndarray, offset: Position = (0, 0, 0), outside: float = 0) -> np.ndarray:
        """Return the pixels as they are seen on the screen; what ``array`` does not hold is filled with ``outside``.

        Args:
            array: ``[S, P, L]``, the whole grid or a crop of it.
            offset: the voxel of the whole grid with which the crop begins.
        """
        across, rows, columns = PLANES.index(self.plane), _ROW_AXIS[self.plane], _COLUMN_AXIS[self.plane]
        height, width = self.rows[1] - self.rows[0], self.columns[1] - self.columns[0]
        pixels = np.full((height, width), outside, dtype=array.dtype)
        position = self.position - offset[across]
        if 0 <= position < array.shape[across]:
            whole = array[(slice(None),) * across + (position,)]  # the two axes left are rows, then columns
            source_rows, target_rows = _overlap(self.rows, offset[rows], array.shape[rows])
            source_columns, target_columns = _overlap(self.columns, offset[columns], array.shape[columns])
            pixels[target_rows, target_columns] = whole[source_rows, source_columns]
        return pixels[::-1] if rows == 0 else pixels


def _overlap(wanted: tuple[int, int], first: int, length: int) -> tuple[slice, slice]:
    """Return which part of ``length`` voxels from ``first`` on is wanted, and its place within the wanted ones."""
    start = max(wanted[0], first)
    stop = max(start, min(wanted[1], first + length))
    return slice(start - first, stop - first), slice(start - wanted[0], stop - wanted[0])


def box_of(extent: Sequence[int], of: sitk.Image, on: sitk.Image) -> Box:
    """Return the box ``(first i, last i, first j, ...)`` of one grid as array slices of the same grid reoriented."""
    corners = [
        on.TransformPhysicalPointToIndex(of.TransformIndexToPhysicalPoint([int(index) for index in corner]))
        for corner in (extent[0::2], extent[1::2])
    ]
    return tuple(slice(min(pair), max(pair) + 1) for pair in reversed(list(zip(*corners))))


def tilt_degrees(image: sitk.Image) -> float:
    """Return the largest angle between an axis of a reoriented grid and the body axis that it stands for."""
    cosines = np.diag(np.reshape(image.GetDirection(), (3, 3)))
    return float(np.degrees(np.arccos(np.clip(cosines.min(), -1.0, 1.0))))
