"""Slabs of slices of a knee, and what is where in them: what disease, tissue and scanner start from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from KneeSegLib.training.synthesis.mr.noise import draw_stretched_noise


@dataclass(frozen=True)
class Slab:
    """A slab of slices to be rendered; slices lead to the left, rows upward, columns backward.

    Attributes:
        shape: number of slices, rows, columns.
        spacing_mm: distances of these.
        centre_mm: position (x, y, z) in the subject, before it is warped, that the slab's centre falls on.
    """

    shape: tuple[int, int, int]
    spacing_mm: tuple[float, float, float]
    centre_mm: tuple[float, float, float] = (0.0, 0.0, 0.0)

    @classmethod
    def around(cls, centre_mm: torch.Tensor, shape: Sequence[int], spacing_mm: Sequence[float]) -> Slab:
        """Return the slab whose centre falls on a point (3,)."""
        depth, rows, columns = shape
        across, up, back = spacing_mm
        x, y, z = centre_mm.tolist()
        return cls((depth, rows, columns), (across, up, back), (x, y, z))


@dataclass
class MrScene:
    """Anatomy in a slab; all tensors ``(D, H, W)``: slices right to left, rows upward, columns front to back.

    Attributes:
        bone_mm: signed distance to the surface of the bone ``owner``, negative inside.
        cover_mm: the same for that bone and its cartilage together.
        meniscus_mm: signed distance to the menisci.
        owner: uint8, ``BONES[owner - 1]`` is the bone nearest by ``cover_mm``; 0 far from all.
        soft: uint8, soft tissue of :mod:`structures`.
        flesh_mm: distance to the hull of all structures, 0 inside.
        cavity_mm: distance to the nearest cartilage or meniscus.
        cortex_mm: thickness that the cortex of the nearest bone has here.
        spacing_mm: distances of slices, rows, columns.
    """

    bone_mm: torch.Tensor
    cover_mm: torch.Tensor
    meniscus_mm: torch.Tensor
    owner: torch.Tensor
    soft: torch.Tensor
    flesh_mm: torch.Tensor
    cavity_mm: torch.Tensor
    cortex_mm: torch.Tensor
    spacing_mm: tuple[float, float, float]

    @property
    def shape(self) -> tuple[int, int, int]:
        """Number of slices, rows, columns."""
        depth, rows, columns = self.bone_mm.shape
        return depth, rows, columns

    @property
    def thickness_mm(self) -> torch.Tensor:
        """Thickness of the cartilage that lies here, or beneath, or above; 0 on bare bone."""
        return (self.bone_mm - self.cover_mm).clamp(min=0.0)

    def noise(self, scale_mm: float | Sequence[float], generator: torch.Generator) -> torch.Tensor:
        """Draw noise on this slab, see :func:`~.noise.draw_stretched_noise`."""
        return draw_stretched_noise(self.shape, self.spacing_mm, scale_mm, generator)
