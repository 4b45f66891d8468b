"""Take a piece out of a prepared person, turned, stretched and warped: new anatomy from each look."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch.nn import functional

from KneeSegLib.training.synthesis.anatomy_file import BAND_MM, COARSE, CORTEX_UNIT_MM, SDF_UNIT_MM, Anatomy
from KneeSegLib.training.synthesis.fields import smooth_noise, uniform


@dataclass
class Scene:
    """What is where on the rendering grid; all ``(D, H, W)`` tensors.

    Attributes:
        distance_mm: signed distance to the nearest bone surface, negative inside.
        nearest: class index of that bone (``anatomy_file.CLASSES``), 0 far from all bones.
        cortex_mm: thickness of the cortex that the bone would have here.
        far_mm: distance to the nearest bone, also far away from it.
        known: False where the prepared person says nothing (outside its box).
        spacing_mm: isotropic.
    """

    distance_mm: torch.Tensor
    nearest: torch.Tensor
    cortex_mm: torch.Tensor
    far_mm: torch.Tensor
    known: torch.Tensor
    spacing_mm: float


@dataclass(frozen=True)
class Warp:
    """How far a look may differ from the person as prepared: bounds that random values are drawn from."""

    tilt_degrees: tuple[float, float] = (-12.0, 12.0)
    turn_degrees: tuple[float, float] = (-25.0, 25.0)
    scale: tuple[float, float] = (0.9, 1.12)
    stretch: tuple[float, float] = (0.94, 1.06)
    bend_mm: tuple[float, float] = (0.0, 3.0)
    ripple_mm: tuple[float, float] = (0.0, 0.5)


class PreparedPerson:
    """A prepared person as tensors, ready to be sampled many times."""

    def __init__(self, anatomy: Anatomy) -> None:
        self.joint = anatomy.joint
        self.group = anatomy.group
        self.subject = anatomy.subject
        self.spacing_mm = float(np.asarray(anatomy.spacing_mm)[0])
        self.shape = anatomy.sdf.shape
        self._distance = torch.from_numpy(np.ascontiguousarray(anatomy.sdf))
        self._nearest = torch.from_numpy(np.ascontiguousarray(anatomy.nearest))
        self._cortex = torch.from_numpy(np.ascontiguousarray(anatomy.cortex))
        self._far = torch.from_numpy(np.ascontiguousarray(anatomy.far))

    @property
    def extent_mm(self) -> tuple[float, float, float]:
        """Size of the prepared box ``(z, y, x)``."""
        return tuple(size * self.spacing_mm for size in self.shape)

    @cached_property
    def heights_mm(self) -> dict[int, tuple[float, float]]:
        """Lowest and highest slice of each bone, by class index, in mm from the first slice."""
        inside = torch.where(self._distance < 0, self._nearest, 0).flatten(1)
        heights = {}
        for index in torch.unique(inside).tolist():
            rows = torch.nonzero((inside == index).any(dim=1))[:, 0]
            heights[index] = (float(rows[0]) * self.spacing_mm, float(rows[-1]) * self.spacing_mm)
        return heights

    def surface_point(self, index: int, generator: torch.Generator) -> torch.Tensor:
        """A random point ``(z, y, x)`` in mm on the surface of a bone that is there, all its heights equally likely.

        Args:
            index: the bone's class index, a key of :attr:`heights_mm` other than 0.
        """
        while True:  # in a slice above a dent there may be other bones' surfaces only
            row = round(uniform(self.heights_mm[index], generator) / self.spacing_mm)
            near = self._distance[row].abs() <= self.spacing_mm / SDF_UNIT_MM
            places = torch.nonzero(near & (self._nearest[row] == index))
            if len(places):
                y, x = places[int(torch.randint(len(places), (), generator=generator))].tolist()
                return torch.tensor([row, y, x]) * self.spacing_mm

    def sample(self, points_mm: torch.Tensor, spacing_mm: float) -> Scene:
        """Read the person at ``points_mm`` ``(D, H, W, 3)``: ``(z, y, x)`` in its box, from the first voxel."""
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

        distance = BAND_MM - _sampled(BAND_MM - self._distance[box].float() * SDF_UNIT_MM, grid, "bilinear")
        nearest = _sampled(self._nearest[box].float(), grid, "nearest").to(torch.uint8)
        known = (grid[0].abs() < 1.0).all(dim=-1)

        coarse_low = low // COARSE
        coarse_high = torch.minimum(-(-high // COARSE) + 1, torch.tensor(self._far.shape))
        coarse = tuple(slice(int(a), int(b)) for a, b in zip(coarse_low, coarse_high))
        coarse_place = (inside + low - (COARSE - 1) / 2.0) / COARSE - coarse_low
        coarse_size = torch.tensor([s.stop - s.start for s in coarse])
        coarse_grid = ((2.0 * coarse_place + 1.0) / coarse_size - 1.0).flip(-1)[None]
        cortex = _sampled(self._cortex[coarse].float() * CORTEX_UNIT_MM, coarse_grid, "bilinear", "border")
        far = _sampled(self._far[coarse].float(), coarse_grid, "bilinear", "border")
        return Scene(distance, nearest, cortex, far, known, spacing_mm)


def random_points(
    shape: Sequence[int],
    spacing_mm: float,
    centre_mm: Sequence[float],
    warp: Warp,
    generator: torch.Generator,
    mirrored: bool = False,
) -> torch.Tensor:
    """Where in a prepared box the voxels of a rendering grid lie, after a random turn, stretch and smooth warp.

    Args:
        shape: ``(D, H, W)`` of the rendering grid.
        centre_mm: position ``(z, y, x)`` in the prepared box that the grid's centre falls on.
        mirrored: flip left and right (the caller swaps the classes).

    Returns:
        ``(D, H, W, 3)`` positions in mm.
    """
    axes = [(torch.arange(size) - (size - 1) / 2.0) * spacing_mm for size in shape]
    offsets = torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1)
    rotation = _rotation(
        uniform(warp.turn_degrees, generator),
        uniform(warp.tilt_degrees, generator),
        uniform(warp.tilt_degrees, generator),
    )
    overall = uniform(warp.scale, generator)
    stretch = torch.tensor([overall * uniform(warp.stretch, generator) for _ in range(3)])
    if mirrored:
        stretch[2] = -stretch[2]
    points = (offsets @ rotation.T) / stretch + torch.as_tensor(centre_mm, dtype=torch.float32)
    for bounds, scale_mm in ((warp.bend_mm, 60.0), (warp.ripple_mm, 18.0)):
        amplitude = uniform(bounds, generator)
        if amplitude > 0.02:
            points = points + amplitude * torch.stack(
                [smooth_noise(shape, spacing_mm, scale_mm, generator) for _ in range(3)], dim=-1
            )
    return points


def _sampled(volume: torch.Tensor, grid: torch.Tensor, mode: str, padding: str = "zeros") -> torch.Tensor:
    return functional.grid_sample(volume[None, None], grid, mode=mode, padding_mode=padding, align_corners=False)[0, 0]


def _rotation(about_z: float, about_y: float, about_x: float) -> torch.Tensor:
    """Rotation matrix for ``(z, y, x)`` vectors from three angles in degrees."""
    matrix = torch.eye(3)
    for angle, (i, j) in ((about_z, (1, 2)), (about_y, (0, 2)), (about_x, (0, 1))):
        c, s = math.cos(math.radians(angle)), math.sin(math.radians(angle))
        step = torch.eye(3)
        step[i, i], step[i, j], step[j, i], step[j, j] = c, -s, s, c
        matrix = matrix @ step
    return matrix
