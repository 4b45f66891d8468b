"""Grids of cubes along the LPS axes: what distances of bones are worked out on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

Position = tuple[float, float, float]
Slices = tuple[slice, slice, slice]


@dataclass(frozen=True)
class CubicGrid:
    """A grid of cubic voxels.

    Attributes:
        origin_mm: position (x, y, z) of the centre of the first voxel.
        spacing_mm: edge of a voxel.
        shape: number of voxels along z, y, x.
    """

    origin_mm: Position
    spacing_mm: float
    shape: tuple[int, int, int]

    @classmethod
    def around(cls, low: np.ndarray, high: np.ndarray, spacing_mm: float, multiple: int = 4) -> CubicGrid:
        """Return the grid that covers the box between two corners (x, y, z), its extents rounded up to a multiple."""
        x, y, z = np.asarray(low, float)
        columns, rows, depth = np.ceil((np.asarray(high) - low) / spacing_mm / multiple).astype(int) * multiple
        return cls((x, y, z), spacing_mm, (int(depth), int(rows), int(columns)))

    def coordinates(self) -> list[np.ndarray]:
        """Return the positions of the voxel centres along x, y and z in mm."""
        return [start + self.spacing_mm * np.arange(size) for start, size in zip(self.origin_mm, self.shape[::-1])]

    def part(self, low: np.ndarray, high: np.ndarray) -> tuple[CubicGrid, Slices] | None:
        """Return the part of the grid inside a box and its place in the whole (z, y, x); None if they do not meet."""
        sizes = np.array(self.shape[::-1])
        first = np.clip(np.ceil((low - np.array(self.origin_mm)) / self.spacing_mm), 0, sizes).astype(int)
        last = np.clip(np.floor((high - np.array(self.origin_mm)) / self.spacing_mm) + 1, 0, sizes).astype(int)
        if np.any(last <= first):
            return None
        x, y, z = np.array(self.origin_mm) + first * self.spacing_mm
        depth, rows, columns = (slice(int(start), int(stop)) for start, stop in zip(first[::-1], last[::-1]))
        shape = (depth.stop - depth.start, rows.stop - rows.start, columns.stop - columns.start)
        return CubicGrid((x, y, z), self.spacing_mm, shape), (depth, rows, columns)

    def corners(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the centres (x, y, z) of the first and of the last voxel in mm."""
        low = np.array(self.origin_mm)
        return low, low + self.spacing_mm * (np.array(self.shape[::-1]) - 1)
