"""The semantic network: sees a leg's bone mask, coarsely and without grey values, and predicts which bone is which."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from KneeSegLib.anatomy import BONES, OTHER, Side
from KneeSegLib.bundles.model import Model
from KneeSegLib.ct.joint_slices import JointProbabilities
from KneeSegLib.errors import ModelError
from KneeSegLib.geometry.grid import Axis, Box, Grid
from KneeSegLib.geometry.resample import resample_to
from KneeSegLib.inference.windows import predict_volume
from KneeSegLib.progress import Progress, no_progress


@dataclass(frozen=True)
class SemanticProbabilities:
    """Which bone the bone of a leg is.

    ``values`` is ``(7, D, H, W)`` on ``grid`` in the order of :data:`KneeSegLib.anatomy.BONES`: the probability that
    bone which lies there is that one. What is missing to one is the probability of being some other bone.
    """

    grid: Grid
    values: torch.Tensor


def make_bone_mask(joints: Sequence[JointProbabilities], spacing_mm: float, side: Side) -> tuple[torch.Tensor, Grid]:
    """Merge what the joint models of a leg take for bone; returns ``(D, H, W)`` probabilities and their grid."""
    box = Box.enclosing([Box.of_grid(joint.grid) for joint in joints])
    grid = Grid(*(Axis.covering(low, high, spacing_mm) for low, high in box))
    grid = grid.mirrored() if side == "left" else grid
    merged = torch.zeros(grid.shape)
    for joint in joints:
        weights = torch.from_numpy(joint.roi.weights(joint.grid.z.positions_mm).astype(np.float32))
        bone = (1.0 - joint.values[0].float()) * weights[:, None, None]
        merged += resample_to(bone, joint.grid, grid)
    return merged.clamp(0.0, 1.0), grid


def predict_semantics(
    model: Model, joints: Sequence[JointProbabilities], side: Side, progress: Progress = no_progress
) -> SemanticProbabilities:
    """Apply the semantic network to a leg.

    Args:
        model: its classes are ``"other"`` and every bone.

    Raises:
        ModelError: the model has other classes.
    """
    classes = model.spec.classes
    if set(classes) != {OTHER, *BONES}:
        raise ModelError(
            f"The bundle {model.spec.name} names the classes {', '.join(classes)}, "
            f"expected {OTHER} and {', '.join(BONES)}; install the weights that belong to this version."
        )
    bones, grid = make_bone_mask(joints, model.spec.spacing_mm[0], side)
    message = f"Labelling the bones of the {side} leg"
    probabilities = predict_volume(model, bones[None], progress, message)
    return SemanticProbabilities(grid, probabilities[[classes.index(bone) for bone in BONES]])
