"""What is where on a rendering grid: the anatomy that tissue and scanner start from."""

from __future__ import annotations

from dataclasses import dataclass

import torch


@dataclass
class Scene:
    """Anatomy on a rendering grid; all tensors ``(D, H, W)``.

    Attributes:
        distance_mm: signed distance to the nearest bone surface, negative inside.
        nearest: class index of that bone (``anatomy_file.CLASSES``), 0 far from all bones.
        cortex_mm: thickness of the cortex that the bone would have here.
        far_mm: distance to the nearest bone, also far away from it.
        known: False outside the box of the prepared subject.
        spacing_mm: isotropic.
        joint_space_mm: how far the bones of a worn joint are apart along the way through each place; None of others.
    """

    distance_mm: torch.Tensor
    nearest: torch.Tensor
    cortex_mm: torch.Tensor
    far_mm: torch.Tensor
    known: torch.Tensor
    spacing_mm: float
    joint_space_mm: torch.Tensor | None = None
