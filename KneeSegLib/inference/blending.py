"""Overlapping patches become one field on the scan's grid: a mean in which the middle of a patch counts most."""

from __future__ import annotations

import torch

from KneeSegLib.geometry.grid import Box, Grid
from KneeSegLib.geometry.resample import resample_to


def patch_window(shape: tuple[int, int, int], ramp: float) -> torch.Tensor:
    """Weights ``shape`` of a patch's voxels: one in its middle, falling to nearly zero over ``ramp`` of its edge."""
    rises = []
    for count in shape:
        from_side = torch.minimum(torch.arange(count), torch.arange(count).flip(0)) + 0.5
        rises.append(torch.sin(torch.pi / 2.0 * (from_side / (ramp * count)).clamp(max=1.0)) ** 2)
    z, y, x = rises
    return torch.minimum(torch.minimum(z[:, None, None], y[:, None]), x)


class Blend:
    """The weighted mean of patches on ``grid``, to which they are added one after the other.

    Args:
        window: ``(d, h, w)`` weights of a patch's voxels.
    """

    def __init__(self, grid: Grid, window: torch.Tensor) -> None:
        self.grid = grid
        self.window = window
        self._sum = torch.zeros(grid.shape)
        self._weight = torch.zeros(grid.shape)

    def add(self, values: torch.Tensor, patch: Grid) -> None:
        """Add ``(d, h, w)`` values of a patch."""
        here = self.grid.slices_within(Box.of_grid(patch))
        part = self.grid.part(here)
        if not all(part.shape):
            return
        weighted, weight = resample_to(torch.stack([values * self.window, self.window]), patch, part)
        self._sum[here] += weighted
        self._weight[here] += weight

    def mean(self, enough: float) -> torch.Tensor:
        """Return the mean ``(D, H, W)``; where weights add up to less than ``enough`` it fades to zero."""
        return self._sum / self._weight.clamp(min=enough)
