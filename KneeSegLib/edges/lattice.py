"""Coarse cells over a crop: what varies slowly along a bone's surface lives on them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from math import ceil

import numpy as np
from scipy import ndimage

from KneeSegLib.edges.settings import LATTICE_MM


@dataclass(frozen=True)
class Lattice:
    """Cells of whole voxels over a crop ``(D, H, W)``; a node is the middle of a cell.

    Attributes:
        voxels: of a cell along z, y and x.
        spacing_mm: of the crop's voxels (z, y, x).
    """

    crop_shape: tuple[int, int, int]
    voxels: tuple[int, int, int]
    spacing_mm: tuple[float, float, float]

    @classmethod
    def over(cls, crop_shape: tuple[int, int, int], spacing_mm: Sequence[float]) -> Lattice:
        """Return the lattice with cells of about :data:`~KneeSegLib.edges.settings.LATTICE_MM`, at least a voxel."""
        z, y, x = (float(step) for step in spacing_mm)
        cell = [max(round(LATTICE_MM / step), 1) for step in (z, y, x)]
        return cls(crop_shape, (cell[0], cell[1], cell[2]), (z, y, x))

    @property
    def shape(self) -> tuple[int, int, int]:
        """Cells along z, y and x."""
        z, y, x = (-(-count // size) for count, size in zip(self.crop_shape, self.voxels))
        return z, y, x

    @property
    def node_spacing_mm(self) -> tuple[float, float, float]:
        """Distances of nodes along z, y and x."""
        z, y, x = (step * size for step, size in zip(self.spacing_mm, self.voxels))
        return z, y, x

    def pool(self, values: np.ndarray) -> np.ndarray:
        """Return the mean of each cell, float32; beyond its last voxels the crop goes on as it ends."""
        missing = [count * size - had for count, size, had in zip(self.shape, self.voxels, self.crop_shape)]
        whole = np.pad(values, [(0, more) for more in missing], mode="edge") if any(missing) else values
        total = np.zeros(self.shape, np.float32)
        z, y, x = self.voxels
        for dz, dy, dx in product(range(z), range(y), range(x)):
            total += whole[dz::z, dy::y, dx::x]
        return total / (z * y * x)

    def smooth(self, field: np.ndarray, sigma_mm: float) -> np.ndarray:
        """Return a field of nodes blurred by a Gaussian; at its border it goes on as it ends."""
        sigmas = [sigma_mm / step for step in self.node_spacing_mm]
        return ndimage.gaussian_filter(field, sigmas, mode="nearest", truncate=3.0)

    def to_nodes(self, index: np.ndarray) -> np.ndarray:
        """Return where indices ``(3, N)`` of the crop lie among the nodes."""
        size = np.array(self.voxels, np.float32)[:, None]
        return (index - (size - 1.0) / 2.0) / size

    def cell_numbers(self, index: np.ndarray) -> np.ndarray:
        """Return the number ``(N,)`` of the cell that holds each index ``(3, N)`` of the crop."""
        z, y, x = np.rint(self.to_nodes(index)).astype(np.intp)
        return np.asarray(np.ravel_multi_index((z, y, x), self.shape, mode="clip"))

    def sample(self, field: np.ndarray, index: np.ndarray) -> np.ndarray:
        """Return a field of nodes at indices ``(3, N)`` of the crop, linearly interpolated."""
        return ndimage.map_coordinates(field, self.to_nodes(index), order=1, mode="nearest", output=np.float32)

    def find_voxels_near(self, reaches_mm: np.ndarray) -> np.ndarray:
        """Return the indices ``(3, N)`` of the crop's voxels in some cells and around them.

        Args:
            reaches_mm: how far around each cell; negative for those from which nothing reaches anywhere.
        """
        unit = min(self.node_spacing_mm)
        near = np.zeros(self.shape, np.uint8)
        rings = np.ceil(reaches_mm / unit)
        for ring in range(1, int(rings.max()) + 1):
            size = [2 * ceil(ring * unit / step - 1e-6) + 1 for step in self.node_spacing_mm]
            near |= np.asarray(ndimage.maximum_filter((rings == ring).view(np.uint8), size, mode="constant"), np.uint8)
        for axis, voxels in enumerate(self.voxels):
            near = near.repeat(voxels, axis=axis)
        z, y, x = self.crop_shape
        return np.stack(np.nonzero(near[:z, :y, :x]))
