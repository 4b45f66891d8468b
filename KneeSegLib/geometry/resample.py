"""Resampling between grids with common axes: one small matrix per axis, so that it costs three matrix products.

Towards finer samples the source is interpolated linearly, towards coarser ones the interpolated source is averaged,
over a width that makes the whole kernel as wide (at half its height) as a target sample: nothing aliases, nothing is
skipped, and a linear field stays exactly linear, so that no edge moves. Only the part of the source that the target
needs is read, in blocks of slices, so that a whole scan is never held in floating point.
"""

from __future__ import annotations

from math import prod

import numpy as np
import torch

from KneeSegLib.geometry.grid import Axis, Grid
from KneeSegLib.geometry.settings import BLOCK_VALUES, SAME_SPACING


def resampling_matrix(target: Axis, source: Axis) -> np.ndarray:
    """Return the weights ``(target.count, source.count)`` that take samples on ``source`` to ``target``.

    Rows sum to one; a target sample that lies partly outside the source holds the average of what lies inside. Rows of
    samples that lie wholly outside are zero.
    """
    ratio = target.spacing_mm / source.spacing_mm
    place = (target.positions_mm - source.first_mm) / source.step_mm
    index = np.arange(source.count)
    if ratio > 1.0 + SAME_SPACING:
        width = ratio - 1.0
        reached = _tent_integral(place[:, None] + width / 2.0 - index) - _tent_integral(
            place[:, None] - width / 2.0 - index
        )
        inside = (place > -0.5 - ratio / 2.0 + SAME_SPACING) & (place < source.count - 0.5 + ratio / 2.0 - SAME_SPACING)
        reached[~inside] = 0.0
        return (reached / np.maximum(reached.sum(axis=1, keepdims=True), SAME_SPACING)).astype(np.float32)
    held = np.clip(place, 0.0, source.count - 1.0)  # the outer half of the first and last cell has that cell's value
    weights = np.clip(1.0 - np.abs(held[:, None] - index), 0.0, None)
    weights[np.abs(place - held) > 0.5 + SAME_SPACING] = 0.0
    return weights.astype(np.float32)


def _tent_integral(t: np.ndarray) -> np.ndarray:
    """Return the integral of linear interpolation's kernel, a tent over -1..1, from minus infinity to ``t``."""
    t = np.clip(t, -1.0, 1.0)
    return np.where(t < 0.0, (1.0 + t) ** 2 / 2.0, 1.0 - (1.0 - t) ** 2 / 2.0)


def resample_to(
    values: np.ndarray | torch.Tensor,
    source: Grid,
    target: Grid,
    *,
    outside: float = 0.0,
    clip: tuple[float, float] | None = None,
    device: torch.device | str = "cpu",
) -> torch.Tensor:
    """Return ``values`` on another grid.

    Args:
        values: ``(..., D, H, W)`` of any real type on ``source``.
        source, target: their axes may run in opposite directions.
        outside: what is assumed beyond the source.
        clip: bounds applied to the source's values before they are averaged.
        device: where the products are computed and the result lies.

    Returns:
        ``(..., *target.shape)`` float32 tensor.
    """
    leading = tuple(values.shape[:-3])
    weights = [resampling_matrix(to, of) for to, of in zip(target, source)]
    y_used, x_used = (_find_used(weight) for weight in weights[1:])
    wy = torch.from_numpy(weights[1][:, y_used]).to(device)
    wx = torch.from_numpy(weights[2][:, x_used]).to(device).T.contiguous()
    slice_values = max((y_used.stop - y_used.start) * (x_used.stop - x_used.start), *target.shape[1:]) * prod(leading)
    rows = max(int(BLOCK_VALUES / slice_values / max(target.z.spacing_mm / source.z.spacing_mm, 1.0)), 1)
    result = torch.empty((*leading, *target.shape), dtype=torch.float32, device=device)
    for start in range(0, target.z.count, rows):
        block_weights = weights[0][start : start + rows]
        z_used = _find_used(block_weights)
        block = _as_float(values[..., z_used, y_used, x_used], device)
        if clip is not None:
            block = block.clamp(*clip)
        wz = torch.from_numpy(block_weights[:, z_used]).to(device)
        if outside:  # where rows are zero nothing is added to it
            result[..., start : start + rows, :, :] = _apply(block - outside, wz, wy, wx) + outside
        else:
            result[..., start : start + rows, :, :] = _apply(block, wz, wy, wx)
    return result


def _apply(block: torch.Tensor, wz: torch.Tensor, wy: torch.Tensor, wx: torch.Tensor) -> torch.Tensor:
    """Apply the three products; the one along z first where it shrinks the block, and last where it grows it."""
    z_first = wz.shape[0] <= wz.shape[1]
    if z_first:
        block = _apply_along_z(block, wz)
    block = torch.matmul(wy, block)
    block = torch.matmul(block, wx)
    return block if z_first else _apply_along_z(block, wz)


def _apply_along_z(block: torch.Tensor, wz: torch.Tensor) -> torch.Tensor:
    depth, height, width = block.shape[-3:]
    flat = block.reshape(*block.shape[:-3], depth, height * width)
    return torch.matmul(wz, flat).reshape(*block.shape[:-3], wz.shape[0], height, width)


def _find_used(weights: np.ndarray) -> slice:
    """Return the range of columns in which any row has a weight; the first column where none has."""
    columns = np.flatnonzero(weights.any(axis=0))
    return slice(int(columns[0]), int(columns[-1]) + 1) if columns.size else slice(0, 1)


def _as_float(block: np.ndarray | torch.Tensor, device: torch.device | str) -> torch.Tensor:
    if isinstance(block, np.ndarray):
        block = torch.from_numpy(block.astype(np.float32))
    return block.to(device=device, dtype=torch.float32)
