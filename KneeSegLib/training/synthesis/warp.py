"""Random turns, stretches and smooth warps that make new anatomy of a prepared subject each time."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from KneeSegLib.training.synthesis.fields import draw_smooth_noise, uniform
from KneeSegLib.training.synthesis.settings import BEND_SCALE_MM, LEAST_AMPLITUDE_MM, RIPPLE_SCALE_MM, Warp


def draw_points(
    shape: Sequence[int],
    spacing_mm: float,
    centre_mm: Sequence[float] | torch.Tensor,
    warp: Warp,
    generator: torch.Generator,
    mirrored: bool = False,
) -> torch.Tensor:
    """Draw where in a prepared box the voxels of a rendering grid lie: turned, stretched and smoothly warped.

    Args:
        shape: ``(D, H, W)`` of the rendering grid.
        centre_mm: position ``(z, y, x)`` in the prepared box that the grid's centre falls on.
        mirrored: exchange left and right (the caller exchanges the classes).

    Returns:
        ``(D, H, W, 3)`` positions in mm.
    """
    axes = [(torch.arange(size) - (size - 1) / 2.0) * spacing_mm for size in shape]
    offsets = torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1)
    rotation = _make_rotation(
        uniform(warp.turn_degrees, generator),
        uniform(warp.tilt_degrees, generator),
        uniform(warp.tilt_degrees, generator),
    )
    overall = uniform(warp.scale, generator)
    stretch = torch.tensor([overall * uniform(warp.stretch, generator) for _ in range(3)])
    if mirrored:
        stretch[2] = -stretch[2]
    points = (offsets @ rotation.T) / stretch + torch.as_tensor(centre_mm, dtype=torch.float32)
    for bounds, scale_mm in ((warp.bend_mm, BEND_SCALE_MM), (warp.ripple_mm, RIPPLE_SCALE_MM)):
        amplitude = uniform(bounds, generator)
        if amplitude > LEAST_AMPLITUDE_MM:
            points = points + amplitude * torch.stack(
                [draw_smooth_noise(shape, spacing_mm, scale_mm, generator) for _ in range(3)], dim=-1
            )
    return points


def _make_rotation(about_z: float, about_y: float, about_x: float) -> torch.Tensor:
    """Return the rotation matrix for ``(z, y, x)`` vectors from three angles in degrees."""
    matrix = torch.eye(3)
    for angle, (i, j) in ((about_z, (1, 2)), (about_y, (0, 2)), (about_x, (0, 1))):
        c, s = math.cos(math.radians(angle)), math.sin(math.radians(angle))
        step = torch.eye(3)
        step[i, i], step[i, j], step[j, i], step[j, j] = c, -s, s, c
        matrix = matrix @ step
    return matrix
