"""One probability per bone of a leg, merged from the joint models that have the leg in common."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from KneeSegLib.anatomy import JOINT_BONES
from KneeSegLib.ct.joint_slices import JointProbabilities
from KneeSegLib.ct.settings import SURROUNDINGS_MM
from KneeSegLib.geometry.grid import Box, Grid
from KneeSegLib.geometry.resample import resample_to


def merge_bone_probabilities(joints: Sequence[JointProbabilities], bones: Sequence[str], grid: Grid) -> torch.Tensor:
    """Return ``(len(bones), *grid.shape)`` probabilities; neighbouring joints fade into each other by their weights."""
    merged = torch.zeros((len(bones), *grid.shape))
    for joint in joints:
        weights = torch.from_numpy(joint.roi.weights(grid.z.positions_mm))[:, None, None]
        if not weights.any():
            continue
        for channel, bone in bone_channels(joint):
            if bone in bones:
                probability = resample_to(joint.values[channel], joint.grid, grid)
                merged[list(bones).index(bone)].addcmul_(probability, weights)
    return merged


def bone_weights(joints: Sequence[JointProbabilities], bone: str, z_mm: np.ndarray) -> np.ndarray:
    """Weight (0..1) of the models that know a bone, at some heights: the bone's largest possible probability there."""
    weights = [joint.roi.weights(z_mm) for joint in joints if bone in JOINT_BONES[joint.roi.joint]]
    return np.sum(weights, axis=0) if weights else np.zeros(len(z_mm), np.float32)


def box_of_bone(joints: Sequence[JointProbabilities], bone: str) -> Box | None:
    """The box around what may be a bone, and its surroundings; None where nothing may."""
    boxes = []
    for joint in joints:
        for channel, name in bone_channels(joint):
            if name == bone:
                boxes.append(Box.around((joint.values[channel] > 1.0 / 3.0).numpy(), joint.grid))
    boxes = [box.grown(SURROUNDINGS_MM) for box in boxes if box is not None]
    return Box.enclosing(boxes) if boxes else None


def bone_channels(joint: JointProbabilities) -> list[tuple[int, str]]:
    """The channels of a prediction that are bones, and which."""
    return list(enumerate(JOINT_BONES[joint.roi.joint], start=1))
