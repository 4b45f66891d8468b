"""Random turns, stretches and smooth warps that make new anatomy of a prepared subject each time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from KneeSegLib.training.synthesis.fields import draw_smooth_noise, uniform


@dataclass(frozen=True)
class Warp:
    """How far a look may differ from the person as prepared: bounds that random values are drawn from."""

    tilt_degrees: tuple[float, float] = (-12.0, 12.0)
    turn_degrees: tuple[float, float] = (-25.0, 25.0)
    scale: tuple[float, float] = (0.9, 1.12)
    stretch: tuple[float, float] = (0.94, 1.06)
    bend_mm: tuple[float, float] = (0.0, 3.0)
    ripple_mm: tuple[float, float] = (0.0, 0.5)


def draw_points(
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
                [draw_smooth_noise(shape, spacing_mm, scale_mm, generator) for _ in range(3)], dim=-1
            )
    return points


def _rotation(about_z: float, about_y: float, about_x: float) -> torch.Tensor:
    """Rotation matrix for ``(z, y, x)`` vectors from three angles in degrees."""
    matrix = torch.eye(3)
    for angle, (i, j) in ((about_z, (1, 2)), (about_y, (0, 2)), (about_x, (0, 1))):
        c, s = math.cos(math.radians(angle)), math.sin(math.radians(angle))
        step = torch.eye(3)
        step[i, i], step[i, j], step[j, i], step[j, j] = c, -s, s, c
        matrix = matrix @ step
    return matrix
