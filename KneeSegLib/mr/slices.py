"""First stage: a 2D network on the sagittal slices of a knee gives the probability of each structure."""

from __future__ import annotations

from dataclasses import dataclass
from math import exp

import numpy as np
import torch

from KneeSegLib.bundles.model import Model
from KneeSegLib.geometry.grid import Axis, Box, Grid
from KneeSegLib.geometry.resample import resample_to
from KneeSegLib.inference.scan import Scan
from KneeSegLib.inference.slices import SliceStack, predict_slices
from KneeSegLib.mr.settings import BLUR_ACROSS_MM, SAMPLED_VALUES, THINNEST_SLICE_MM
from KneeSegLib.networks.mr_channels import intensity_percentile, mr_slice_channels, scale_signal
from KneeSegLib.progress import Progress, no_progress


@dataclass(frozen=True)
class KneeProbabilities:
    """Probability of each of ``classes`` (background first): float16 ``(C, D, H, W)`` along z, y, x of ``grid``."""

    grid: Grid
    values: torch.Tensor
    classes: tuple[str, ...]

    def of(self, name: str) -> torch.Tensor:
        """Of one class, ``(D, H, W)``."""
        return self.values[self.classes.index(name)]


def predict_sagittal(model: Model, scan: Scan, progress: Progress = no_progress) -> KneeProbabilities:
    """Apply a slice network to every sagittal slice of a scan.

    Args:
        model: a slice network on :func:`~KneeSegLib.networks.mr_channels.mr_slice_channels`, rows upward and columns
            backward.

    Raises:
        Cancelled: raised by ``progress`` between two slabs of slices.
    """
    grid = sagittal_grid(scan.grid, model.spec.spacing_mm[0], model.stride)
    image = resample_to(scan.values, scan.grid, grid, device=model.device.torch_name)
    volume = scale_signal(image, scan_percentile(scan.values)).permute(2, 0, 1).contiguous()
    stack = SliceStack(
        torch.arange(grid.x.count),
        (grid.z.count, grid.y.count),
        lambda positions: mr_slice_channels(volume, grid.x.spacing_mm, positions, model.spec.neighbour_offsets_mm),
    )
    values = predict_slices(model, stack, progress).permute(0, 2, 3, 1).contiguous()
    return KneeProbabilities(grid, blur_across_slices(values, grid.x.spacing_mm), model.spec.classes)


def sagittal_grid(scan: Grid, spacing_mm: float, stride: int) -> Grid:
    """Return the grid on which a slice network sees a scan: its own sagittal slices, pixels of ``spacing_mm``."""
    box = Box.of_grid(scan)
    x = scan.x if scan.x.spacing_mm >= 0.99 * THINNEST_SLICE_MM else Axis.covering(*box.x, THINNEST_SLICE_MM)
    return Grid(Axis.covering(*box.z, spacing_mm, stride), Axis.covering(*box.y, spacing_mm, stride), x)


def scan_percentile(signal: np.ndarray) -> float:
    """The intensity percentile of a whole scan, see
    :func:`~KneeSegLib.networks.mr_channels.intensity_percentile`."""
    some = signal.reshape(-1)[:: max(1, signal.size // SAMPLED_VALUES)]
    return intensity_percentile(torch.from_numpy(some.astype(np.float32)))


def blur_across_slices(values: torch.Tensor, spacing_mm: float) -> torch.Tensor:
    """Probabilities ``(C, D, H, W)`` averaged a little with those of the slices beside them, along the last axis.

    Each slice was inferred on by itself, so that a part of its errors is its own.
    """
    if values.shape[-1] < 3:
        return values
    beside = exp(-0.5 * (spacing_mm / BLUR_ACROSS_MM) ** 2)
    weight = beside / (1.0 + 2.0 * beside)
    result = values.clone()
    for channel, own in zip(result, values):
        own = own.float()
        channel[..., 1:-1] = torch.lerp(own[..., 1:-1], (own[..., 2:] + own[..., :-2]) / 2.0, 2.0 * weight).half()
    return result
