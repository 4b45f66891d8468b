"""Lattices: where every fourth voxel of a slab lies in a subject, after a random turn, stretch and smooth warp."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch.nn import functional

from KneeSegLib.training.synthesis.fields import uniform
from KneeSegLib.training.synthesis.meshes import rotation
from KneeSegLib.training.synthesis.mr.noise import draw_stretched_noise, enlarge_fields
from KneeSegLib.training.synthesis.mr.scene import Slab
from KneeSegLib.training.synthesis.mr.settings import LATTICE_STRIDE, WARP_INVERSION_ROUNDS
from KneeSegLib.training.synthesis.settings import BEND_SCALE_MM, LEAST_AMPLITUDE_MM, RIPPLE_SCALE_MM, Warp


def draw_lattice(slab: Slab, warp: Warp, generator: torch.Generator) -> torch.Tensor:
    """Draw where every fourth voxel of a slab lies in a subject: turned, stretched and smoothly warped.

    Returns:
        ``(d, h, w, 3)`` positions ``(x, y, z)`` in mm; first and last nodes are the first and last voxels.
    """
    nodes = [-(-(size - 1) // LATTICE_STRIDE) + 1 for size in slab.shape]
    axes = [
        (torch.linspace(0.0, size - 1.0, count) - (size - 1) / 2.0) * step
        for size, count, step in zip(slab.shape, nodes, slab.spacing_mm)
    ]
    to_left, upward, backward = torch.meshgrid(*axes, indexing="ij")
    offsets = torch.stack([to_left, backward, upward], dim=-1)
    turned = np.eye(3)
    for axis, bounds in enumerate((warp.tilt_degrees, warp.tilt_degrees, warp.turn_degrees)):
        turned = turned @ rotation(np.eye(3)[axis], uniform(bounds, generator))[:3, :3]
    overall = uniform(warp.scale, generator)
    stretch = torch.tensor([overall * uniform(warp.stretch, generator) for _ in range(3)])
    points = offsets @ torch.from_numpy(turned.T).float() / stretch + torch.tensor(slab.centre_mm)
    steps_mm = [size * step / count for size, step, count in zip(slab.shape, slab.spacing_mm, nodes)]
    for bounds, scale_mm in ((warp.bend_mm, BEND_SCALE_MM), (warp.ripple_mm, RIPPLE_SCALE_MM)):
        amplitude = uniform(bounds, generator)
        if amplitude > LEAST_AMPLITUDE_MM:
            bend = [draw_stretched_noise(nodes, steps_mm, scale_mm, generator) for _ in range(3)]
            points = points + amplitude * torch.stack(bend, dim=-1)
    return points


def locate_points(points_mm: torch.Tensor, lattice_mm: torch.Tensor, slab: Slab) -> torch.Tensor:
    """Return where points (N, 3) of a subject are in a slab, given the lattice that :func:`draw_lattice` drew of it.

    Args:
        lattice_mm: ``(d, h, w, 3)``; slices to the left, rows upward, columns backward.

    Returns:
        (N, 3): x, y, z in mm from the centre of the slab.
    """
    half_mm = [(size - 1) / 2.0 * step for size, step in zip(slab.shape, slab.spacing_mm)]
    axes = [torch.linspace(-edge, edge, count) for edge, count in zip(half_mm, lattice_mm.shape)]
    x, z, y = torch.meshgrid(*axes, indexing="ij")
    nodes = torch.stack([x, y, z], dim=-1).reshape(-1, 3)
    design = torch.cat([nodes, torch.ones(len(nodes), 1)], dim=1).double()
    affine = torch.linalg.lstsq(design, lattice_mm.reshape(-1, 3).double()).solution
    inverse = torch.linalg.inv(affine[:3])
    places = (points_mm.double() - affine[3]) @ inverse
    half = torch.tensor(half_mm)
    for _ in range(WARP_INVERSION_ROUNDS):
        relative = places.float()[:, [0, 2, 1]] / half
        reached = functional.grid_sample(
            lattice_mm.movedim(-1, 0)[None],
            relative.flip(-1)[None, None, None],
            padding_mode="border",
            align_corners=True,
        )[0, :, 0, 0].T
        # Beyond the slab the lattice ends, and its border stands still: the affine part goes on.
        beyond = places - (relative.clamp(-1.0, 1.0) * half)[:, [0, 2, 1]].double()
        reached = reached.double() + beyond @ affine[:3]
        places = places - (reached - points_mm.double()) @ inverse
    return places.float()


def interpolate_lattice(fields: torch.Tensor, shape: Sequence[int]) -> torch.Tensor:
    """Return fields ``(C, d, h, w)`` of a lattice at every voxel of ``shape``."""
    return enlarge_fields(fields[None], shape)[0]
