"""Random fields on slabs, whose slices may be further apart than their pixels. All tensors are ``(D, H, W)``."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch.nn import functional

from KneeSegLib.synthesis.fields import occupancy


def stretched_noise(
    shape: Sequence[int], spacing_mm: Sequence[float], scale_mm: float | Sequence[float], generator: torch.Generator
) -> torch.Tensor:
    """Noise of mean 0 and standard deviation near 1 that varies over ``scale_mm`` (one, or one per axis).

    As :func:`KneeSegLib.synthesis.fields.smooth_noise`, with a spacing and a scale of its own along each axis.
    """
    scales = (scale_mm,) * 3 if isinstance(scale_mm, (int, float)) else scale_mm
    coarse = [
        min(size, max(2, math.ceil(size * step / scale) + 2)) for size, step, scale in zip(shape, spacing_mm, scales)
    ]
    seeds = torch.randn(1, 1, *coarse, generator=generator)
    field = enlarged(seeds, shape)[0, 0]
    # Linear mixing of independent nodes has a mean variance of 2/3 along each axis, of 1 where there is no mixing.
    mixed = sum(few < many for few, many in zip(coarse, shape))
    return field * 1.2247**mixed


def enlarged(fields: torch.Tensor, shape: Sequence[int]) -> torch.Tensor:
    """Fields ``(N, C, d, h, w)`` at ``(N, C, *shape)``, first and last nodes kept; axis by axis, the cheapest first."""
    for axis, size in enumerate(shape):
        if fields.shape[2 + axis] == size:
            continue
        between = list(fields.shape[2:])
        between[axis] = size
        fields = functional.interpolate(fields, size=between, mode="trilinear", align_corners=True)
    return fields


def mean_edge_mm(spacing_mm: Sequence[float]) -> float:
    """Edge of the cube that is as large as a voxel."""
    return math.prod(spacing_mm) ** (1.0 / 3.0)


def share_within(distance_mm: torch.Tensor, spacing_mm: Sequence[float]) -> torch.Tensor:
    """Share of each voxel that lies inside a surface, from the signed distance of its centre."""
    return occupancy(distance_mm, mean_edge_mm(spacing_mm))
