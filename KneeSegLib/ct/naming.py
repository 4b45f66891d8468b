"""The naming network: sees a leg's bone mask, coarsely and without grey values, and says which bone is which."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from KneeSegLib.anatomy import BONES, OTHER, Side
from KneeSegLib.ct.slices import JointProbabilities
from KneeSegLib.errors import ModelError
from KneeSegLib.geometry.grid import Axis, Box, Grid
from KneeSegLib.geometry.resample import resample_to
from KneeSegLib.inference.windows import coarse_probabilities
from KneeSegLib.progress import Progress, no_progress


@dataclass(frozen=True)
class Names:
    """What the naming network says.

    ``values`` is ``(7, D, H, W)`` on ``grid`` in the order of :data:`KneeSegLib.anatomy.BONES`: how likely bone that
    lies there is to be that one. What is missing to one is the probability of being some other bone.
    """

    grid: Grid
    values: torch.Tensor


def bone_map(answers: Sequence[JointProbabilities], spacing_mm: float, side: Side) -> tuple[torch.Tensor, Grid]:
    """Merge what the specialists of a leg hold for bone; returns ``(D, H, W)`` probabilities and their grid."""
    box = Box.enclosing([Box.of_grid(answer.grid) for answer in answers])
    grid = Grid(*(Axis.covering(low, high, spacing_mm) for low, high in box))
    grid = grid.mirrored() if side == "left" else grid
    merged = torch.zeros(grid.shape)
    for answer in answers:
        weights = torch.from_numpy(answer.share.weights(answer.grid.z.positions_mm).astype(np.float32))
        bone = (1.0 - answer.values[0].float()) * weights[:, None, None]
        merged += resample_to(bone, answer.grid, grid)
    return merged.clamp(0.0, 1.0), grid


def name_bones(
    network: nn.Module,
    classes: Sequence[str],
    bones: torch.Tensor,
    grid: Grid,
    device: torch.device | str = "cpu",
    progress: Progress = no_progress,
    message: str = "Naming the bones",
) -> Names:
    """Ask the naming network.

    Args:
        classes: names of its output channels: ``"other"`` and every bone.
        bones, grid: see :func:`bone_map`.
    """
    if set(classes) != {OTHER, *BONES}:
        raise ModelError(
            f"The naming network's bundle names the classes {', '.join(classes)}, "
            f"expected {OTHER} and {', '.join(BONES)}; install the weights that belong to this version."
        )
    found = coarse_probabilities(network, bones[None], device, progress, message)
    return Names(grid, found[[list(classes).index(bone) for bone in BONES]])
