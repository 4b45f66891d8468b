"""From the probability of bone and its named components to labels on the scan's grid, each bone closed."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from scipy import ndimage

from KneeSegLib.anatomy import JOINT_BONES, Side, structure
from KneeSegLib.cleaning import clean_labels
from KneeSegLib.cleaning.closing import close_with_ball
from KneeSegLib.geometry.grid import Axis, Box, Grid
from KneeSegLib.geometry.resample import resample_to
from KneeSegLib.inference.labels import LegLabels, label_blocks, label_window
from KneeSegLib.mr.bones import KneeBones
from KneeSegLib.mr.low_field.settings import EDGE_VOXELS
from KneeSegLib.mr.low_field.views import BoneProbability
from KneeSegLib.mr.settings import AROUND_VOXELS, SPACING_MM
from KneeSegLib.networks.device import Device
from KneeSegLib.progress import Progress, no_progress


def split_probability(bone: BoneProbability, masks: Mapping[str, np.ndarray]) -> dict[str, torch.Tensor]:
    """Return the probability of each bone: that of bone, in and just around its component, and nobody else's."""
    taken = np.zeros(bone.grid.shape, bool)
    for mask in masks.values():
        taken |= mask
    split = {}
    for name, mask in masks.items():
        around = ndimage.binary_dilation(mask, iterations=EDGE_VOXELS) & ~taken
        taken |= around
        split[name] = bone.values * torch.from_numpy(mask | around)
    return split


def view_coarsely(split: Mapping[str, torch.Tensor], grid: Grid, scan: Grid) -> KneeBones:
    """Return the bones as the shape networks see them."""
    box = Box.of_grid(grid)
    coarse = Grid(*(Axis.covering(low, high, SPACING_MM) for low, high in box))
    probability, inside = {}, {}
    for name, values in split.items():
        seen = resample_to(values, grid, coarse)
        mask = (seen > 0.5).numpy()
        inside[name] = mask
        probability[name] = seen * torch.from_numpy(ndimage.binary_dilation(mask, iterations=AROUND_VOXELS))
    return KneeBones(coarse, Box.of_grid(scan), probability, inside)


def label_bones(
    split: Mapping[str, torch.Tensor],
    grid: Grid,
    scan: Grid,
    side: Side,
    device: Device,
    progress: Progress = no_progress,
) -> LegLabels:
    """Label the bones on the scan's grid.

    Args:
        split: bone -> probability on ``grid``, see :func:`split_probability`.

    Raises:
        Cancelled: raised by ``progress`` between two blocks of slices.
    """
    margin_mm = 2.0 * grid.z.spacing_mm
    boxes = {name: Box.of_mask((values > 0.0).numpy(), grid).grown(margin_mm) for name, values in split.items()}
    knee = LegLabels.empty(side, scan, Box.enclosing(list(boxes.values())), boxes)
    crop = scan.part(knee.place)
    stack = torch.stack(list(split.values()))

    def label_block(rows: slice) -> None:
        window = (rows, slice(0, crop.y.count), slice(0, crop.x.count))
        label_window(knee, window, resample_to(stack, grid, crop.part(window)), list(split))

    label_blocks(label_block, crop.z.count, device, progress)
    return knee


def close_bones(knee: LegLabels, scan: Grid, closing_mm: float) -> np.ndarray:
    """Return labels with one component of each bone, without holes, closed with a ball, each bone by itself.

    No bone takes a voxel from another.
    """
    bones = [structure(name, knee.side) for name in JOINT_BONES["knee"]]
    labels = clean_labels(knee.labels, scan.spacing_mm, bones)
    if closing_mm <= 0.0:
        return labels
    closed = labels.copy()
    for bone in bones:
        filled = close_with_ball(labels == bone.label_value, closing_mm, scan.spacing_mm)
        closed[filled & (closed == 0)] = bone.label_value
    return closed
