"""From a person's posed bones to the fields of a prepared file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

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
from KneeSegLib.training.synthesis.bones import Bone
from KneeSegLib.training.synthesis.distance import BoneFields, Grid
from KneeSegLib.training.synthesis.meshes import translation


@dataclass(frozen=True)
class CaseName:
    """What a case is called and belongs to; its random numbers come from its name, whatever else is prepared."""

    joint: Joint
    group: Group
    subject: str

    @property
    def file_name(self) -> str:
        return f"{self.joint}_{self.group}_{self.subject}.npz"


def voxelize_bones(
    bones: Sequence[tuple[Bone, str]], grid: Grid, gap_mm: float, name: CaseName, sources: Sequence[str]
) -> Anatomy:
    """Fields of bones, each with its side (``"right"``, ``"left"``), on a grid; at least ``gap_mm`` between them."""
    fields = BoneFields(grid)
    for number, (bone, _) in enumerate(bones, start=1):
        part = bone.distance(grid)
        if part is not None:
            fields.add(part[0], number, part[1])
    distance, numbers = fields.joined(gap_mm)
    classes = np.array([0, *(bone.class_index(side) for bone, side in bones)], np.uint8)
    functions = [bone.cortex_mm for bone, _ in bones]
    return assemble_anatomy(distance, numbers, classes, functions, grid, name, sources)


def assemble_anatomy(
    distance: np.ndarray,
    numbers: np.ndarray,
    classes: np.ndarray,
    cortex_functions: Sequence,
    grid: Grid,
    name: CaseName,
    sources: Sequence[str],
) -> Anatomy:
    """A prepared case from signed distance in mm and bone numbers (both [Z, Y, X]).

    Args:
        classes: class index of each bone number, the first entry 0 for none.
        cortex_functions: for bone 1, 2, ...: thickness in mm of the cortex at points (N, 3) in mm.
    """
    anatomy = Anatomy(
        nearest=np.where(
            np.abs(distance) < BAND_MM, classes[numbers], np.where(distance < 0, classes[numbers], 0)
        ).astype(np.uint8),
        sdf=np.round(np.clip(distance, -BAND_MM, BAND_MM) / SDF_UNIT_MM).astype(np.int8),
        cortex=_sample_cortex(numbers, cortex_functions, grid),
        far=_measure_far(distance, grid.spacing_mm),
        spacing_mm=(grid.spacing_mm,) * 3,
        origin_mm=tuple(float(value) for value in grid.origin_mm),
        joint=name.joint,
        group=name.group,
        name=name.subject,
        sources=tuple(sources),
    )
    anatomy.check()
    return anatomy


def recenter_bones(bones: dict[str, Bone], point: np.ndarray) -> dict[str, Bone]:
    """All bones shifted so that ``point`` becomes the origin."""
    shift = translation(-np.asarray(point))
    return {name: bone.transform(shift) for name, bone in bones.items()}


def _sample_cortex(numbers: np.ndarray, functions: Sequence, grid: Grid) -> np.ndarray:
    middle = COARSE // 2
    coarse = numbers[middle::COARSE, middle::COARSE, middle::COARSE]
    if coarse.any():
        nearest_known = distance_transform_edt(coarse == 0, return_distances=False, return_indices=True)
        coarse = coarse[tuple(nearest_known)]
    thickness = np.zeros(coarse.shape)
    for number, function in enumerate(functions, start=1):
        where = np.argwhere(coarse == number)
        if len(where):
            points = np.array(grid.origin_mm) + (where[:, ::-1] * COARSE + (COARSE - 1) / 2) * grid.spacing_mm
            thickness[coarse == number] = function(points)
    return np.clip(np.round(thickness / CORTEX_UNIT_MM), 0, 255).astype(np.uint8)


def _measure_far(distance: np.ndarray, spacing_mm: float) -> np.ndarray:
    low, high = COARSE // 2 - 1, COARSE // 2
    centers = (
        sum(distance[i::COARSE, j::COARSE, k::COARSE] for i in (low, high) for j in (low, high) for k in (low, high))
        / 8
    )
    known = centers < 10.0
    if not known.any():
        return np.full(centers.shape, 255, np.uint8)
    steps, indices = distance_transform_edt(~known, sampling=spacing_mm * COARSE, return_indices=True)
    return np.clip(np.round(np.maximum(centers[tuple(indices)], 0) + steps), 0, 255).astype(np.uint8)
