"""The localiser's look at the whole scan: averaged to a coarse grid, a probability for every bone of either side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from KneeSegLib.anatomy import BONES, SIDES, Side
from KneeSegLib.errors import ModelError
from KneeSegLib.geometry.grid import Axis, Box, Grid
from KneeSegLib.geometry.resample import resample_to
from KneeSegLib.inference.windows import coarse_probabilities
from KneeSegLib.networks.ct_channels import localiser_channels
from KneeSegLib.progress import Progress, no_progress, part

OUTSIDE_HU = -1000.0
"""What lies beyond the edges of the scan, as far as the networks are told: air."""

HU_RANGE = (-1024.0, 3071.0)
"""Metal would outshine its surroundings in an average, padding values would darken them: both are clipped first."""

BODY_HU = -400.0
BODY_MARGIN_MM = 12.0


@dataclass(frozen=True)
class CoarseBones:
    """What the localiser says, on its own grid.

    ``bones[side]`` is ``(7, D, H, W)`` in the order of :data:`KneeSegLib.anatomy.BONES`, ``other`` (other bones) and
    ``none`` are ``(D, H, W)``; all of them sum to one.
    """

    grid: Grid
    bones: dict[Side, np.ndarray]
    other: np.ndarray
    none: np.ndarray


def coarse_scan(
    hu: np.ndarray, grid: Grid, spacing_mm: float, device: torch.device | str = "cpu"
) -> tuple[torch.Tensor, Grid]:
    """Average a scan to cubes of ``spacing_mm``; returns ``(D, H, W)`` HU and its grid, centred on the scan's."""
    coarse = Grid(*(Axis.covering(axis.low_mm, axis.high_mm, spacing_mm) for axis in grid))
    return resample_to(hu, grid, coarse, outside=OUTSIDE_HU, clip=HU_RANGE, device=device), coarse


def body_part(hu: torch.Tensor, grid: Grid) -> tuple[slice, slice, slice] | None:
    """Return the part of a coarse scan that holds the body (and the table), with a margin; None where all is air."""
    box = Box.around((hu > BODY_HU).cpu().numpy(), grid)
    return None if box is None else grid.slices_within(box.grown(BODY_MARGIN_MM))


def localise(
    network: nn.Module,
    classes: Sequence[str],
    hu: np.ndarray,
    grid: Grid,
    spacing_mm: float,
    device: torch.device | str = "cpu",
    progress: Progress = no_progress,
) -> CoarseBones | None:
    """Say which bone of which side is where.

    The network sees the scan and its mirror image, and the mean of both predictions is returned: a scan and its mirror
    image give mirrored results. With one of them alone, a network that had seen many scans of both legs took one foot
    of two for none.

    Args:
        network: coarse network on :func:`~KneeSegLib.networks.ct_channels.localiser_channels`.
        classes: names of its output channels: ``"none"``, ``"other"`` and every bone of both sides.
        hu: ``(D, H, W)`` scan in HU on ``grid``.
        spacing_mm: the network's grid.

    Returns:
        None where the scan holds nothing but air.
    """
    message = "Looking for hips, knees and ankles"
    progress(0.0, message)
    coarse, coarse_grid = coarse_scan(hu, grid, spacing_mm, device)
    body = body_part(coarse, coarse_grid)
    if body is None:
        return None
    progress(0.2, message)
    channels = localiser_channels(coarse[body])
    found = coarse_probabilities(network, channels, device, part(progress, 0.2, 0.6), message)
    mirrored = coarse_probabilities(network, channels.flip(-1), device, part(progress, 0.6, 1.0), message).flip(-1)
    channel = _channels_by_name(classes, found.shape[0])
    found = ((found + mirrored[_channels_of_mirror_image(channel)]) / 2.0).numpy()
    bones = {side: np.stack([found[channel[f"{bone}_{side}"]] for bone in BONES]) for side in SIDES}
    return CoarseBones(coarse_grid.part(body), bones, found[channel["other"]], found[channel["none"]])


def _channels_by_name(classes: Sequence[str], count: int) -> dict[str, int]:
    wanted = {"none", "other", *(f"{bone}_{side}" for bone in BONES for side in SIDES)}
    if set(classes) != wanted or len(classes) != count:
        raise ModelError(
            f"The localiser's bundle names {len(classes)} classes for {count} output channels and they are not the "
            f"{len(wanted)} expected ones; install the weights that belong to this version."
        )
    return {name: channel for channel, name in enumerate(classes)}


def _channels_of_mirror_image(channel: Mapping[str, int]) -> list[int]:
    """For each output channel the one that holds the same bone of the other side."""
    other_side = {"right": "left", "left": "right"}
    order = [0] * len(channel)
    for name, position in channel.items():
        bone, _, side = name.rpartition("_")
        order[position] = channel[f"{bone}_{other_side[side]}"] if side in other_side else position
    return order
