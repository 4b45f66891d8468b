"""Before slices are believed: a coarse 3D network looks at the whole scan and says which bone can be where.

Beyond the paper. A slice shows edges well and hides what lies beside it: a muscle between two planes of fat looks like
a shaft. At 2 mm the whole knee is seen at once. What it says moves no edge: near an edge it leaves everything open, and
further away it takes what cannot be from the slices' probabilities.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from KneeSegLib.inference.axes import Axis, Box, Grid
from KneeSegLib.inference.coarse import coarse_probabilities
from KneeSegLib.inference.device import Device
from KneeSegLib.inference.mr.channels import scaled_signal
from KneeSegLib.inference.mr.slices import KneeProbabilities, scan_level
from KneeSegLib.inference.resample import resampled
from KneeSegLib.progress import Progress, no_progress


@dataclass(frozen=True)
class Ruling:
    """How much the coarse look may rule out. All of its numbers stand here.

    Attributes:
        reach_voxels: what is likely so near by, in coarse voxels, is possible here.
        least: nothing is less possible than this.
    """

    reach_voxels: int = 1
    least: float = 0.03


RULING = Ruling()


def context_probabilities(
    network: nn.Module,
    classes: Sequence[str],
    signal: np.ndarray,
    scan: Grid,
    spacing_mm: float,
    device: Device,
    progress: Progress = no_progress,
    message: str = "Looking at the whole knee",
) -> KneeProbabilities:
    """Apply a coarse network to a whole scan.

    Args:
        network: ``(1, 1, X, Z, Y)`` scaled signal (:func:`~KneeSegLib.inference.mr.channels.scaled_signal`), black
            beyond the scan, to logits ``(1, K, X, Z, Y)``; x is across slices, z upward, y backward.
        classes: the K names, background first.
        signal: ``(D, H, W)`` image along z, y, x on ``scan``.
        spacing_mm: of the coarse voxels.
    """
    box = Box.of_grid(scan)
    grid = Grid(*(Axis.covering(low, high, spacing_mm) for low, high in box))
    image = resampled(signal, scan, grid, device=device.torch_name)
    volume = scaled_signal(image, scan_level(signal)).permute(2, 0, 1)[None]
    found = coarse_probabilities(network, volume, device.torch_name, progress, message)
    return KneeProbabilities(grid, found.permute(0, 2, 3, 1).half(), tuple(classes))


def possible(likely: torch.Tensor, ruling: Ruling = RULING) -> torch.Tensor:
    """How possible each class is, ``(C, D, H, W)`` from ``least`` to 1: as likely as it is anywhere near by."""
    size = 2 * ruling.reach_voxels + 1
    widened = nn.functional.max_pool3d(likely.float()[None], size, stride=1, padding=ruling.reach_voxels)[0]
    return widened.clamp(ruling.least, 1.0)


def within_context(slices: KneeProbabilities, context: KneeProbabilities, ruling: Ruling = RULING) -> KneeProbabilities:
    """Return the slices' probabilities, each bone's times how possible it is in its place.

    All that is no bone (background, cartilage, menisci) shares the first class of ``context``. What is left is scaled
    to sum to one again.
    """
    allowed = possible(context.values, ruling)
    values = torch.empty_like(slices.values)
    blocks = torch.arange(slices.grid.z.count).split(32)
    for block in blocks:
        rows = slice(int(block[0]), int(block[-1]) + 1)
        here = slices.grid.part((rows, slice(0, slices.grid.y.count), slice(0, slices.grid.x.count)))
        factors = resampled(allowed, context.grid, here).clamp(min=ruling.least)
        likely = slices.values[:, rows].float()
        for channel, name in zip(likely, slices.classes):
            channel *= factors[context.classes.index(name) if name in context.classes else 0]
        values[:, rows] = (likely / likely.sum(dim=0).clamp(min=1e-6)).half()
    return KneeProbabilities(slices.grid, values, slices.classes)
