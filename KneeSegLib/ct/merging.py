"""One probability per bone of a leg, from the specialists that share the leg among them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from KneeSegLib.anatomy import JOINT_BONES
from KneeSegLib.ct.slices import JointProbabilities
from KneeSegLib.geometry.grid import Box, Grid
from KneeSegLib.geometry.resample import resample_to

SURROUNDINGS_MM = 3.0
"""How far around a bone's likely voxels its surface is looked for."""


def likely_bones(answers: Sequence[JointProbabilities], bones: Sequence[str], grid: Grid) -> torch.Tensor:
    """Return ``(len(bones), *grid.shape)`` probabilities; neighbours fade into each other by their shares' weights."""
    likely = torch.zeros((len(bones), *grid.shape))
    for answer in answers:
        weights = torch.from_numpy(answer.share.weights(grid.z.positions_mm))[:, None, None]
        if not weights.any():
            continue
        for channel, bone in channels_of(answer):
            if bone in bones:
                found = resample_to(answer.values[channel], answer.grid, grid)
                likely[list(bones).index(bone)].addcmul_(found, weights)
    return likely


def weights_of_bone(answers: Sequence[JointProbabilities], bone: str, z_mm: np.ndarray) -> np.ndarray:
    """How much (0..1) those who know a bone have to say at some heights: the most that it can be likely there."""
    return sum(answer.share.weights(z_mm) for answer in answers if bone in JOINT_BONES[answer.share.joint])


def box_of_bone(answers: Sequence[JointProbabilities], bone: str) -> Box | None:
    """The box around what may be a bone, and its surroundings; None where nothing may."""
    boxes = []
    for answer in answers:
        for channel, name in channels_of(answer):
            if name == bone:
                boxes.append(Box.around((answer.values[channel] > 1.0 / 3.0).numpy(), answer.grid))
    boxes = [box.grown(SURROUNDINGS_MM) for box in boxes if box is not None]
    return Box.enclosing(boxes) if boxes else None


def channels_of(answer: JointProbabilities) -> list[tuple[int, str]]:
    """The channels of an answer that are bones, and which."""
    return list(enumerate(JOINT_BONES[answer.share.joint], start=1))
