"""From the localiser's probabilities to legs: which bones, which side, which joints, and where."""

from __future__ import annotations

from collections.abc import Mapping, Set

import numpy as np
from scipy import ndimage

from KneeSegLib.anatomy import BONES, JOINT_BONES, SIDES, Side
from KneeSegLib.ct.joints import find_joints
from KneeSegLib.ct.leg import FoundBone, Leg
from KneeSegLib.ct.localise import CoarseProbabilities
from KneeSegLib.ct.settings import (
    LEAST_BONES_APART,
    LEAST_PROBABILITY,
    LEAST_PROBABILITY_ASKED,
    LEAST_VOLUME_CM3,
    ONE_BONE_MM,
    SAME_BONE_MM,
    SEPARATE_LEGS_MM,
    SIDE_BY_SIDE,
)
from KneeSegLib.ct.sides import SideVote, find_parting_line, infer_sides, vote_on_side
from KneeSegLib.ct.strays import drop_strays
from KneeSegLib.geometry.grid import Box, Grid
from KneeSegLib.geometry.masks import label_components, measure_distance_mm

_TOUCHING = np.ones((3, 3, 3), bool)


def find_legs(coarse: CoarseProbabilities | None, scan: Grid, asked: str | None = None) -> list[Leg]:
    """Return the legs of which at least one joint is in view, the right one first.

    Args:
        coarse: the localiser's prediction; None of a scan that holds nothing but air.
        scan: the grid of the whole scan.
        asked: the joint that the user says is in view: less probability is asked of its bones, and where the localiser
            is undecided about which joint it is, that one wins.
    """
    if coarse is None:
        return []
    least = {
        bone: LEAST_PROBABILITY_ASKED if bone in JOINT_BONES.get(asked or "", ()) else LEAST_PROBABILITY
        for bone in BONES
    }
    field = Box.of_grid(scan)
    either = coarse.bones["right"] + coarse.bones["left"]
    labelled = np.concatenate([coarse.none[None], coarse.other[None], either]).argmax(axis=0) - 2
    two = _part_legs(labelled, either, coarse, least)
    if two is not None:
        legs = [_describe_leg(two[side], coarse, field, asked, known_side=side) for side in SIDES]
    else:
        whole = _find_regions(labelled, either, coarse.grid, least)
        legs = [_describe_leg(whole, coarse, field, asked)] if whole else []
    return [leg for leg in legs if leg.joints]


def _part_legs(
    labelled: np.ndarray, either: np.ndarray, coarse: CoarseProbabilities, least: Mapping[str, float]
) -> dict[Side, dict[str, np.ndarray]] | None:
    """Return the bones of both legs, None where there is one leg alone.

    A line parts them. Where it cuts bones the legs may be crossed: then they are two where two bones and more have a
    side each, apart from each other.
    """

    def halve(on_left: np.ndarray) -> dict[Side, dict[str, np.ndarray]]:
        parts: dict[Side, np.ndarray] = {side: np.where(on_left == (side == "left"), labelled, -1) for side in SIDES}
        return {side: _find_regions(part, either, coarse.grid, least) for side, part in parts.items()}

    line = _line_between_legs(coarse)
    halves = halve((np.arange(coarse.grid.x.count) >= line[:, None])[:, None, :])
    if not all(halves.values()):
        return None
    if _are_two_legs(halves, coarse.grid):
        return halves
    on_left = coarse.bones["left"].sum(axis=0) > coarse.bones["right"].sum(axis=0)
    halves = halve(on_left)
    common = set(halves["right"]) & set(halves["left"]) - {"hip_bone"}
    apart = {bone for bone in common if not _one_bone(halves, bone, coarse.grid)}
    if len(apart) < LEAST_BONES_APART or not _are_side_by_side(halves):
        return None
    sure: dict[Side, np.ndarray] = {
        side: np.logical_or.reduce([halves[side][bone] for bone in sorted(apart)]) for side in SIDES
    }
    return halve(_take_nearer_side(labelled, on_left, apart, sure, coarse.grid))


def _take_nearer_side(
    labelled: np.ndarray, on_left: np.ndarray, apart: Set[str], sure: Mapping[Side, np.ndarray], grid: Grid
) -> np.ndarray:
    """Return ``on_left`` with whole components of all bones but those ``apart`` on the side whose bones are nearer.

    Args:
        sure: the bones apart, of each side.
    """
    away_mm = {side: measure_distance_mm(mask, grid.spacing_mm) for side, mask in sure.items()}
    on_left = on_left.copy()
    for index, bone in enumerate(BONES):
        if bone in apart or bone == "hip_bone":  # hip bones touch each other
            continue
        components, voxels = label_components(labelled == index, _TOUCHING)
        numbers = np.arange(1, len(voxels))
        right, left = (ndimage.mean(away_mm[side], components, numbers) for side in SIDES)
        is_left = np.concatenate([[False], np.less(left, right)])
        on_left = np.where(components > 0, is_left[components], on_left)
    return on_left


def _line_between_legs(coarse: CoarseProbabilities) -> np.ndarray:
    pelvis = BONES.index("hip_bone")
    columns = {side: coarse.bones[side].sum(axis=(0, 2)) for side in SIDES}
    right, left = (columns[side] - coarse.bones[side][pelvis].sum(axis=1) for side in SIDES)
    return find_parting_line(columns["right"], columns["left"], right + left)


def _find_regions(
    labelled: np.ndarray, either: np.ndarray, grid: Grid, least: Mapping[str, float]
) -> dict[str, np.ndarray]:
    """Per bone the components that are large and sure enough, and those near them.

    Args:
        labelled: positions in BONES, negative elsewhere.
    """
    voxel_cm3 = float(np.prod(grid.spacing_mm)) / 1000.0
    regions = {}
    for index, bone in enumerate(BONES):
        components, voxels = label_components(labelled == index, _TOUCHING)
        if len(voxels) == 1:
            continue
        numbers = np.arange(1, len(voxels))
        volumes = voxels[1:] * voxel_cm3
        probabilities = ndimage.mean(either[index], components, numbers)
        accepted = numbers[(volumes >= LEAST_VOLUME_CM3[bone]) & (probabilities >= least[bone])]
        if accepted.size:
            away_mm = measure_distance_mm(np.isin(components, accepted), grid.spacing_mm)
            regions[bone] = np.isin(components, numbers[ndimage.minimum(away_mm, components, numbers) <= SAME_BONE_MM])
    return regions


def _are_two_legs(halves: dict[Side, dict[str, np.ndarray]], grid: Grid) -> bool:
    """Two legs lie side by side and have a bone in common, but none that the line between them cuts in two; else the
    localiser is undecided about one leg."""
    boxes = {side: Box.enclosing([Box.of_mask(mask, grid) for mask in halves[side].values()]) for side in SIDES}
    if boxes["left"].x[0] - boxes["right"].x[1] > SEPARATE_LEGS_MM:
        return True
    common = set(halves["right"]) & set(halves["left"])
    return (
        _are_side_by_side(halves)
        and bool(common)
        and not any(_one_bone(halves, bone, grid) for bone in common - {"hip_bone"})
    )


def _are_side_by_side(halves: dict[Side, dict[str, np.ndarray]]) -> bool:
    heights = [np.logical_or.reduce(list(halves[side].values())).any(axis=(1, 2)) for side in SIDES]
    return bool(np.logical_and(*heights).sum() >= SIDE_BY_SIDE * min(height.sum() for height in heights))


def _one_bone(halves: dict[Side, dict[str, np.ndarray]], bone: str, grid: Grid) -> bool:
    """Whether a component of a bone in one leg goes on in the other, with more than a few voxels on either side."""
    least = LEAST_VOLUME_CM3[bone] * 1000.0 / float(np.prod(grid.spacing_mm))
    right, left = (_large_components(halves[side][bone], least) for side in SIDES)
    if not (right.any() and left.any()):
        return False
    return bool((measure_distance_mm(left, grid.spacing_mm)[right] <= ONE_BONE_MM).any())


def _large_components(mask: np.ndarray, least: float) -> np.ndarray:
    """The connected components of so many voxels at least."""
    components, voxels = label_components(mask, _TOUCHING)
    large = voxels >= least
    large[0] = False
    return large[components]


def _describe_leg(
    regions: dict[str, np.ndarray],
    coarse: CoarseProbabilities,
    scan: Box,
    asked: str | None,
    known_side: Side | None = None,
) -> Leg:
    grid = coarse.grid
    either = coarse.bones["right"] + coarse.bones["left"]
    voxel_cm3 = float(np.prod(grid.spacing_mm)) / 1000.0
    confidences = {bone: float(either[BONES.index(bone)][mask].mean()) for bone, mask in regions.items()}
    joints = find_joints(regions, confidences, grid, scan, asked)
    kept = drop_strays(regions, joints, grid)
    strayed = any(kept.get(bone) is not mask for bone, mask in regions.items())
    regions = kept
    bones, left_fractions = {}, {}
    for bone, mask in regions.items():
        index = BONES.index(bone)
        volume = float(mask.sum()) * voxel_cm3
        bones[bone] = FoundBone(bone, Box.of_mask(mask, grid).within(scan), volume, float(either[index][mask].mean()))
        left_fractions[bone] = (volume, float(coarse.bones["left"][index][mask].sum() / either[index][mask].sum()))
    if strayed:
        joints = find_joints(regions, {bone: found.confidence for bone, found in bones.items()}, grid, scan, asked)
    hip_z_mm = joints["hip"].center_mm[0] if "hip" in joints else None
    # A fibula far from any knee or ankle is none, and nobody should be told where it lies.
    of_joints = {bone: mask for bone, mask in regions.items() if any(bone in JOINT_BONES[joint] for joint in joints)}
    decided = vote_on_side(left_fractions, infer_sides(of_joints, grid, hip_z_mm))
    if known_side is not None and decided.side != known_side:
        uncertainty = (
            f"The leg on the patient's {known_side} side looks like a {decided.side} one: check the side, "
            "the images may be mirrored or the legs crossed."
        )
        decided = SideVote(known_side, 1.0 - decided.confidence, (uncertainty,))
    return Leg(decided.side, decided.confidence, bones, joints, regions, grid, decided.uncertainties)
