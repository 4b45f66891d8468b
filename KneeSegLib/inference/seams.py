"""Which specialist answers for which part of a leg, and how one hands over to the next.

The border between two joints lies half-way between them, in the shaft: the hip's specialist answers down to the middle
of the femur, the knee's from there to the middle of the tibia, the ankle's from there to the sole. Around a border both
answer and fade into each other. Beyond the last joint in view its specialist goes on to the end of its bones, so that a
shaft is whole as far as the scan shows it.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from KneeSegLib.anatomy import JOINT_BONES
from KneeSegLib.inference.axes import Axis, Box
from KneeSegLib.inference.joints import FoundJoint
from KneeSegLib.inference.legs import Leg

FADE_MM = 20.0
END_MARGIN_MM = 16.0
CROP_MARGIN_MM = 16.0
CREST_MM = 150.0
"""The iliac crest lies no higher above the middle of the hip. Its thin wing is what the localiser loses first."""


@dataclass(frozen=True)
class Share:
    """The part of a leg that one joint's specialist answers for, as heights in mm; a border that fades is a seam."""

    joint: str
    low_mm: float
    high_mm: float
    fades_below: bool = False
    fades_above: bool = False

    @property
    def reach_mm(self) -> tuple[float, float]:
        """The heights between which the specialist has any weight."""
        half = FADE_MM / 2.0
        return self.low_mm - half * self.fades_below, self.high_mm + half * self.fades_above

    def weights(self, z_mm: np.ndarray) -> np.ndarray:
        """Its weight 0..1 at some heights. The weights of all shares of a leg add up to one between its ends."""
        low, high = self.reach_mm
        weights = ((z_mm >= low) & (z_mm <= high)).astype(np.float32)
        if self.fades_below:
            weights *= np.clip((z_mm - low) / FADE_MM, 0.0, 1.0)
        if self.fades_above:
            weights *= np.clip((high - z_mm) / FADE_MM, 0.0, 1.0)
        return weights


def shares_of(leg: Leg, wanted: Collection[str], scan_z: Axis) -> list[Share]:
    """Return the shares of the ``wanted`` joints that a leg shows, from the top down.

    A joint that is in view has its borders whether or not its neighbour is wanted: a knee looks the same in a run for
    the knee alone and in a run for the leg.
    """
    joints = list(leg.joints.values())
    heights = [joint.center_mm[0] for joint in joints]
    seams = [(upper + lower) / 2.0 for upper, lower in zip(heights, heights[1:])]
    shares = []
    for position, joint in enumerate(joints):
        if joint.name not in wanted:
            continue
        boxes = [leg.bones[bone].box for bone in JOINT_BONES[joint.name] if bone in leg.bones]
        first, last = position == 0, position == len(joints) - 1
        top = min(_top_of(joint, boxes), scan_z.high_mm) if first else seams[position - 1]
        bottom = max(min(box.z[0] for box in boxes) - END_MARGIN_MM, scan_z.low_mm) if last else seams[position]
        shares.append(Share(joint.name, bottom, top, fades_below=not last, fades_above=not first))
    return shares


def _top_of(joint: FoundJoint, boxes: list[Box]) -> float:
    """How high the bones of the uppermost joint may reach."""
    seen = max(box.z[1] for box in boxes) + END_MARGIN_MM
    return max(seen, joint.center_mm[0] + CREST_MM) if joint.name == "hip" else seen


def box_of_share(share: Share, leg: Leg) -> Box:
    """Return the box around the leg's bones that a specialist has to look at, with a margin."""
    low, high = share.reach_mm
    z = leg.grid.z.positions_mm
    rows = (z >= low - END_MARGIN_MM) & (z <= high + END_MARGIN_MM)
    bones = [leg.regions[bone] for bone in JOINT_BONES[share.joint] if bone in leg.regions]
    mask = np.logical_or.reduce(bones) & rows[:, None, None]
    around = Box.around(mask, leg.grid).grown(CROP_MARGIN_MM)
    return Box((low, high), around.y, around.x)
