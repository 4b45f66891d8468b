"""The femur as a whole: its box on the grid of a 3D network, and the prediction back on the scan's own grid."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from KneeSegLib.bundles.model import Model
from KneeSegLib.ct.leg import Leg
from KneeSegLib.ct.settings import CROP_MARGIN_MM
from KneeSegLib.errors import ModelError
from KneeSegLib.geometry.grid import Box, Grid
from KneeSegLib.geometry.resample import resample_to
from KneeSegLib.inference.labels import LegLabels, label_blocks, label_window
from KneeSegLib.inference.scan import Scan
from KneeSegLib.inference.volume_input import make_volume_input, stretch_grid
from KneeSegLib.networks.device import Device
from KneeSegLib.progress import Progress, no_progress

FEMUR = "femur"


@dataclass(frozen=True)
class FemurProbability:
    """Probability of the femur, ``(D, H, W)`` float32 on ``grid``, whose x axis runs the other way for left legs."""

    values: torch.Tensor
    grid: Grid


def predict_femur(model: Model, scan: Scan, leg: Leg) -> FemurProbability:
    """Apply the network to the femur of a leg: its box as the localiser found it, with a margin.

    Args:
        model: a network of kind ``ct-volume``.
        leg: that has a femur.

    Raises:
        ModelError: the model does not label femora, or does not say what it takes.
    """
    volume = model.spec.require_volume()
    if model.spec.classes != ("background", FEMUR):
        raise ModelError(
            f"The bundle {model.spec.name} names the classes {', '.join(model.spec.classes)}, expected background, "
            f"{FEMUR}; install the weights that belong to this version."
        )
    box = leg.bones[FEMUR].box.grown(CROP_MARGIN_MM).within(Box.of_grid(scan.grid))
    grid = stretch_grid(box, volume.shape)
    grid = grid.mirrored() if leg.side == "left" else grid
    seen = make_volume_input(scan.values, scan.grid, grid, volume.input)
    logits = model.network(seen[None].to(model.device.torch_name)).float()
    return FemurProbability((logits[0] / model.spec.temperature).softmax(dim=0)[1].to("cpu"), grid)


def label_femur(
    femur: FemurProbability, scan: Grid, leg: Leg, device: Device, progress: Progress = no_progress
) -> LegLabels:
    """Bring the probability onto the scan's grid, interpolated linearly, and label where it exceeds one half.

    Raises:
        Cancelled: raised by ``progress`` between two blocks of slices.
    """
    box = Box.of_grid(femur.grid)
    labels = LegLabels.empty(leg.side, scan, box, {FEMUR: box})
    crop = scan.part(labels.place)

    def label_block(rows: slice) -> None:
        window = (rows, slice(0, crop.y.count), slice(0, crop.x.count))
        label_window(labels, window, resample_to(femur.values, femur.grid, crop.part(window))[None], [FEMUR])

    label_blocks(label_block, crop.z.count, device, progress, f"Labelling the {leg.side} femur")
    return labels
