"""The localiser: of the whole scan, averaged to a coarse grid, a probability for every bone of either side."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch

from KneeSegLib.anatomy import BONES, SIDES, Side
from KneeSegLib.bundles.model import Model
from KneeSegLib.bundles.spec import ModelSpec
from KneeSegLib.ct.settings import BODY_HU, BODY_MARGIN_MM, HU_RANGE, OUTSIDE_HU
from KneeSegLib.errors import ModelError
from KneeSegLib.geometry.boxes import ArrayBox
from KneeSegLib.geometry.grid import Axis, Box, Grid
from KneeSegLib.geometry.resample import resample_to
from KneeSegLib.inference.scan import Scan
from KneeSegLib.inference.windows import predict_volume
from KneeSegLib.networks.ct_channels import localiser_channels
from KneeSegLib.progress import Progress, narrow_progress, no_progress, split_progress


@dataclass(frozen=True)
class CoarseProbabilities:
    """The localiser's prediction, on its own grid.

    ``bones[side]`` is ``(7, D, H, W)`` in the order of :data:`KneeSegLib.anatomy.BONES`, ``other`` (other bones) and
    ``none`` are ``(D, H, W)``; all of them sum to one.
    """

    grid: Grid
    bones: dict[Side, np.ndarray]
    other: np.ndarray
    none: np.ndarray


def average_scan(scan: Scan, spacing_mm: float, device: str = "cpu") -> tuple[torch.Tensor, Grid]:
    """Average a scan to cubes of ``spacing_mm``; returns ``(D, H, W)`` HU and its grid, centred on the scan's."""
    coarse = Grid(*(Axis.covering(axis.low_mm, axis.high_mm, spacing_mm) for axis in scan.grid))
    return resample_to(scan.values, scan.grid, coarse, outside=OUTSIDE_HU, clip=HU_RANGE, device=device), coarse


def crop_body(hu: torch.Tensor, grid: Grid) -> ArrayBox | None:
    """Return the part of a coarse scan that holds the body (and the table), with a margin; None where all is air."""
    box = Box.around((hu > BODY_HU).cpu().numpy(), grid)
    return None if box is None else grid.slices_within(box.grown(BODY_MARGIN_MM))


def localise_bones(model: Model, scan: Scan, progress: Progress = no_progress) -> CoarseProbabilities | None:
    """Predict which bone of which side is where.

    The network sees the scan and its mirror image, and the mean of both predictions is returned: a scan and its mirror
    image give mirrored results. With one of them alone, a network that had seen many scans of both legs took one foot
    of two for none.

    Args:
        model: a coarse network on :func:`~KneeSegLib.networks.ct_channels.localiser_channels`; its classes are
            ``"none"``, ``"other"`` and every bone of both sides.

    Returns:
        None where the scan holds nothing but air.

    Raises:
        ModelError: the model has other classes.
    """
    message = "Looking for hips, knees and ankles"
    channel = _channels_by_name(model.spec)
    progress(0.0, message)
    hu, grid = average_scan(scan, model.spec.spacing_mm[0], model.device.torch_name)
    body = crop_body(hu, grid)
    if body is None:
        return None
    direct, mirrored = split_progress(narrow_progress(progress, 0.2, 1.0), (1, 1))
    channels = localiser_channels(hu[body])
    predicted = predict_volume(model, channels, direct, message)
    of_mirror_image = predict_volume(model, channels.flip(-1), mirrored, message).flip(-1)
    found = ((predicted + of_mirror_image[_channels_of_mirror_image(channel)]) / 2.0).numpy()
    bones: dict[Side, np.ndarray] = {
        side: np.stack([found[channel[f"{bone}_{side}"]] for bone in BONES]) for side in SIDES
    }
    return CoarseProbabilities(grid.part(body), bones, found[channel["other"]], found[channel["none"]])


def _channels_by_name(spec: ModelSpec) -> dict[str, int]:
    wanted = {"none", "other", *(f"{bone}_{side}" for bone in BONES for side in SIDES)}
    if set(spec.classes) != wanted or len(spec.classes) != len(wanted):
        raise ModelError(
            f"The bundle {spec.name} names {len(spec.classes)} classes and they are not the {len(wanted)} expected "
            "ones; install the weights that belong to this version."
        )
    return {name: channel for channel, name in enumerate(spec.classes)}


def _channels_of_mirror_image(channel: Mapping[str, int]) -> list[int]:
    """For each output channel the one that holds the same bone of the other side."""
    other_side = {"right": "left", "left": "right"}
    order = [0] * len(channel)
    for name, position in channel.items():
        bone, _, side = name.rpartition("_")
        order[position] = channel[f"{bone}_{other_side[side]}"] if side in other_side else position
    return order
