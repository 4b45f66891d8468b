"""A prepared knee taken apart: the distance to each of its parts alone, also where another part is nearer.

Prepared files hold the distance to the nearest bone. Beyond the border at which another part becomes the nearest one,
a part's distance is continued from the border: what it is there, plus the way from there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import cast

import numpy as np
import torch
from scipy import ndimage

from KneeSegLib.training.synthesis.anatomy_file import BAND_MM, CLASSES, SDF_UNIT_MM
from KneeSegLib.training.synthesis.osteoarthritis.settings import JOINT_SEARCHED_MM, MOST_TAKEN_APART
from KneeSegLib.training.synthesis.scene import Scene
from KneeSegLib.training.synthesis.subjects import PreparedSubject, sample_volume

FEMUR, PATELLA, SHANK = "femur", "patella", "shank"
PARTS: Mapping[str, tuple[int, ...]] = MappingProxyType(
    {
        FEMUR: (CLASSES.index("femur_right"),),
        PATELLA: (CLASSES.index("patella_right"),),
        SHANK: (CLASSES.index("tibia_right"), CLASSES.index("fibula_right")),
    }
)
"""The parts of a knee and their classes, the main bone of each first; prepared knees are right ones."""


@dataclass(frozen=True)
class Block:
    """A part's distance where it and another part are near: int8 in 0.1 mm, and the place of its first voxel."""

    distance: torch.Tensor
    first: torch.Tensor

    @property
    def missing_mm(self) -> torch.Tensor:
        """How much less than the band the distance is; 0 is what lies outside."""
        return BAND_MM - self.distance.float() * SDF_UNIT_MM


@dataclass(frozen=True)
class KneeParts:
    """A prepared knee whose parts can be sampled each for itself.

    Attributes:
        blocks: by part, its distances near other parts; of the patella the whole of it.
        joint_mm: (z, y, x) of the middle between femur and tibia, in mm from the first voxel.
        spacing_mm: isotropic.
    """

    blocks: Mapping[str, Block]
    joint_mm: torch.Tensor
    spacing_mm: float

    def measure_near(self, part: str, points_mm: torch.Tensor) -> torch.Tensor:
        """Return the signed distance of points ``(..., 3)`` to a part, the band outside its block."""
        block = self.blocks[part]
        size = torch.tensor(block.distance.shape)
        at = points_mm / self.spacing_mm - block.first
        grid = ((2.0 * at + 1.0) / size - 1.0).flip(-1).reshape(1, 1, 1, -1, 3)
        return BAND_MM - sample_volume(block.missing_mm, grid, "bilinear").reshape(points_mm.shape[:-1])

    def measure_distance(self, part: str, points_mm: torch.Tensor, scene: Scene) -> torch.Tensor:
        """Return the signed distance of points ``(D, H, W, 3)`` to a part, also where no other part is near.

        Args:
            scene: the prepared knee as sampled at these points.
        """
        own = torch.isin(scene.nearest, torch.tensor(PARTS[part], dtype=torch.uint8))
        distance = torch.where(own, scene.distance_mm, BAND_MM)
        block = self.blocks[part]
        at = points_mm / self.spacing_mm - block.first
        within = ((at >= 0) & (at <= torch.tensor(block.distance.shape) - 1)).all(dim=-1)
        slices = torch.nonzero(within.flatten(1).any(dim=1))[:, 0]
        if len(slices):
            seen = slice(int(slices[0]), int(slices[-1]) + 1)
            near = self.measure_near(part, points_mm[seen])
            distance[seen] = torch.where(within[seen], near, distance[seen])
        return distance


@lru_cache(maxsize=MOST_TAKEN_APART)
def take_knee_apart(subject: PreparedSubject) -> KneeParts | None:
    """Return the parts of a right knee; None where femur and tibia, or patella and femur, are not near each other."""
    nearest, distance = subject.nearest.numpy(), subject.distance.numpy()
    of_part = {part: np.isin(nearest, classes) for part, classes in PARTS.items()}
    joint = find_joint(of_part[FEMUR], nearest == PARTS[SHANK][0], distance)
    blocks = {
        part: _continue_distance(own, (nearest > 0) & ~own, distance, subject.spacing_mm, part == PATELLA)
        for part, own in of_part.items()
    }
    if joint is None or any(block is None for block in blocks.values()):
        return None
    found = {part: block for part, block in blocks.items() if block is not None}
    return KneeParts(found, torch.tensor(joint, dtype=torch.float32) * subject.spacing_mm, subject.spacing_mm)


def find_joint(femur: np.ndarray, tibia: np.ndarray, distance: np.ndarray) -> np.ndarray | None:
    """Return the voxel (z, y, x) in the middle of where femur and tibia face each other; None where they do not.

    Args:
        femur, tibia: bool (Z, Y, X), where each is the nearest bone.
        distance: int8, signed distance to the nearest bone in 0.1 mm.
    """
    facing = np.argwhere(femur[1:] & tibia[:-1])
    if not len(facing):
        return None
    gap = distance[1:][tuple(facing.T)]
    facing = facing[gap <= gap.min() + JOINT_SEARCHED_MM / SDF_UNIT_MM]
    middle = facing.mean(axis=0)
    middle[2] = 0.5 * (facing[:, 2].min() + facing[:, 2].max())
    return middle


def _continue_distance(
    own: np.ndarray, others: np.ndarray, distance: np.ndarray, spacing_mm: float, whole: bool
) -> Block | None:
    """Return a part's distance in the box around its border with others, or around all of it; None without a border."""
    border = own & ndimage.binary_dilation(others)
    if not border.any():
        return None
    reach = int(np.ceil(BAND_MM / spacing_mm))
    (box,) = ndimage.find_objects((own if whole else border).astype(np.uint8))
    box = tuple(
        slice(max(side.start - reach, 0), min(side.stop + reach, size)) for side, size in zip(box, border.shape)
    )
    away, place = cast(
        "tuple[np.ndarray, np.ndarray]",
        ndimage.distance_transform_edt(~border[box], sampling=spacing_mm, return_indices=True),
    )
    here = distance[box].astype(np.float32) * SDF_UNIT_MM
    continued = np.maximum(here[tuple(place)] + away, here)
    alone = np.where(own[box], here, np.where(others[box], continued, BAND_MM))
    units = np.clip(np.round(alone / SDF_UNIT_MM), -127, 127).astype(np.int8)
    return Block(torch.from_numpy(units), torch.tensor([side.start for side in box]))
