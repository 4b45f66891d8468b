"""Many bones joined into one distance field without overlaps."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from KneeSegLib.training.synthesis.cubic_grid import CubicGrid
from KneeSegLib.training.synthesis.settings import REACH_MM


@dataclass(frozen=True)
class BoneVolume:
    """Bones on a grid.

    Attributes:
        grid: of both fields, which are [Z, Y, X].
        distance_mm: float32, signed distance to the nearest bone, negative inside, at most :data:`~.settings.REACH_MM`.
        numbers: uint8, number of that bone from 1 on, 0 beyond the reach of distances.
    """

    grid: CubicGrid
    distance_mm: np.ndarray
    numbers: np.ndarray


class BoneFields:
    """The distance fields of bones, added one by one: the nearest and the second nearest bone of every voxel are kept.

    Where the two are less than ``gap_mm`` apart, both surfaces are drawn back by the same amount: no bones touch.
    """

    def __init__(self, grid: CubicGrid) -> None:
        self.grid = grid
        self._first = np.full(grid.shape, REACH_MM, np.float32)
        self._second = np.full(grid.shape, REACH_MM, np.float32)
        self._nearest = np.zeros(grid.shape, np.uint8)

    def add(self, distance: np.ndarray, bone_number: int, where: tuple[slice, ...] = (slice(None),) * 3) -> None:
        """Add a bone's signed distance in mm on the part ``where`` of the grid; numbers start at 1."""
        first, second, nearest = self._first[where], self._second[where], self._nearest[where]
        closer = distance < first
        second[...] = np.where(closer, first, np.minimum(second, distance))
        nearest[closer] = bone_number
        first[closer] = distance[closer]

    def join(self, gap_mm: float) -> BoneVolume:
        """Return all bones in one volume."""
        shortage = np.maximum(gap_mm - (self._first + self._second), 0) * (self._second < REACH_MM)
        distance = np.minimum(self._first + shortage / 2, REACH_MM)
        return BoneVolume(self.grid, distance, np.where(distance < REACH_MM, self._nearest, 0).astype(np.uint8))
