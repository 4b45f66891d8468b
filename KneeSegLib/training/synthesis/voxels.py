"""From a subject's posed bones to the fields of a prepared file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.ndimage import distance_transform_edt

from KneeSegLib.training.synthesis.anatomy_file import (
    BAND_MM,
    COARSE,
    CORTEX_UNIT_MM,
    SDF_UNIT_MM,
    Anatomy,
    Group,
    Joint,
)
from KneeSegLib.training.synthesis.bone_fields import BoneFields, BoneVolume
from KneeSegLib.training.synthesis.bones import Bone
from KneeSegLib.training.synthesis.cubic_grid import CubicGrid
from KneeSegLib.training.synthesis.distance import find_nearest_marked
from KneeSegLib.training.synthesis.meshes import translation
from KneeSegLib.training.synthesis.settings import (
    CLOSED_GAP_MM,
    CLOSED_JOINT_PROBABILITY,
    LEAST_GAP_MM,
    SUBJECTS_OF_THE_MODEL,
)

CortexFunction = Callable[[np.ndarray], np.ndarray]
"""Points (N, 3) in mm -> thickness (N,) in mm of a bone's cortex there."""


@dataclass(frozen=True)
class CaseName:
    """What a case is called and belongs to; its random numbers come from its name, whatever else is prepared."""

    joint: Joint
    group: Group
    subject: str

    @property
    def file_name(self) -> str:
        """Of its prepared file."""
        return f"{self.joint}_{self.group}_{self.subject}.npz"


def name_model_cases(joint: Joint) -> list[CaseName]:
    """Return the names of a joint's subjects of the shape model, group by group."""
    return [
        CaseName(joint, group, f"model{number:02d}")
        for group, count in SUBJECTS_OF_THE_MODEL[joint].items()
        for number in range(1, count + 1)
    ]


def voxelize_bones(
    bones: Sequence[tuple[Bone, str]], grid: CubicGrid, gap_mm: float, name: CaseName, sources: Sequence[str]
) -> Anatomy:
    """Return the fields of bones, each with its side (``"right"``, ``"left"``), at least ``gap_mm`` between them."""
    fields = BoneFields(grid)
    for number, (bone, _) in enumerate(bones, start=1):
        part = bone.measure_distance(grid)
        if part is not None:
            fields.add(part[0], number, part[1])
    classes = np.array([0, *(bone.class_index(side) for bone, side in bones)], np.uint8)
    functions = [bone.cortex_mm for bone, _ in bones]
    return assemble_anatomy(fields.join(gap_mm), classes, functions, name, sources)


def assemble_anatomy(
    bones: BoneVolume,
    classes: np.ndarray,
    cortex_functions: Sequence[CortexFunction],
    name: CaseName,
    sources: Sequence[str],
) -> Anatomy:
    """Return a prepared case.

    Args:
        classes: class index of each bone number, the first entry 0 for none.
        cortex_functions: those of bone 1, 2, ...
    """
    distance, numbers, grid = bones.distance_mm, bones.numbers, bones.grid
    x, y, z = grid.origin_mm
    anatomy = Anatomy(
        nearest=np.where(
            np.abs(distance) < BAND_MM, classes[numbers], np.where(distance < 0, classes[numbers], 0)
        ).astype(np.uint8),
        sdf=np.round(np.clip(distance, -BAND_MM, BAND_MM) / SDF_UNIT_MM).astype(np.int8),
        cortex=_sample_cortex(numbers, cortex_functions, grid),
        far=_measure_far(distance, grid.spacing_mm),
        spacing_mm=(grid.spacing_mm, grid.spacing_mm, grid.spacing_mm),
        origin_mm=(float(x), float(y), float(z)),
        joint=name.joint,
        group=name.group,
        name=name.subject,
        sources=tuple(sources),
    )
    anatomy.check()
    return anatomy


def recenter_bones(bones: dict[str, Bone], point: np.ndarray) -> dict[str, Bone]:
    """Return all bones shifted so that ``point`` becomes the origin."""
    shift = translation(-np.asarray(point))
    return {name: bone.transform(shift) for name, bone in bones.items()}


def draw_gap_mm(random: np.random.Generator, most_mm: float) -> float:
    """Draw the least distance between a subject's bones, at most ``most_mm``; sometimes that of a closed joint."""
    if random.random() < CLOSED_JOINT_PROBABILITY:
        return CLOSED_GAP_MM
    return random.uniform(LEAST_GAP_MM, most_mm)


def _sample_cortex(numbers: np.ndarray, functions: Sequence[CortexFunction], grid: CubicGrid) -> np.ndarray:
    """Return the thickness of the nearest bone's cortex at the coarse voxels, in the unit of prepared files."""
    middle = COARSE // 2
    coarse = numbers[middle::COARSE, middle::COARSE, middle::COARSE]
    if coarse.any():
        coarse = coarse[find_nearest_marked(coarse > 0)]
    thickness = np.zeros(coarse.shape)
    for number, function in enumerate(functions, start=1):
        where = np.argwhere(coarse == number)
        if len(where):
            points = np.array(grid.origin_mm) + (where[:, ::-1] * COARSE + (COARSE - 1) / 2) * grid.spacing_mm
            thickness[coarse == number] = function(points)
    return np.clip(np.round(thickness / CORTEX_UNIT_MM), 0, 255).astype(np.uint8)


def _measure_far(distance: np.ndarray, spacing_mm: float) -> np.ndarray:
    """Return the distance in mm to the nearest bone at the coarse voxels, however far."""
    around = (COARSE // 2 - 1, COARSE // 2)
    corners = [distance[i::COARSE, j::COARSE, k::COARSE] for i in around for j in around for k in around]
    centers = sum(corners, start=np.zeros((), distance.dtype)) / 8
    known = centers < 10.0
    if not known.any():
        return np.full(centers.shape, 255, np.uint8)
    nearest: Any = distance_transform_edt(~known, sampling=spacing_mm * COARSE, return_indices=True)
    steps, indices = nearest
    return np.clip(np.round(np.maximum(centers[tuple(indices)], 0) + steps), 0, 255).astype(np.uint8)
