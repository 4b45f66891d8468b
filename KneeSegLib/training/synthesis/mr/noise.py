"""Random fields on slabs, whose slices may be further apart than their pixels. All tensors are ``(D, H, W)``."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch.nn import functional

from KneeSegLib.training.synthesis.fields import compute_occupancy

_HAT_FACTOR = 1.2247
_BUMP_FACTOR = 1.439
"""Along each axis, what undoes the mean variance of mixed nodes: 2/3 for a hat, 0.483 for a bump."""


def draw_stretched_noise(
    shape: Sequence[int], spacing_mm: Sequence[float], scale_mm: float | Sequence[float], generator: torch.Generator
) -> torch.Tensor:
    """Draw noise of mean 0 and standard deviation near 1 that varies over ``scale_mm`` (one, or one per axis).

    White noise on a coarse grid, interpolated by a smooth bump for each node: a hat at half the node's distance,
    blurred over three of its points, then linearly between these. Hats alone would show as facets where the noise is
    cut at a level.
    """
    scales = (scale_mm,) * 3 if isinstance(scale_mm, (int, float)) else scale_mm
    nodes = [
        min(size, max(2, math.ceil(size * step / scale) + 2)) for size, step, scale in zip(shape, spacing_mm, scales)
    ]
    # Where there are nearly as many nodes as voxels there is nothing to interpolate.
    smooth = [2 * few < many for few, many in zip(nodes, shape)]
    halves = [2 * few - 1 if bumpy else many for few, many, bumpy in zip(nodes, shape, smooth)]
    field = enlarge_fields(torch.randn(1, 1, *nodes, generator=generator), halves)
    width = [3 if bumpy else 1 for bumpy in smooth]
    padding = [size // 2 for size in reversed(width) for _ in range(2)]
    field = functional.avg_pool3d(functional.pad(field, padding, mode="replicate"), width, stride=1)
    factor = math.prod(
        _BUMP_FACTOR if bumpy else _HAT_FACTOR if few < many else 1.0 for few, many, bumpy in zip(nodes, shape, smooth)
    )
    return enlarge_fields(field, shape)[0, 0] * factor


def enlarge_fields(fields: torch.Tensor, shape: Sequence[int]) -> torch.Tensor:
    """Return fields ``(N, C, d, h, w)`` at ``(N, C, *shape)``, first and last nodes kept; one axis after the other."""
    for axis, size in enumerate(shape):
        if fields.shape[2 + axis] == size:
            continue
        between = list(fields.shape[2:])
        between[axis] = size
        fields = functional.interpolate(fields, size=between, mode="trilinear", align_corners=True)
    return fields


def compute_mean_edge_mm(spacing_mm: Sequence[float]) -> float:
    """Return the edge of the cube that is as large as a voxel."""
    return math.prod(spacing_mm) ** (1.0 / 3.0)


def compute_fraction_within(distance_mm: torch.Tensor, spacing_mm: Sequence[float]) -> torch.Tensor:
    """Return the fraction of each voxel inside a surface, from the signed distance of its centre."""
    return compute_occupancy(distance_mm, compute_mean_edge_mm(spacing_mm))
