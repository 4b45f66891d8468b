"""One joint's specialist on the transverse slices of one leg: how likely its bones are, on its own grid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

import numpy as np
import torch
from torch import nn

from KneeSegLib.anatomy import Side
from KneeSegLib.ct.localise import HU_RANGE, OUTSIDE_HU
from KneeSegLib.ct.seams import Share
from KneeSegLib.geometry.grid import Axis, Box, Grid
from KneeSegLib.geometry.resample import resample_to
from KneeSegLib.inference.device import in_order
from KneeSegLib.networks.ct_channels import slice_channels
from KneeSegLib.networks.device import Device
from KneeSegLib.progress import Progress, no_progress

BATCH_PIXELS = 200_000

THIN_SLICE_MM = 1.6
"""Only slices that are closer than this are skipped in a fast run."""


@dataclass(frozen=True)
class JointProbabilities:
    """A specialist's answer for one leg.

    ``values`` is a float16 tensor ``(1 + bones, D, H, W)`` on ``grid``, background first, then the joint's bones in the
    order of :data:`KneeSegLib.anatomy.JOINT_BONES`; before fusion also a last channel, bones that are none of them. For
    left legs the grid's x axis runs from left to right.
    """

    share: Share
    grid: Grid
    values: torch.Tensor


def specialist_grid(box: Box, scan: Grid, spacing_mm: Sequence[float], stride: int, side: Side) -> Grid:
    """Return the grid on which a specialist sees a leg.

    Args:
        box: what it has to see.
        spacing_mm: the network's (slice, row, column) spacing. Slices that the scan has further apart are taken as
            they are.
        stride: rows and columns are multiples of it.
        side: a left leg is shown in a mirror.
    """
    start, stop = scan.z.indices_within(*box.z)
    native = scan.z.part(start, max(stop, start + 1))
    z = (
        native
        if native.spacing_mm >= 0.99 * spacing_mm[0]
        else Axis.covering(native.low_mm, native.high_mm, spacing_mm[0])
    )
    y = Axis.covering(*box.y, spacing_mm[1], stride)
    x = Axis.covering(*box.x, spacing_mm[2], stride)
    grid = Grid(z, y, x)
    return grid.mirrored() if side == "left" else grid


def slice_probabilities(
    network: nn.Module,
    hu: np.ndarray,
    scan: Grid,
    grid: Grid,
    share: Share,
    neighbour_offsets_mm: Sequence[float],
    device: Device,
    slice_step: int = 1,
    progress: Progress = no_progress,
    message: str = "Slices",
    temperature: float = 1.0,
) -> JointProbabilities:
    """Apply a specialist to every ``slice_step``-th slice of ``grid`` (thick slices: to every one).

    Args:
        network: ``(N, C, H, W)`` channels of :func:`~KneeSegLib.networks.ct_channels.slice_channels` to logits
            ``(N, K, H, W)``.
        hu: ``(D, H, W)`` scan in HU on ``scan``.
        grid: see :func:`specialist_grid`.
        temperature: what logits are divided by before the softmax, so that probabilities mean what they say.

    Raises:
        Cancelled: raised by ``progress`` between two batches of slices.
    """
    reach = ceil(max((abs(offset) for offset in neighbour_offsets_mm), default=0.0) / grid.z.spacing_mm)
    above, below = _slices_to_spare(grid.z, scan.z, reach)
    extended = Axis(grid.z.first_mm - below * grid.z.step_mm, grid.z.step_mm, grid.z.count + below + above)
    volume = resample_to(
        hu, scan, grid._replace(z=extended), outside=OUTSIDE_HU, clip=HU_RANGE, device=device.torch_name
    )
    step = slice_step if grid.z.spacing_mm < THIN_SLICE_MM else 1
    thinned = grid._replace(z=grid.z.thinned(step))
    positions = torch.arange(below, below + grid.z.count, step)
    batches = positions.split(max(BATCH_PIXELS // (grid.y.count * grid.x.count), 1))

    def probabilities(batch: torch.Tensor) -> torch.Tensor:
        channels = slice_channels(volume, grid.z.spacing_mm, batch, neighbour_offsets_mm)
        logits = network(channels.contiguous(memory_format=torch.channels_last))
        return (logits / temperature).softmax(dim=1).to("cpu", torch.float16)

    values: torch.Tensor | None = None
    done = 0
    progress(0.0, f"{message} 0 of {len(positions)}")
    for found in in_order(probabilities, batches, device):
        if values is None:
            values = torch.empty((found.shape[1], *thinned.shape), dtype=torch.float16)
        values[:, done : done + len(found)] = found.transpose(0, 1)
        done += len(found)
        progress(done / len(positions), f"{message} {done} of {len(positions)}")
    return JointProbabilities(share, thinned, values)


def _slices_to_spare(z: Axis, scan: Axis, wanted: int) -> tuple[int, int]:
    """How many further slices, up to ``wanted``, the scan has above and below."""
    above = int((scan.high_mm - z.high_mm) / z.step_mm + 1e-6)
    below = int((z.low_mm - scan.low_mm) / z.step_mm + 1e-6)
    return min(max(above, 0), wanted), min(max(below, 0), wanted)
