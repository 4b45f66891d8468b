"""Images as they are scanned in slices that are thicker than the voxels they were rendered in."""

from __future__ import annotations

import torch

from KneeSegLib.geometry.grid import Axis, Box, Grid
from KneeSegLib.geometry.resample import resample_to


def simulate_slices(hu: torch.Tensor, spacing_mm: float, apart_mm: float) -> torch.Tensor:
    """Return an image as it is in slices ``apart_mm`` apart: averaged over each slice, interpolated between them."""
    if apart_mm <= spacing_mm:
        return hu
    slices, rows, columns = hu.shape
    fine = Grid.of_scan((slices, rows, columns), (spacing_mm, spacing_mm, spacing_mm))
    thick = fine._replace(z=Axis.covering(*Box.of_grid(fine).z, apart_mm))
    return resample_to(resample_to(hu, fine, thick), thick, fine)
