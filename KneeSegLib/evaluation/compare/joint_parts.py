"""Which part of a bone lies at which joint: the femur at the hip beside the femur at the knee.

As the networks of the joints divide a leg, a long bone of which both ends are in view is parted half-way between them;
of any other bone all that is in view lies at one joint.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from KneeSegLib.anatomy import JOINT_BONES, LONG_BONES, Structure, structure_of_label
from KneeSegLib.evaluation.settings import BOTH_ENDS_FROM_MM
from KneeSegLib.geometry.boxes import ArrayBox, find_label_boxes

_ENDS = {"femur": ("knee", "hip"), "tibia": ("ankle", "knee"), "fibula": ("ankle", "knee")}
"""The joints at the lower and at the upper end of each long bone."""

Parts = Mapping[str, tuple[int, int]]
"""By joint the slices (start, stop) of a structure that lie at it."""


def find_joint_parts(labels: np.ndarray, slice_mm: float) -> dict[Structure, Parts]:
    """Return the parts of every structure that lie at a joint.

    Args:
        labels: array ``[S, P, L]``, inferior to superior, with values of :mod:`KneeSegLib.anatomy`.
        slice_mm: spacing along its first axis.
    """
    boxes = {structure_of_label(value): box for value, box in find_label_boxes(labels).items()}
    return {found: _part_structure(found, boxes, labels.shape[0], slice_mm) for found in boxes}


def _part_structure(found: Structure, boxes: Mapping[Structure, ArrayBox], slices: int, slice_mm: float) -> Parts:
    start, stop = boxes[found][0].start, boxes[found][0].stop
    key = found.tissue.key
    if found.tissue.kind != "bone":  # cartilage and menisci are the knee's
        return {"knee": (start, stop)}
    if key not in LONG_BONES:
        return {joint: (start, stop) for joint, bones in JOINT_BONES.items() if key in bones}
    lower, upper = _ENDS[key]
    seen = _find_ends(found, boxes)
    open_ends = {joint for joint, is_open in ((lower, start > 0), (upper, stop < slices)) if is_open}
    if (stop - start) * slice_mm >= BOTH_ENDS_FROM_MM:
        seen |= open_ends
    elif not seen and len(open_ends) == 1:
        seen = open_ends
    if len(seen) < 2:
        return {joint: (start, stop) for joint in seen}
    middle = (start + stop) // 2
    return {upper: (middle, stop), lower: (start, middle)}


def _find_ends(found: Structure, boxes: Mapping[Structure, ArrayBox]) -> set[str]:
    """Return the joints of a long bone of which another bone of its leg is there that belongs to no other joint."""
    there = {other.tissue.key for other in boxes if other.side == found.side and other != found}
    joints = set(_ENDS[found.tissue.key])
    telling = {"hip": {"hip_bone"}, "knee": {"femur", "patella"}, "ankle": {"talus", "calcaneus"}}
    if found.tissue.key == "femur":
        telling["knee"] = {"tibia", "patella", "fibula"}
    return {joint for joint in joints if telling[joint] & there}
