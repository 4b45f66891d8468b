"""Which bone needs no label: what the localiser calls another bone, where anatomy allows one."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from scipy.spatial import KDTree

from KneeSegLib.anatomy import LONG_BONES, SIDES, Side
from KneeSegLib.ct.unlabelled.bone_map import BoneMap
from KneeSegLib.ct.unlabelled.settings import (
    AT_BORDER_MM,
    BEFORE_THIGH_MM,
    BELOW_HIP_MM,
    BESIDE_THIGH_MM,
    END_MM,
    FOOT_BEHIND_MM,
    FOOT_MM,
    HAND_BELOW_MM,
    MIRRORED_FRACTION,
    OTHER_HALF_CM3,
    REACH_MM,
)


def _lower_end(points: np.ndarray) -> np.ndarray:
    return points[points[:, 0] <= points[:, 0].min() + END_MM]


def _upper_end(points: np.ndarray) -> np.ndarray:
    return points[points[:, 0] >= points[:, 0].max() - END_MM]


def _whole(points: np.ndarray) -> np.ndarray:
    return points


def _lower_half(points: np.ndarray) -> np.ndarray:
    return points[points[:, 0] <= points[:, 0].mean()]


DEMANDS: tuple[tuple[str, str, Callable[[np.ndarray], np.ndarray]], ...] = (
    ("tibia", "talus", _lower_end),
    ("talus", "calcaneus", _whole),
    ("calcaneus", "talus", _whole),
    ("femur", "hip_bone", _upper_end),
    ("hip_bone", "femur", _lower_half),
    ("tibia", "femur", _upper_end),
    ("femur", "tibia", _lower_end),
)
"""Labelled bone, the bone that forms a joint with it, and the part of the first where the joint is."""


def find_explained(bones: BoneMap, points: np.ndarray) -> np.ndarray:
    """Return which points (N, 3) of unlabelled bone lie where anatomy allows a bone that has no label."""
    explained = np.zeros(len(points), bool)
    for side in SIDES:
        explained |= _beyond_foot(bones, points, side) | _beside_thigh(bones, points, side)
    return explained | _above_hips(bones, points)


def find_far_above(bones: BoneMap, points: np.ndarray) -> np.ndarray:
    """Return which points (N, 3) lie above both iliac crests, where there is no bone of a leg."""
    hips = [bones.labelled.get(f"hip_bone_{side}") for side in SIDES]
    tops = [own[:, 0].max() for own in hips if own is not None]
    return points[:, 0] > max(tops) if tops else np.zeros(len(points), bool)


def is_other_half(bones: BoneMap, center: np.ndarray, volume_cm3: float) -> bool:
    """Return whether a component, by its centre (1, 3), is the rim of the other half of a pelvis of which only one is
    in view."""
    if volume_cm3 > OTHER_HALF_CM3 or len({key.rpartition("_")[2] for key in bones.labelled}) != 1:
        return False
    for side in SIDES:
        own = bones.labelled.get(f"hip_bone_{side}")
        if own is not None:
            return bool(_outward(center, float(own[:, 2].mean()), side)[0] < 0.0)
    return False


def find_demanded(bones: BoneMap, points: np.ndarray) -> Iterator[tuple[str, Side, np.ndarray]]:
    """Yield bones that anatomy demands and that have no label, and which points (N, 3) lie in their place."""
    for side in SIDES:
        for bone, neighbour, part in DEMANDS:
            own = bones.labelled.get(f"{bone}_{side}")
            if own is None or f"{neighbour}_{side}" in bones.labelled:
                continue
            end = part(own)
            if bone in LONG_BONES and _is_cut(end, own, bones):
                continue  # the scan ends before the joint
            inside = find_near(end, points, REACH_MM[bone])
            if bone == "hip_bone":  # the femur lies lateral of the acetabulum, the sacrum and the other leg medial
                inside &= _outward(points, own[:, 2].mean(), side) > 0.0
            yield neighbour, side, inside
        yield from _find_other_hip(bones, points, side)


def _is_cut(end: np.ndarray, own: np.ndarray, bones: BoneMap) -> bool:
    """Whether an end of a long bone lies at the lower or upper border of the scan."""
    z = bones.grid.z
    if end[:, 0].min() > own[:, 0].min():
        return bool(end[:, 0].max() > z.high_mm - AT_BORDER_MM)
    return bool(end[:, 0].min() < z.low_mm + AT_BORDER_MM)


def find_near(own: np.ndarray, points: np.ndarray, reach_mm: float) -> np.ndarray:
    """Return which points (N, 3) lie within ``reach_mm`` of any of ``own`` (M, 3)."""
    return np.isfinite(KDTree(own).query(points, distance_upper_bound=reach_mm)[0])


def _find_other_hip(bones: BoneMap, points: np.ndarray, side: Side) -> Iterator[tuple[str, Side, np.ndarray]]:
    """The hip bone of ``side``, where only the other one is labelled and its mirror image is full of bone."""
    other: Side = "left" if side == "right" else "right"
    own = bones.labelled.get(f"hip_bone_{other}")
    if own is None or f"hip_bone_{side}" in bones.labelled:
        return
    middle_mm = float(np.percentile(own[:, 2], 1.0 if other == "left" else 99.0))
    mirrored = own * (1.0, 1.0, -1.0) + (0.0, 0.0, 2.0 * middle_mm)
    inside = find_near(mirrored, points, bones.grid.x.spacing_mm * 2.0)
    if np.count_nonzero(inside) >= MIRRORED_FRACTION * len(own):
        yield "hip_bone", side, inside


def _above_hips(bones: BoneMap, points: np.ndarray) -> np.ndarray:
    """Sacrum and spine: above the lower end of the hip bones."""
    hips = [own for side in SIDES if (own := bones.labelled.get(f"hip_bone_{side}")) is not None]
    if not hips:
        return np.zeros(len(points), bool)
    return points[:, 0] > max(own[:, 0].min() for own in hips) + BELOW_HIP_MM


def _beyond_foot(bones: BoneMap, points: np.ndarray, side: Side) -> np.ndarray:
    """Midfoot and toes: beyond talus or calcaneus, away from the shank."""
    hind = [own for bone in ("talus", "calcaneus") if (own := bones.labelled.get(f"{bone}_{side}")) is not None]
    if not hind:
        return np.zeros(len(points), bool)
    foot = np.concatenate(hind)
    inside = find_near(foot, points, FOOT_MM)
    shank = bones.labelled.get(f"tibia_{side}")
    if shank is not None:
        down = foot.mean(axis=0) - _upper_end(shank).mean(axis=0)
        along_mm = (points - foot.mean(axis=0)) @ (down / np.linalg.norm(down))
        inside &= along_mm > -FOOT_BEHIND_MM
    return inside


def _beside_thigh(bones: BoneMap, points: np.ndarray, side: Side) -> np.ndarray:
    """Forearm and hand: on the outer side of a femur or hip bone, or in front of it."""
    thigh = [own for bone in ("femur", "hip_bone") if (own := bones.labelled.get(f"{bone}_{side}")) is not None]
    if not thigh:
        return np.zeros(len(points), bool)
    own = np.concatenate(thigh)
    outer_mm = _outward(own, 0.0, side).max()
    lateral = _outward(points, 0.0, side) > outer_mm + BESIDE_THIGH_MM
    in_front = points[:, 1] < own[:, 1].min() - BEFORE_THIGH_MM
    return (lateral | in_front) & (points[:, 0] > own[:, 0].min() - HAND_BELOW_MM)


def _outward(points: np.ndarray, from_mm: float, side: Side) -> np.ndarray:
    """How far points lie to the outer side of a leg of a sagittal plane; x runs to the patient's left."""
    return (points[:, 2] - from_mm) * (1.0 if side == "left" else -1.0)
