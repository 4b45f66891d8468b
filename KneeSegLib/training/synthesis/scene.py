"""What is where on a rendering grid: the anatomy that tissue and scanner start from."""

from __future__ import annotations

from dataclasses import dataclass

import torch


@dataclass
class Scene:
    """What is where on the rendering grid; all ``(D, H, W)`` tensors.

    Attributes:
        distance_mm: signed distance to the nearest bone surface, negative inside.
        nearest: class index of that bone (``anatomy_file.CLASSES``), 0 far from all bones.
        cortex_mm: thickness of the cortex that the bone would have here.
        far_mm: distance to the nearest bone, also far away from it.
        known: False where the prepared person says nothing (outside its box).
        spacing_mm: isotropic.
    """

    distance_mm: torch.Tensor
    nearest: torch.Tensor
    cortex_mm: torch.Tensor
    far_mm: torch.Tensor
    known: torch.Tensor
    spacing_mm: float
