"""Prepared subjects as tensors, and what of them a rendering grid meets."""

from __future__ import annotations

from functools import cached_property

import numpy as np
import torch
from torch.nn import functional

from KneeSegLib.training.synthesis.anatomy_file import BAND_MM, COARSE, CORTEX_UNIT_MM, SDF_UNIT_MM, Anatomy
from KneeSegLib.training.synthesis.fields import uniform
from KneeSegLib.training.synthesis.scene import Scene


class PreparedSubject:
    """A prepared subject as tensors, ready to be sampled many times."""

    def __init__(self, anatomy: Anatomy) -> None:
        self.joint = anatomy.joint
        self.group = anatomy.group
        self.name = anatomy.name
        self.spacing_mm = float(np.asarray(anatomy.spacing_mm)[0])
        self.shape = anatomy.sdf.shape
        self.distance = torch.from_numpy(np.ascontiguousarray(anatomy.sdf))
        self.nearest = torch.from_numpy(np.ascontiguousarray(anatomy.nearest))
        self._cortex = torch.from_numpy(np.ascontiguousarray(anatomy.cortex))
        self._far = torch.from_numpy(np.ascontiguousarray(anatomy.far))

    @property
    def extent_mm(self) -> tuple[float, float, float]:
        """Size of the prepared box ``(z, y, x)`` in mm."""
        depth, rows, columns = (size * self.spacing_mm for size in self.shape)
        return depth, rows, columns

    @cached_property
    def heights_mm(self) -> dict[int, tuple[float, float]]:
        """Lowest and highest slice of each bone, by class index, in mm from the first slice."""
        inside = torch.where(self.distance < 0, self.nearest, 0).flatten(1)
        heights = {}
        for index in torch.unique(inside).tolist():
            rows = torch.nonzero((inside == index).any(dim=1))[:, 0]
            heights[index] = (float(rows[0]) * self.spacing_mm, float(rows[-1]) * self.spacing_mm)
        return heights

    def measure_box_mm(self, index: int) -> torch.Tensor:
        """Return the box ``(3, 2)`` of a bone, lowest and highest ``(z, y, x)`` in mm from the first voxel.

        Args:
            index: the bone's class index, a key of :attr:`heights_mm`.
        """
        places = torch.nonzero((self.distance < 0) & (self.nearest == index))
        return torch.stack([places.amin(0), places.amax(0)], dim=1) * self.spacing_mm

    def find_level_mm(self, index: int, height: float) -> torch.Tensor:
        """Return the middle ``(z, y, x)`` of a bone's slice, mm from the first voxel.

        Args:
            index: the bone's class index, a key of :attr:`heights_mm`.
            height: of the slice, from 0 at the bone's lower end to 1 at its upper one.
        """
        low, high = self.heights_mm[index]
        row = round((low + height * (high - low)) / self.spacing_mm)
        while True:  # a bone in pieces has slices between its ends without it
            places = torch.nonzero((self.distance[row] < 0) & (self.nearest[row] == index))
            if len(places):
                break
            row -= 1
        y, x = places.float().mean(0).tolist()
        return torch.tensor([row, y, x]) * self.spacing_mm

    def draw_surface_point(self, index: int, generator: torch.Generator) -> torch.Tensor:
        """Draw a point ``(z, y, x)`` in mm on the surface of a bone, all its heights with equal probability.

        Args:
            index: the bone's class index, a key of :attr:`heights_mm` other than 0.
        """
        while True:  # in a slice above a dent there may be other bones' surfaces only
            row = round(uniform(self.heights_mm[index], generator) / self.spacing_mm)
            near = self.distance[row].abs() <= self.spacing_mm / SDF_UNIT_MM
            places = torch.nonzero(near & (self.nearest[row] == index))
            if len(places):
                y, x = places[int(torch.randint(len(places), (), generator=generator))].tolist()
                return torch.tensor([row, y, x]) * self.spacing_mm

    def sample(self, points_mm: torch.Tensor, spacing_mm: float) -> Scene:
        """Read the subject at ``points_mm`` ``(D, H, W, 3)``: ``(z, y, x)`` in its box, from the first voxel."""
        low = torch.floor(points_mm.amin(dim=(0, 1, 2)) / self.spacing_mm).long() - COARSE
        high = torch.ceil(points_mm.amax(dim=(0, 1, 2)) / self.spacing_mm).long() + COARSE
        limits = torch.tensor(self.shape)
        low = (low.clamp(min=0) // COARSE) * COARSE
        low = torch.minimum(low, (limits - 2 * COARSE).clamp(min=0) // COARSE * COARSE)
        high = torch.minimum(torch.maximum(high, low + 2 * COARSE), limits)
        box = tuple(slice(int(a), int(b)) for a, b in zip(low, high))
        inside = points_mm / self.spacing_mm - low
        size = torch.tensor([s.stop - s.start for s in box])
        grid = ((2.0 * inside + 1.0) / size - 1.0).flip(-1)[None]

        distance = BAND_MM - sample_volume(BAND_MM - self.distance[box].float() * SDF_UNIT_MM, grid, "bilinear")
        nearest = sample_volume(self.nearest[box].float(), grid, "nearest").to(torch.uint8)
        known = (grid[0].abs() < 1.0).all(dim=-1)

        coarse_low = low // COARSE
        coarse_high = torch.minimum(-(-high // COARSE) + 1, torch.tensor(self._far.shape))
        coarse = tuple(slice(int(a), int(b)) for a, b in zip(coarse_low, coarse_high))
        coarse_place = (inside + low - (COARSE - 1) / 2.0) / COARSE - coarse_low
        coarse_size = torch.tensor([s.stop - s.start for s in coarse])
        coarse_grid = ((2.0 * coarse_place + 1.0) / coarse_size - 1.0).flip(-1)[None]
        cortex = sample_volume(self._cortex[coarse].float() * CORTEX_UNIT_MM, coarse_grid, "bilinear", "border")
        far = sample_volume(self._far[coarse].float(), coarse_grid, "bilinear", "border")
        return Scene(distance, nearest, cortex, far, known, spacing_mm)


def sample_volume(volume: torch.Tensor, grid: torch.Tensor, mode: str, padding: str = "zeros") -> torch.Tensor:
    """Return a volume ``(Z, Y, X)`` at the relative places ``(1, D, H, W, 3)`` that ``grid_sample`` takes."""
    return functional.grid_sample(volume[None, None], grid, mode=mode, padding_mode=padding, align_corners=False)[0, 0]
