"""Cut the labels of a leg into the joints' sets, where the leg's pipeline would hand over from one joint to the next.

The pipeline knows joints by its localiser (:mod:`KneeSegLib.ct.rois`); here the labels themselves say where bones end.
"""

from __future__ import annotations

import numpy as np

from KneeSegLib.anatomy import JOINT_BONES, Side, structure
from KneeSegLib.geometry.grid import Box, Grid
from KneeSegLib.training.own_cases.settings import CROP_MARGIN_MM, SHAFT_MARGIN_MM, TOUCHING_BONES_MM


def find_bones(labels: np.ndarray, grid: Grid, side: Side) -> dict[str, Box]:
    """Return the boxes of the bones of one leg that are labelled."""
    boxes = {}
    for key in {bone for bones in JOINT_BONES.values() for bone in bones}:
        box = Box.around(labels == structure(key, side).label_value, grid)
        if box is not None:
            boxes[key] = box
    return boxes


def find_joints(bones: dict[str, Box]) -> dict[str, float]:
    """Return the heights in mm of the joints that a leg's bones meet in, from the top down."""
    joints = {}
    femur, tibia = bones.get("femur"), bones.get("tibia")
    if femur and "hip_bone" in bones and bones["hip_bone"].z[0] < femur.z[1]:
        joints["hip"] = femur.z[1]
    if femur and tibia and abs(femur.z[0] - tibia.z[1]) < TOUCHING_BONES_MM:
        joints["knee"] = 0.5 * (femur.z[0] + tibia.z[1])
    if tibia and "talus" in bones and abs(tibia.z[0] - bones["talus"].z[1]) < TOUCHING_BONES_MM:
        joints["ankle"] = tibia.z[0]
    return joints


def cut_joint(labels: np.ndarray, grid: Grid, side: Side, joint: str) -> Box | None:
    """Return the box of a joint's set: half-way to its neighbours, or to the ends of its bones, with a margin.

    Args:
        labels: ``(D, H, W)``, values of :mod:`KneeSegLib.anatomy`.

    Returns:
        None where the leg does not show the joint.
    """
    bones = find_bones(labels, grid, side)
    joints = find_joints(bones)
    if joint not in joints:
        return None
    names = list(joints)
    place = names.index(joint)
    own = [bones[bone] for bone in JOINT_BONES[joint] if bone in bones]
    top = max(box.z[1] for box in own)
    bottom = min(box.z[0] for box in own)
    if place > 0:
        top = min(top, 0.5 * (joints[names[place - 1]] + joints[joint]))
    if place < len(names) - 1:
        bottom = max(bottom, 0.5 * (joints[names[place + 1]] + joints[joint]))
    first, last = grid.z.indices_within(bottom, top)
    values = [structure(bone, side).label_value for bone in JOINT_BONES[joint]]
    around = Box.around(np.isin(labels[first:last], values), grid._replace(z=grid.z.part(first, last)))
    if around is None:
        return None
    grown = around.grown(CROP_MARGIN_MM)
    return Box((bottom - SHAFT_MARGIN_MM, top + SHAFT_MARGIN_MM), grown.y, grown.x)


def box_of_side(labels: np.ndarray, grid: Grid, side: Side, tissues: tuple[str, ...]) -> Box | None:
    """Return the box of all structures of a side with a margin: the set of a knee MR; None where there are none."""
    values = [structure(tissue, side).label_value for tissue in tissues]
    around = Box.around(np.isin(labels, values), grid)
    return None if around is None else around.grown(CROP_MARGIN_MM)
