"""From the joint models' probabilities for one leg to labels on the scan's own grid."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import torch

from KneeSegLib.anatomy import BONES, Side
from KneeSegLib.ct.bone_probabilities import box_of_bone, merge_bone_probabilities
from KneeSegLib.ct.joint_slices import JointProbabilities
from KneeSegLib.ct.refinement import Residual
from KneeSegLib.ct.settings import NEAR_BONE, SURROUNDINGS_MM
from KneeSegLib.geometry.boxes import ArrayBox, overlap_boxes, uncrop_box
from KneeSegLib.geometry.grid import Box, Grid
from KneeSegLib.inference.labels import LegLabels, label_blocks, label_window
from KneeSegLib.networks.device import Device
from KneeSegLib.progress import Progress, no_progress

NO_RESIDUALS: Mapping[str, Residual] = MappingProxyType({})


def label_leg(
    joints: Sequence[JointProbabilities],
    scan: Grid,
    side: Side,
    device: Device,
    residuals: Mapping[str, Residual] = NO_RESIDUALS,
    progress: Progress = no_progress,
) -> LegLabels:
    """Bring the probabilities of one leg onto the scan's grid and label the most probable bone.

    Args:
        joints: see :func:`KneeSegLib.ct.fusion.fuse_probabilities`; neighbours fade into each other by the weights of
            their regions.
        residuals: what is added to the probabilities, per bone; see :func:`KneeSegLib.ct.refinement.refine_leg`.

    Raises:
        Cancelled: raised by ``progress`` between two blocks of slices.
    """
    boxes = {bone: box for bone in BONES if (box := box_of_bone(joints, bone)) is not None}
    leg = LegLabels.empty(side, scan, Box.enclosing([Box.of_grid(joint.grid) for joint in joints]), boxes)
    crop = scan.part(leg.place)

    def label_block(rows: slice) -> None:
        window = _window_of_bone(joints, crop, rows)
        if window is None:
            return
        bones = list(leg.margins)
        probabilities = merge_bone_probabilities(joints, bones, crop.part(window))
        if residuals:
            _add_residuals(probabilities, bones, residuals, uncrop_box(window, leg.place))
        label_window(leg, window, probabilities, bones)

    label_blocks(label_block, crop.z.count, device, progress, f"Labelling the {side} leg")
    return leg


def _window_of_bone(joints: Sequence[JointProbabilities], crop: Grid, rows: slice) -> ArrayBox | None:
    """The part of some slices of the crop that may hold bone."""
    z = crop.z.part(rows.start, rows.stop)
    boxes = [box for joint in joints if (box := _box_near(joint, z.low_mm, z.high_mm)) is not None]
    if not boxes:
        return None
    _, y, x = crop.slices_within(Box.enclosing(boxes))
    return rows, y, x


def _box_near(joint: JointProbabilities, low_mm: float, high_mm: float) -> Box | None:
    """The box of what may be bone among the slices that matter for an interval of heights."""
    reach = joint.grid.z.spacing_mm
    start, stop = joint.grid.z.indices_within(low_mm - reach, high_mm + reach)
    if start == stop:
        return None
    part = joint.grid._replace(z=joint.grid.z.part(start, stop))
    box = Box.around((joint.values[0, start:stop] < 1.0 - NEAR_BONE).numpy(), part)
    return None if box is None else box.grown(SURROUNDINGS_MM)


def _add_residuals(
    probabilities: torch.Tensor, bones: Sequence[str], residuals: Mapping[str, Residual], window: ArrayBox
) -> None:
    """Add to ``(bones, d, h, w)`` of ``window`` in the scan; bones and background still sum to one."""
    for layer, bone in zip(probabilities, bones):
        overlap = overlap_boxes(window, residuals[bone].place) if bone in residuals else None
        if overlap is not None:
            here, there = overlap
            layer[here] += residuals[bone].values[there]
    probabilities.clamp_(min=0.0)
    probabilities /= probabilities.sum(dim=0).clamp(min=1.0)
