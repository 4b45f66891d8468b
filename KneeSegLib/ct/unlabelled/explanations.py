"""Which bone needs no label: what the localiser calls another bone, where anatomy allows one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from scipy.spatial import KDTree

from KneeSegLib.anatomy import SIDES, Side
from KneeSegLib.ct.unlabelled.bone_map import BoneMap
from KneeSegLib.ct.unlabelled.settings import (
    AT_BORDER_MM,
    BEFORE_THIGH_MM,
    BELOW_HIP_MM,
    BESIDE_THIGH_MM,
    END_MM,
    FIBULA_BELOW_MM,
    FOOT_BEHIND_MM,
    FOOT_CM3,
    FOOT_FROM_MM,
    FOOT_GAP_VOXELS,
    FOOT_MM,
    HAND_BELOW_MM,
    MIRRORED_FRACTION,
    OTHER_HALF_CM3,
    REACH_MM,
)
from KneeSegLib.geometry.boxes import find_mask_box, grow_box
from KneeSegLib.geometry.masks import label_components


@dataclass(frozen=True)
class Part:
    """The part of a bone in which a joint is: points (N, 3) of the bone -> those of the part; and the border of the
    scan, 0 lower and 1 upper, that may have cut it off."""

    of: Callable[[np.ndarray], np.ndarray]
    border: int | None = None


LOWER_END = Part(lambda points: points[points[:, 0] <= points[:, 0].min() + END_MM], 0)
UPPER_END = Part(lambda points: points[points[:, 0] >= points[:, 0].max() - END_MM], 1)
LOWER_HALF = Part(lambda points: points[points[:, 0] <= points[:, 0].mean()])
WHOLE = Part(lambda points: points)
UNCUT_END = Part(LOWER_END.of)

DEMANDS: tuple[tuple[str, str, Part], ...] = (
    ("tibia", "fibula", WHOLE),
    ("tibia", "talus", LOWER_END),
    ("talus", "calcaneus", WHOLE),
    ("calcaneus", "talus", WHOLE),
    ("femur", "hip_bone", UPPER_END),
    ("hip_bone", "femur", LOWER_HALF),
    ("tibia", "femur", UPPER_END),
    ("femur", "tibia", LOWER_END),
    ("femur", "patella", UNCUT_END),
)
"""Labelled bone, the bone that forms a joint with it, and the part of the first where the joint is. A bone whose end
the scan cuts off demands nothing there, but for a patella, which may reach higher than a femur that is cut."""


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
            if part.border is not None and _is_cut(own, part.border, bones):
                continue  # the scan ends before the joint
            inside = find_near(part.of(own), points, REACH_MM[bone])
            if neighbour == "fibula":  # it lies beside the shaft; what lies beyond the shaft's ends is another bone
                inside &= (points[:, 0] > own[:, 0].min()) & (points[:, 0] < own[:, 0].max() - FIBULA_BELOW_MM)
            if neighbour == "patella":  # it lies in front of the femur, vessels full of contrast behind or medial of it
                inside &= points[:, 1] < part.of(own)[:, 1].mean()
            if bone == "hip_bone":  # the femur lies lateral of the acetabulum, the sacrum and the other leg medial
                inside &= _outward(points, own[:, 2].mean(), side) > 0.0
            yield neighbour, side, inside
        yield from _find_other_hip(bones, points, side)


def _is_cut(own: np.ndarray, border: int, bones: BoneMap) -> bool:
    """Whether a bone reaches the lower (0) or the upper (1) border of the scan."""
    z = bones.grid.z
    if border:
        return bool(own[:, 0].max() > z.high_mm - AT_BORDER_MM)
    return bool(own[:, 0].min() < z.low_mm + AT_BORDER_MM)


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
    shanks = [own for bone in ("tibia", "fibula") if (own := bones.labelled.get(f"{bone}_{side}")) is not None]
    # A foot without a labelled shank is taken to be one that lies below it.
    down = foot.mean(axis=0) - UPPER_END.of(shanks[0]).mean(axis=0) if shanks else np.array([-1.0, 0.0, 0.0])
    along_mm = (points - foot.mean(axis=0)) @ (down / np.linalg.norm(down))
    inside &= along_mm > -FOOT_BEHIND_MM
    return _keep_nearest(bones, points, _keep_connected(bones, points, inside, foot), foot)


def _keep_nearest(bones: BoneMap, points: np.ndarray, inside: np.ndarray, start: np.ndarray) -> np.ndarray:
    """Of the points that are ``inside`` those nearest to ``start`` (M, 3), no more than one foot has of bone: feet that
    touch hang together."""
    most = round(FOOT_CM3 / bones.voxel_cm3)
    if np.count_nonzero(inside) <= most:
        return inside
    away_mm = np.full(len(points), np.inf)
    away_mm[inside] = KDTree(start).query(points[inside])[0]
    return inside & (away_mm <= np.partition(away_mm, most)[most])


def _keep_connected(bones: BoneMap, points: np.ndarray, inside: np.ndarray, start: np.ndarray) -> np.ndarray:
    """Of the points that are ``inside`` those that hang together, over joints' gaps, with ``start`` (M, 3): the other
    foot lies as near as the toes."""
    if not inside.any():
        return inside
    place = tuple(
        np.rint((points[inside, axis] - own.first_mm) / own.step_mm).astype(int) for axis, own in enumerate(bones.grid)
    )
    mask = np.zeros(bones.grid.shape, bool)
    mask[place] = True
    around = find_mask_box(mask)
    assert around is not None
    box = grow_box(around, (FOOT_GAP_VOXELS,) * 3, mask.shape)
    wide = np.asarray(ndimage.binary_dilation(mask[box], iterations=FOOT_GAP_VOXELS), bool)
    components, _ = label_components(wide)
    numbers = components[tuple(index - own.start for index, own in zip(place, box))]
    near = find_near(start, points[inside], FOOT_FROM_MM)
    kept = inside.copy()
    kept[inside] = np.isin(numbers, np.unique(numbers[near]))
    return kept


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
