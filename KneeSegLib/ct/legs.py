"""From the localiser's probabilities to legs: which bones, which side, which joints, and where."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from KneeSegLib.anatomy import BONES, JOINT_BONES, SIDES, Side
from KneeSegLib.ct.joints import FoundJoint, find_joints
from KneeSegLib.ct.localise import CoarseBones
from KneeSegLib.ct.sides import SideVote, parting_line, sides_by_anatomy, vote
from KneeSegLib.geometry.grid import Box, Grid

# Less than this in one piece is not a bone but a scatter of voxels. Bones cut by the field of view may be small.
LEAST_VOLUME_CM3: Mapping[str, float] = {
    "hip_bone": 40.0,
    "femur": 6.0,
    "patella": 4.0,
    "tibia": 12.5,
    "fibula": 2.0,
    "talus": 5.0,
    "calcaneus": 8.0,
}
LEAST_PROBABILITY = 0.5
"""Mean probability that a piece needs to be believed."""

LEAST_PROBABILITY_ASKED = 0.35
"""The same for bones of the one joint that a person says is in the scan."""

SAME_BONE_MM = 20.0
"""Smaller pieces so near to one that is believed belong to it: thin and dark parts of a bone are seen in pieces."""

SEPARATE_LEGS_MM = 60.0
"""Bones that are this far apart sideways are two legs, whatever they are."""

SIDE_BY_SIDE = 0.3
"""Share of the shorter leg's slices in which the other leg is seen as well."""

ONE_BONE_MM = 8.0
"""Two pieces of the same name as near as this, one in either leg, are one bone: legs have skin and fat between them."""

_TOUCHING = np.ones((3, 3, 3), bool)


@dataclass(frozen=True)
class FoundBone:
    """A bone of a leg: its box (cut by the scan where the bone is), and how much of it was seen how surely (0..1)."""

    name: str
    box: Box
    volume_cm3: float
    confidence: float


@dataclass(frozen=True)
class Leg:
    """One leg in the scan. ``regions`` are coarse masks per bone, ``(D, H, W)`` on ``grid``."""

    side: Side
    side_confidence: float
    bones: dict[str, FoundBone]
    joints: dict[str, FoundJoint]
    regions: dict[str, np.ndarray]
    grid: Grid
    doubts: tuple[str, ...]


def find_legs(coarse: CoarseBones, scan: Box, asked: str | None = None) -> list[Leg]:
    """Return the legs of which at least one joint is in view, the right one first.

    Args:
        coarse: what the localiser says.
        scan: the field of view in mm.
        asked: the joint that a person says is in view: its bones are believed sooner, and where the localiser is in
            two minds about which joint it is, that one wins.
    """
    least = {
        bone: LEAST_PROBABILITY_ASKED if bone in JOINT_BONES.get(asked, ()) else LEAST_PROBABILITY for bone in BONES
    }
    either = coarse.bones["right"] + coarse.bones["left"]
    named = np.concatenate([coarse.none[None], coarse.other[None], either]).argmax(axis=0) - 2
    line = _line_between_legs(coarse)
    on_left = (np.arange(coarse.grid.x.count) >= line[:, None])[:, None, :]
    halves: dict[Side, dict[str, np.ndarray]] = {
        side: _believable_regions(np.where(on_left == (side == "left"), named, -1), either, coarse.grid, least)
        for side in SIDES
    }
    if all(halves.values()) and _are_two_legs(halves, coarse.grid):
        legs = [_leg(halves[side], coarse, either, scan, asked, known_side=side) for side in SIDES]
    else:
        whole = _believable_regions(named, either, coarse.grid, least)
        legs = [_leg(whole, coarse, either, scan, asked)] if whole else []
    return [leg for leg in legs if leg.joints]


def _line_between_legs(coarse: CoarseBones) -> np.ndarray:
    pelvis = BONES.index("hip_bone")
    columns = {side: coarse.bones[side].sum(axis=(0, 2)) for side in SIDES}
    solid = sum(columns[side] - coarse.bones[side][pelvis].sum(axis=1) for side in SIDES)
    return parting_line(columns["right"], columns["left"], solid)


def _believable_regions(
    named: np.ndarray, either: np.ndarray, grid: Grid, least: Mapping[str, float]
) -> dict[str, np.ndarray]:
    """Per bone the pieces that are large and sure enough, and those near them.

    Args:
        named: positions in BONES, negative elsewhere.
    """
    voxel_cm3 = float(np.prod(grid.spacing_mm)) / 1000.0
    regions = {}
    for index, bone in enumerate(BONES):
        pieces, count = ndimage.label(named == index, structure=_TOUCHING)
        if not count:
            continue
        numbers = np.arange(1, count + 1)
        volumes = ndimage.sum_labels(np.ones(pieces.shape, np.uint8), pieces, numbers) * voxel_cm3
        probabilities = ndimage.mean(either[index], pieces, numbers)
        believed = numbers[(volumes >= LEAST_VOLUME_CM3[bone]) & (probabilities >= least[bone])]
        if believed.size:
            away_mm = ndimage.distance_transform_edt(~np.isin(pieces, believed), grid.spacing_mm)
            regions[bone] = np.isin(pieces, numbers[ndimage.minimum(away_mm, pieces, numbers) <= SAME_BONE_MM])
    return regions


def _are_two_legs(halves: dict[Side, dict[str, np.ndarray]], grid: Grid) -> bool:
    """Two legs lie side by side and have a bone in common, but none that the line between them cuts in two; else the
    localiser is in two minds about one leg."""
    boxes = {side: Box.enclosing([Box.around(mask, grid) for mask in halves[side].values()]) for side in SIDES}
    if boxes["left"].x[0] - boxes["right"].x[1] > SEPARATE_LEGS_MM:
        return True
    heights = [np.logical_or.reduce(list(halves[side].values())).any(axis=(1, 2)) for side in SIDES]
    side_by_side = np.logical_and(*heights).sum() >= SIDE_BY_SIDE * min(height.sum() for height in heights)
    common = set(halves["right"]) & set(halves["left"])
    return side_by_side and bool(common) and not any(_one_bone(halves, bone, grid) for bone in common - {"hip_bone"})


def _one_bone(halves: dict[Side, dict[str, np.ndarray]], bone: str, grid: Grid) -> bool:
    """Whether a piece of a bone in one leg goes on in the other, with more than a sliver on either side."""
    least = LEAST_VOLUME_CM3[bone] * 1000.0 / float(np.prod(grid.spacing_mm))
    right, left = (_large_pieces(halves[side][bone], least) for side in SIDES)
    if not (right.any() and left.any()):
        return False
    return bool((ndimage.distance_transform_edt(~left, grid.spacing_mm)[right] <= ONE_BONE_MM).any())


def _large_pieces(mask: np.ndarray, least: float) -> np.ndarray:
    """The connected pieces of so many voxels at least."""
    pieces, _ = ndimage.label(mask, structure=_TOUCHING)
    large = np.bincount(pieces.ravel()) >= least
    large[0] = False
    return large[pieces]


def _leg(
    regions: dict[str, np.ndarray],
    coarse: CoarseBones,
    either: np.ndarray,
    scan: Box,
    asked: str | None,
    known_side: Side | None = None,
) -> Leg:
    grid = coarse.grid
    voxel_cm3 = float(np.prod(grid.spacing_mm)) / 1000.0
    bones, left_shares = {}, {}
    for bone, mask in regions.items():
        index = BONES.index(bone)
        volume = float(mask.sum()) * voxel_cm3
        bones[bone] = FoundBone(bone, Box.around(mask, grid).within(scan), volume, float(either[index][mask].mean()))
        left_shares[bone] = (volume, float(coarse.bones["left"][index][mask].sum() / either[index][mask].sum()))
    joints = find_joints(regions, {bone: found.confidence for bone, found in bones.items()}, grid, scan, asked)
    hip_z_mm = joints["hip"].center_mm[0] if "hip" in joints else None
    decided = vote(left_shares, sides_by_anatomy(regions, grid, hip_z_mm))
    if known_side is not None and decided.side != known_side:
        doubt = (
            f"The leg on the patient's {known_side} side looks like a {decided.side} one: check the side, "
            "the images may be mirrored or the legs crossed."
        )
        decided = SideVote(known_side, 1.0 - decided.confidence, (doubt,))
    return Leg(decided.side, decided.confidence, bones, joints, regions, grid, decided.doubts)
