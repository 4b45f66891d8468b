"""A leg whose side is a close call is looked at as a right leg and as a left one.

Specialists and the naming network know right legs alone; left ones are shown to them in a mirror. So they name the
bones alike where a leg is shown the right way round, and contradict each other where it is not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch

from KneeSegLib.anatomy import BONES, JOINT_BONES, Side
from KneeSegLib.ct.legs import Leg
from KneeSegLib.ct.naming import Names
from KneeSegLib.ct.slices import JointProbabilities
from KneeSegLib.geometry.resample import resample_to

CLEAR = 0.25
"""From this certainty on the networks have settled the side; below it the quality result calls a side a close decision.
On hips, ankles (one of them real) and one knee the right side had 0.24 to 0.8, on another knee next to nothing."""


def agreement(answers: Sequence[JointProbabilities], names: Names) -> float:
    """Return the share (0..1) of the bone in a leg to which its specialists and the naming network give one name."""
    agreed = bone = 0.0
    for answer in answers:
        joint = JOINT_BONES[answer.share.joint]
        sliced = resample_to(answer.values[1 : 1 + len(joint)], answer.grid, names.grid)
        named = names.values[[BONES.index(name) for name in joint]].float()
        here = sliced.sum(dim=0)
        agreed += float(torch.minimum(sliced, named * here).sum())
        bone += float(here.sum())
    return agreed / bone if bone > 0.0 else 0.0


def settled(leg: Leg, agreed: Mapping[Side, float]) -> Leg:
    """Return the leg with the side on which the networks agree better, and no doubt about it if that is clear.

    Args:
        agreed: :func:`agreement` for either side. How far the other side stays behind is the certainty.
    """
    side = max(agreed, key=agreed.__getitem__)
    best = agreed[side]
    certainty = 1.0 - min(agreed.values()) / best if best > 0.0 else 0.0
    if certainty < CLEAR:
        return leg
    return replace(leg, side=side, side_confidence=certainty, doubts=())
