"""First stage: a 2D network on the sagittal slices of a knee says how likely each structure is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp

import numpy as np
import torch
from torch import nn

from KneeSegLib.geometry.grid import Axis, Box, Grid
from KneeSegLib.geometry.resample import resample_to
from KneeSegLib.inference.device import in_order
from KneeSegLib.networks.device import Device
from KneeSegLib.networks.mr_channels import bright_level, mr_slice_channels, scaled_signal
from KneeSegLib.progress import Progress, no_progress

THINNEST_SLICE_MM = 0.6
"""Thinner slices than the network knows are taken together."""

BATCH_PIXELS = 200_000

BLUR_ACROSS_MM = 0.6
"""Standard deviation of the blur of probabilities across slices. Chosen on validation people among none, 0.4, 0.6 and
more, where bone gained little and cartilage up to 0.02 of Dice; thick slices are hardly touched."""

_SAMPLED_VALUES = 500_000


@dataclass(frozen=True)
class KneeProbabilities:
    """How likely each of ``classes`` (background first) is: float16 ``(C, D, H, W)`` along z, y, x of ``grid``."""

    grid: Grid
    values: torch.Tensor
    classes: tuple[str, ...]

    def of(self, name: str) -> torch.Tensor:
        """Of one class, ``(D, H, W)``."""
        return self.values[self.classes.index(name)]


def scan_level(signal: np.ndarray) -> float:
    """The bright level of a whole scan, see :func:`~KneeSegLib.networks.mr_channels.bright_level`."""
    some = signal.reshape(-1)[:: max(1, signal.size // _SAMPLED_VALUES)]
    return bright_level(torch.from_numpy(some.astype(np.float32)))


def sagittal_grid(scan: Grid, spacing_mm: float, stride: int) -> Grid:
    """Return the grid on which a slice network sees a scan: its own sagittal slices, pixels of ``spacing_mm``."""
    box = Box.of_grid(scan)
    x = scan.x if scan.x.spacing_mm >= 0.99 * THINNEST_SLICE_MM else Axis.covering(*box.x, THINNEST_SLICE_MM)
    return Grid(Axis.covering(*box.z, spacing_mm, stride), Axis.covering(*box.y, spacing_mm, stride), x)


def sagittal_probabilities(
    network: nn.Module,
    classes: Sequence[str],
    signal: np.ndarray,
    scan: Grid,
    grid: Grid,
    neighbour_offsets_mm: Sequence[float],
    device: Device,
    progress: Progress = no_progress,
    message: str = "Slices",
    temperature: float = 1.0,
) -> KneeProbabilities:
    """Apply a slice network to every sagittal slice of ``grid``.

    Args:
        network: ``(N, C, H, W)`` channels of :func:`~KneeSegLib.networks.mr_channels.mr_slice_channels`, rows upward
            and columns backward, to logits ``(N, K, H, W)``.
        classes: the K names, background first.
        signal: ``(D, H, W)`` image along z, y, x on ``scan``.
        grid: see :func:`sagittal_grid`.
        temperature: what logits are divided by before the softmax, so that probabilities mean what they say.

    Raises:
        Cancelled: raised by ``progress`` between two batches of slices.
    """
    image = resample_to(signal, scan, grid, device=device.torch_name)
    volume = scaled_signal(image, scan_level(signal)).permute(2, 0, 1).contiguous()
    positions = torch.arange(grid.x.count)
    batches = positions.split(max(BATCH_PIXELS // (grid.z.count * grid.y.count), 1))
    values = torch.empty((len(classes), *grid.shape), dtype=torch.float16)

    def probabilities(batch: torch.Tensor) -> torch.Tensor:
        channels = mr_slice_channels(volume, grid.x.spacing_mm, batch, neighbour_offsets_mm)
        logits = network(channels.contiguous(memory_format=torch.channels_last))
        return (logits / temperature).softmax(dim=1).to("cpu", torch.float16)

    done = 0
    progress(0.0, f"{message} 0 of {len(positions)}")
    for found in in_order(probabilities, batches, device):
        values[..., done : done + len(found)] = found.permute(1, 2, 3, 0)
        done += len(found)
        progress(done / len(positions), f"{message} {done} of {len(positions)}")
    return KneeProbabilities(grid, across_slices(values, grid.x.spacing_mm), tuple(classes))


def across_slices(values: torch.Tensor, spacing_mm: float) -> torch.Tensor:
    """Probabilities ``(C, D, H, W)`` averaged a little with those of the slices beside them, along the last axis.

    Each slice was looked at by itself, so that a part of its errors is its own.
    """
    if values.shape[-1] < 3:
        return values
    beside = exp(-0.5 * (spacing_mm / BLUR_ACROSS_MM) ** 2)
    share = beside / (1.0 + 2.0 * beside)
    result = values.clone()
    for channel, own in zip(result, values):
        own = own.float()
        channel[..., 1:-1] = torch.lerp(own[..., 1:-1], (own[..., 2:] + own[..., :-2]) / 2.0, 2.0 * share).half()
    return result
