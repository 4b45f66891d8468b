"""Which joints a leg shows: a joint is where the bones that form it come close to each other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.spatial import KDTree

from KneeSegLib.anatomy import JOINT_BONES
from KneeSegLib.ct.settings import (
    APART_MM,
    ASKED_WEIGHT,
    CONTACT_ZONE_MM,
    JOINT_CONTACTS,
    JOINT_REACH_MM,
    WHOLE_JOINT_MM,
)
from KneeSegLib.geometry.grid import Box, Grid


@dataclass(frozen=True)
class FoundJoint:
    """A joint in view: ``center_mm`` and ``box`` as (z, y, x) along the scan's axes, ``confidence`` 0..1."""

    name: str
    center_mm: tuple[float, float, float]
    box: Box
    confidence: float
    cut_by: tuple[str, ...]


def find_joints(
    regions: Mapping[str, np.ndarray], confidences: Mapping[str, float], grid: Grid, scan: Box, asked: str | None = None
) -> dict[str, FoundJoint]:
    """Return the joints of one leg, from the top down.

    Args:
        regions: per bone a mask ``(D, H, W)`` on ``grid``.
        confidences: per bone 0..1.
        scan: the field of view; what touches it is cut.
        asked: the joint that the user says is in view; it weighs more against another in its place.
    """
    points = {bone: _points_mm(mask, grid) for bone, mask in regions.items()}
    found: dict[str, FoundJoint] = {}
    for name, contacts in JOINT_CONTACTS.items():
        for contact in contacts:
            if contact.bone not in points or contact.other not in points:
                continue
            center = _contact_center(points[contact.bone], points[contact.other], contact.reach_mm)
            if center is not None:
                confidence = min(confidences[contact.bone], confidences[contact.other])
                found[name] = _describe_joint(name, center, confidence, regions, grid, scan)
                break
    evidence = {bone: confidences[bone] * len(seen) ** 0.5 for bone, seen in points.items()}
    return _drop_mistaken(found, evidence, asked)


def _describe_joint(
    name: str, center: np.ndarray, confidence: float, regions: Mapping[str, np.ndarray], grid: Grid, scan: Box
) -> FoundJoint:
    below, above = JOINT_REACH_MM[name]
    z = grid.z.positions_mm
    near = (z >= center[0] - below) & (z <= center[0] + above)
    bones = [regions[bone] for bone in JOINT_BONES[name] if bone in regions]
    mask = np.logical_or.reduce(bones) & near[:, None, None]
    box = Box.of_mask(mask, grid)
    core = np.abs(z - center[0]) <= min(WHOLE_JOINT_MM[name])
    core_box = Box.around(mask & core[:, None, None], grid) or box
    center_mm = (float(center[0]), float(center[1]), float(center[2]))
    return FoundJoint(name, center_mm, box, confidence, _cut_by(name, center, core_box, scan, grid))


def _cut_by(name: str, center: np.ndarray, core: Box, scan: Box, grid: Grid) -> tuple[str, ...]:
    below, above = WHOLE_JOINT_MM[name]
    voxel = max(grid.spacing_mm)
    borders = {
        "lower": center[0] - below < scan.z[0],
        "upper": center[0] + above > scan.z[1],
        "front": core.y[0] < scan.y[0] + voxel / 2.0,
        "back": core.y[1] > scan.y[1] - voxel / 2.0,
        "right-hand": core.x[0] < scan.x[0] + voxel / 2.0,
        "left-hand": core.x[1] > scan.x[1] - voxel / 2.0,
    }
    return tuple(border for border, cuts in borders.items() if cuts)


def _drop_mistaken(
    found: dict[str, FoundJoint], evidence: Mapping[str, float], asked: str | None
) -> dict[str, FoundJoint]:
    """Drop one of two neighbouring joints that are in the wrong order or too close.

    It is the one that is seen less surely by the bones that only one of the two has: both have a femur or a tibia.
    What was asked for counts more where both lie in one place, not where it lies far on the wrong side of the other.
    """

    def seen(joint: str, neighbour: str, favoured: str | None) -> float:
        own = set(JOINT_BONES[joint]) - set(JOINT_BONES[neighbour])
        return sum(evidence.get(bone, 0.0) for bone in own) * (ASKED_WEIGHT if joint == favoured else 1.0)

    names = [name for name in JOINT_CONTACTS if name in found]
    for upper, lower in zip(names, names[1:]):
        above_mm = found[upper].center_mm[0] - found[lower].center_mm[0]
        if above_mm < APART_MM:
            favoured = asked if above_mm > -APART_MM else None
            mistaken = upper if seen(upper, lower, favoured) < seen(lower, upper, favoured) else lower
            kept = {name: joint for name, joint in found.items() if name != mistaken}
            return _drop_mistaken(kept, evidence, asked)
    return {name: found[name] for name in names}


def _points_mm(mask: np.ndarray, grid: Grid) -> np.ndarray:
    return np.stack([axis.positions_mm[index] for axis, index in zip(grid, np.nonzero(mask))], axis=1)


def _contact_center(points: np.ndarray, others: np.ndarray, reach_mm: float) -> np.ndarray | None:
    """The middle of the zone in which two bones are closest; None where they stay further apart than ``reach_mm``."""
    distances, _ = KDTree(others).query(points, distance_upper_bound=reach_mm)
    if not np.isfinite(distances).any():
        return None
    zone = distances.min() + CONTACT_ZONE_MM
    near = points[distances <= zone]
    back, _ = KDTree(near).query(others, distance_upper_bound=zone)
    return (near.mean(axis=0) + others[np.isfinite(back)].mean(axis=0)) / 2.0
