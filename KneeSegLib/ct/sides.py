"""Which leg is which: where one leg ends and the other begins, and whether a leg is the right or the left one.

The localiser names a side for every voxel. In a scan of both legs it sees both and is right; in a scan of one leg it
has only the shape to go by and may change along the leg. So no single voxel decides: two legs are parted where the
fewest voxels disagree, and the side of a leg is a vote of all its bones together with what anatomy knows (the fibula
lies lateral, the pelvis medial).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from KneeSegLib.anatomy import Side
from KneeSegLib.ct.settings import (
    BEND_COST,
    BEND_VOXELS,
    COMMON_SLICES,
    CUT_COST,
    FULL_VOTE_CM3,
    GEOMETRY_VOTES,
    LATERAL_AT_LEAST_MM,
    UNSURE_BELOW,
)
from KneeSegLib.geometry.grid import Grid


def find_parting_line(right: np.ndarray, left: np.ndarray, solid: np.ndarray) -> np.ndarray:
    """Return for each slice the column at which the left leg begins: the line along which fewest voxels are on the
    wrong side.

    Args:
        right, left: ``(D, W)`` sums, over the depth of each column, of the probability of being bone of that side.
        solid: the same for bone that a line between two legs does not cross (all but the pelvis).

    Returns:
        ``(D,)`` integers ``0..W``. All ``W``: nothing belongs to a left leg; all ``0``: nothing to a right one.
    """
    depth, width = right.shape
    zeros = np.zeros((depth, 1))
    left_on_wrong_side = np.concatenate([zeros, np.cumsum(left, axis=1)], axis=1)
    right_on_wrong_side = right.sum(axis=1, keepdims=True) - np.concatenate([zeros, np.cumsum(right, axis=1)], axis=1)
    cut = np.concatenate([zeros, np.minimum(solid[:, :-1], solid[:, 1:]), zeros], axis=1)
    cost = left_on_wrong_side + right_on_wrong_side + CUT_COST * cut
    total, came_from = cost[0], np.zeros((depth, width + 1), int)
    columns = np.arange(width + 1)
    for z in range(1, depth):
        best, source = total, columns
        for bend in (*range(-BEND_VOXELS, 0), *range(1, BEND_VOXELS + 1)):
            earlier = np.clip(columns + bend, 0, width)
            candidate = total[earlier] + BEND_COST * abs(bend)
            better = candidate < best
            best, source = np.where(better, candidate, best), np.where(better, earlier, source)
        total, came_from[z] = best + cost[z], source
    line = np.empty(depth, int)
    line[-1] = int(np.argmin(total))
    for z in range(depth - 1, 0, -1):
        line[z - 1] = came_from[z, line[z]]
    return line


@dataclass(frozen=True)
class SideVote:
    """The outcome: how sure (0..1, 1 where all agree), and what the user should know."""

    side: Side
    confidence: float
    uncertainties: tuple[str, ...]


def vote_on_side(left_fractions: Mapping[str, tuple[float, float]], geometry: Mapping[str, Side]) -> SideVote:
    """Decide the side of one leg.

    Args:
        left_fractions: per bone its volume in cm3 and the fraction (0..1) of its probability that the localiser gives
        to
            the left side.
        geometry: what anatomy tells, see :func:`infer_sides`: a sentence about what was seen, and the side it
            stands for.
    """
    votes = [(min(volume / FULL_VOTE_CM3, 1.0), 2.0 * fraction - 1.0) for volume, fraction in left_fractions.values()]
    votes += [(GEOMETRY_VOTES, 1.0 if side == "left" else -1.0) for side in geometry.values()]
    score = sum(weight * direction for weight, direction in votes)
    side: Side = "left" if score > 0 else "right"
    confidence = abs(score) / max(sum(weight for weight, _ in votes), 1e-6)
    uncertainties = [
        f"{seen} of a {said} leg, but the rest of the scan looks like a {side} one: check the side, "
        "the images may be mirrored."
        for seen, said in geometry.items()
        if said != side
    ]
    if not uncertainties and confidence < UNSURE_BELOW:
        uncertainties.append(
            f"Whether this is a right or a left leg was a close decision: check that the {side} one is meant."
        )
    return SideVote(side, confidence, tuple(uncertainties))


def infer_sides(regions: Mapping[str, np.ndarray], grid: Grid, hip_z_mm: float | None) -> dict[str, Side]:
    """Tell the side of a leg from where its bones lie; empty where too little is in view.

    Args:
        regions: per bone a mask ``(D, H, W)``.
        hip_z_mm: height of the hip joint, if there is one.
    """
    found: dict[str, Side] = {}
    if "fibula" in regions and "tibia" in regions:
        offset = _sideways_offset(regions["fibula"], regions["tibia"], grid)
        if offset is not None:
            found["The fibula lies as on the outer side"] = "left" if offset > 0 else "right"
    if hip_z_mm is not None and "femur" in regions and "hip_bone" in regions:
        near = np.abs(grid.z.positions_mm - hip_z_mm) < 40.0
        offset = _sideways_offset(regions["femur"][near], regions["hip_bone"][near], grid)
        if offset is not None:
            found["The pelvis lies as on the inner side"] = "left" if offset > 0 else "right"
    return found


def _sideways_offset(mask: np.ndarray, reference: np.ndarray, grid: Grid) -> float | None:
    """How far left (mm, mean over common slices) ``mask`` lies of ``reference``; None if that is undecided."""
    columns = mask.sum(axis=1), reference.sum(axis=1)
    common = (columns[0].sum(axis=1) > 0) & (columns[1].sum(axis=1) > 0)
    if common.sum() < COMMON_SLICES:
        return None
    x = grid.x.positions_mm
    centers = [(column[common] @ x) / column[common].sum(axis=1) for column in columns]
    offset = float(np.mean(centers[0] - centers[1]))
    return offset if abs(offset) >= LATERAL_AT_LEAST_MM else None
