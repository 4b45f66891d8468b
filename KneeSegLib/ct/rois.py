"""Which joint model predicts which part of a leg, and how one hands over to the next.

The border between two joints lies half-way between them, in the shaft: the hip's model predicts down to the middle of
the femur, the knee's from there to the middle of the tibia, the ankle's from there to the sole. Around a border both
predict and fade into each other. Beyond the last joint in view its model goes on to the end of its bones, so that a
shaft is whole as far as the scan shows it.
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from KneeSegLib.anatomy import JOINT_BONES, LONG_BONES
from KneeSegLib.ct.joints import FoundJoint
from KneeSegLib.ct.leg import JointRoi, Leg
from KneeSegLib.ct.settings import CREST_MM, CROP_MARGIN_MM, END_MARGIN_MM, HALF_SHAFT_MM
from KneeSegLib.geometry.grid import Axis, Box


def find_rois(leg: Leg, wanted: Collection[str], scan_z: Axis) -> tuple[JointRoi, ...]:
    """Return the regions of the ``wanted`` joints that a leg shows, from the top down.

    A joint that is in view has its borders whether or not its neighbour is wanted: a knee looks the same in a run for
    the knee alone and in a run for the leg.
    """
    joints = list(leg.joints.values())
    heights = [joint.center_mm[0] for joint in joints]
    seams = [(upper + lower) / 2.0 for upper, lower in zip(heights, heights[1:])]
    rois = []
    for position, joint in enumerate(joints):
        if joint.name not in wanted:
            continue
        first, last = position == 0, position == len(joints) - 1
        low, high = _ends_of(joint, leg)
        top = min(high, scan_z.high_mm) if first else seams[position - 1]
        bottom = max(low, scan_z.low_mm) if last else seams[position]
        rois.append(JointRoi(joint.name, bottom, top, fades_below=not last, fades_above=not first))
    return tuple(rois)


def find_mislabelled_shafts(joint: str, leg: Leg) -> tuple[str, ...]:
    """Return the long bones that no joint in view has and that go on where this joint's own bones end.

    From one end of it, the localiser may take a tibia's shaft for a femur's, or the other way round.
    """
    own = [leg.bones[bone].box for bone in JOINT_BONES[joint] if bone in leg.bones]
    of_joints = {bone for name in leg.joints for bone in JOINT_BONES[name]}
    strange = [bone for bone in LONG_BONES if bone in leg.bones and bone not in of_joints]
    return tuple(bone for bone in strange if any(_follow(leg.bones[bone].box, box) for box in own))


def _follow(first: Box, second: Box) -> bool:
    """Whether two boxes come as near to each other as the components of one bone do."""
    return all(a[0] <= b[1] + END_MARGIN_MM and b[0] <= a[1] + END_MARGIN_MM for a, b in zip(first, second))


def _ends_of(joint: FoundJoint, leg: Leg) -> tuple[float, float]:
    """How far down and up a joint's bones may reach, where no other joint takes over."""
    heights = [leg.bones[bone].box.z for bone in JOINT_BONES[joint.name] if bone in leg.bones]
    low, high = min(z[0] for z in heights), max(z[1] for z in heights)
    half_shaft = (joint.center_mm[0] - HALF_SHAFT_MM, joint.center_mm[0] + HALF_SHAFT_MM)
    for bone in find_mislabelled_shafts(joint.name, leg):
        z = leg.bones[bone].box.z
        low, high = min(low, max(z[0], half_shaft[0])), max(high, min(z[1], half_shaft[1]))
    crest = joint.center_mm[0] + CREST_MM if joint.name == "hip" else high
    return low - END_MARGIN_MM, max(high + END_MARGIN_MM, crest)


def box_of_roi(roi: JointRoi, leg: Leg) -> Box:
    """Return the box around the leg's bones that a joint model has to see, with a margin."""
    low, high = roi.reach_mm
    z = leg.grid.z.positions_mm
    rows = (z >= low - END_MARGIN_MM) & (z <= high + END_MARGIN_MM)
    own = [bone for bone in JOINT_BONES[roi.joint] if bone in leg.regions]
    bones = [leg.regions[bone] for bone in (*own, *find_mislabelled_shafts(roi.joint, leg))]
    mask = np.logical_or.reduce(bones) & rows[:, None, None]
    around = Box.of_mask(mask, leg.grid).grown(CROP_MARGIN_MM)
    return Box((low, high), around.y, around.x)
