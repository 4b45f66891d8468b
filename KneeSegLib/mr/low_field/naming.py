"""Which component of bone is which: femur, tibia and patella, by position and size."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import numpy as np
from scipy import ndimage

from KneeSegLib.errors import AnatomyNotFoundError
from KneeSegLib.geometry.masks import label_components, measure_distance_mm
from KneeSegLib.mr.low_field.settings import BONE_END_MM, LEAST_CM3, PATELLA_IN_FRONT_MM, SEPARATION_MM

Masks = dict[str, np.ndarray]


def name_bones(bone: np.ndarray, spacing_mm: float, source: str) -> Masks:
    """Return the masks (bool, same shape) of femur, tibia and, where it is found, patella.

    Bones that touch are taken apart by an erosion as small as will do, and grown back.

    Args:
        bone: bool (Z, Y, X), z to the head, y to the back, of cubic voxels.
        source: of the scan, for messages.

    Raises:
        AnatomyNotFoundError: there is no femur or no tibia.
    """
    best: Masks = {}
    depth_mm = None
    for radius_mm in SEPARATION_MM:
        if radius_mm and depth_mm is None:
            depth_mm = measure_distance_mm(~bone, [spacing_mm] * 3)
        core = bone if depth_mm is None else depth_mm > radius_mm
        named = name_components(core, spacing_mm)
        if len(named) > len(best):
            best = named if core is bone else grow_back(named, bone)
        if len(best) == len(LEAST_CM3):
            break
    missing = [name for name in ("femur", "tibia") if name not in best]
    if missing:
        raise AnatomyNotFoundError(
            f"No knee was found in '{source}': no {' and no '.join(missing)} could be seen, expected an MR of the "
            "knee; check the image or choose another series."
        )
    return best


def name_components(bone: np.ndarray, spacing_mm: float) -> Masks:
    """Return the components that are femur, tibia and patella; those that are not there are left out.

    The two largest are femur and tibia, the upper one the femur. The patella is the largest of the others that lies in
    front of the end of one of them. What remains (the fibula, fat taken for bone) has no name here.
    """
    numbers, voxels = label_components(bone)
    cm3 = voxels * spacing_mm**3 / 1000.0
    candidates = [number for number in np.argsort(-cm3[1:]) + 1 if cm3[number] >= min(LEAST_CM3.values())]
    if len(candidates) < 2:
        return {}
    centres = {
        n: np.array(c) * spacing_mm for n, c in zip(candidates, ndimage.center_of_mass(bone, numbers, candidates))
    }
    tibia, femur = sorted(candidates[:2], key=lambda number: centres[number][0])
    if cm3[femur] < LEAST_CM3["femur"] or cm3[tibia] < LEAST_CM3["tibia"]:
        return {}
    named = {"femur": numbers == femur, "tibia": numbers == tibia}
    ends = [_middle_of_end(named["femur"], spacing_mm, lowest=True), _middle_of_end(named["tibia"], spacing_mm, False)]
    for number in candidates[2:]:
        nearest = min(ends, key=lambda end: abs(end[0] - centres[number][0]))
        if centres[number][1] < nearest[1] - PATELLA_IN_FRONT_MM:
            named["patella"] = numbers == number
            break
    return named


def grow_back(cores: Mapping[str, np.ndarray], bone: np.ndarray) -> Masks:
    """Return for each core the voxels of ``bone`` that are nearer to it than to the others, one component each."""
    marked = np.zeros(bone.shape, np.uint8)
    for value, core in enumerate(cores.values(), start=1):
        marked[core] = value
    nearest = cast(
        "np.ndarray", ndimage.distance_transform_edt(marked == 0, return_distances=False, return_indices=True)
    )
    grown = np.where(bone, marked[tuple(nearest)], 0)
    masks = {}
    for value, (name, core) in enumerate(cores.items(), start=1):
        numbers, _ = label_components(grown == value)
        masks[name] = np.isin(numbers, np.unique(numbers[core]))
    return masks


def _middle_of_end(mask: np.ndarray, spacing_mm: float, lowest: bool) -> np.ndarray:
    """Return the centre (z, y, x) in mm of a bone's end at the knee."""
    heights = np.flatnonzero(mask.any(axis=(1, 2)))
    reach = round(BONE_END_MM / spacing_mm)
    start = heights[0] if lowest else max(heights[-1] + 1 - reach, 0)
    part = mask[start : start + reach]
    return (np.array(ndimage.center_of_mass(part)) + (start, 0, 0)) * spacing_mm
