"""A leg whose side is uncertain is shown to the networks as a right leg and as a left one.

Joint models and the semantic network know right legs alone; left ones are shown to them in a mirror. So they label the
bones alike where a leg is shown the right way round, and contradict each other where it is not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch

from KneeSegLib.anatomy import BONES, JOINT_BONES, Side
from KneeSegLib.ct.joint_slices import JointProbabilities
from KneeSegLib.ct.leg import Leg
from KneeSegLib.ct.semantics import SemanticProbabilities
from KneeSegLib.ct.settings import SIDE_CLEAR, UNSURE_BELOW
from KneeSegLib.geometry.resample import resample_to


def needs_side_check(legs: Sequence[Leg], asked: str) -> bool:
    """Whether the one leg in view is of a side that neither the user nor the localiser is sure of."""
    return asked == "auto" and len(legs) == 1 and legs[0].side_confidence < UNSURE_BELOW


def measure_agreement(joints: Sequence[JointProbabilities], semantics: SemanticProbabilities) -> float:
    """Return the fraction (0..1) of the bone in a leg that joint models and semantic network label alike."""
    agreed = bone = 0.0
    for joint in joints:
        names = JOINT_BONES[joint.roi.joint]
        sliced = resample_to(joint.values[1 : 1 + len(names)], joint.grid, semantics.grid)
        labelled = semantics.values[[BONES.index(name) for name in names]].float()
        here = sliced.sum(dim=0)
        agreed += float(torch.minimum(sliced, labelled * here).sum())
        bone += float(here.sum())
    return agreed / bone if bone > 0.0 else 0.0


def resolve_side(leg: Leg, agreement: Mapping[Side, float]) -> Leg:
    """Return the leg with the side on which the networks agree better, if that is clear; else the leg as it was.

    Args:
        agreement: :func:`measure_agreement` for either side. How far the other side stays behind is the certainty.
    """
    side = max(agreement, key=agreement.__getitem__)
    best = agreement[side]
    certainty = 1.0 - min(agreement.values()) / best if best > 0.0 else 0.0
    if certainty < SIDE_CLEAR:
        return leg
    return replace(leg, side=side, side_confidence=certainty, uncertainties=())
