"""Two legs beside each other: apart, touching or crossed; of the one a part may be lost."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from scipy.spatial import KDTree

from KneeSegLib.training.synthesis.amputation import Level
from KneeSegLib.training.synthesis.bones import Bone, move_bones
from KneeSegLib.training.synthesis.joints import HipPose, turn_hip
from KneeSegLib.training.synthesis.meshes import transform_points, translation
from KneeSegLib.training.synthesis.settings import (
    CROSSED_DEGREES,
    LEAST_BETWEEN_LEGS_MM,
    MOST_RAISED_DEGREES,
    MOST_SPREAD_DEGREES,
    OUTLINE_MM,
    SLAB_MM,
    TOUCHING_MM,
)

LegBones = dict[str, Bone]
SHAFTS = ("femur", "tibia", "fibula")


@dataclass(frozen=True)
class Arrangement:
    """How a subject's legs lie, and what of one of them is lost."""

    legs: Literal["apart", "touching", "crossed"] = "apart"
    lost: Level | None = None


ARRANGEMENTS: tuple[Arrangement, ...] = (
    Arrangement(),
    Arrangement("touching"),
    Arrangement("crossed"),
    Arrangement(lost="shank"),
    Arrangement(),
    Arrangement("touching"),
    Arrangement(lost="leg"),
    Arrangement("crossed"),
    Arrangement(lost="thigh"),
    Arrangement(),
    Arrangement("touching", lost="ankle"),
    Arrangement(lost="midfoot"),
)
"""Subjects take these in turn: a dozen of any group shows all of them."""


@dataclass(frozen=True)
class Pelvis:
    """Where the centres of both femoral heads are."""

    right_head: np.ndarray
    left_head: np.ndarray

    def mirror(self) -> Pelvis:
        """Return the pelvis of the mirror image."""
        flip = np.array([-1.0, 1.0, 1.0])
        return Pelvis(self.left_head * flip, self.right_head * flip)


@dataclass(frozen=True)
class _Outline:
    """Points on the bones of a right leg about the centre of its femoral head, few enough to be turned many times.

    Attributes:
        points: (N, 3) mm. of_shafts: boolean (N,), which of them are on long bones.
        turned: 4 x 4, by how much they have been turned.
    """

    points: np.ndarray
    of_shafts: np.ndarray
    turned: np.ndarray

    @classmethod
    def of(cls, leg: LegBones) -> _Outline:
        points = [_thin(bone.mesh.vertices) for bone in leg.values()]
        shafts = [np.full(len(found), part in SHAFTS) for part, found in zip(leg, points)]
        return cls(np.concatenate(points), np.concatenate(shafts), np.eye(4))

    def turn(self, abduction: float = 0.0, flexion: float = 0.0) -> _Outline:
        """Return the leg turned a little further about its head."""
        turn = turn_hip(np.zeros(3), HipPose(flexion, abduction))
        return replace(self, points=transform_points(turn, self.points), turned=turn @ self.turned)


def arrange_legs(
    right: LegBones, left: LegBones, pelvis: Pelvis, legs: str, random: np.random.Generator
) -> tuple[LegBones, LegBones]:
    """Return two right legs in their hip joints, the second one mirrored, so that they lie apart, touch or are crossed.

    Args:
        right, left: posed, the centres of their femoral heads in the origin.
        legs: as in :class:`Arrangement`.
    """
    one, other = _spread(_Outline.of(right), _Outline.of(left), pelvis)
    if legs != "apart":
        one, other = _bring_together(one, other, pelvis)
    if legs == "crossed" and random.random() < 0.5:
        one, other = _cross(one, other, pelvis, random)
    elif legs == "crossed":
        other, one = _cross(other, one, pelvis.mirror(), random)
    right, left = move_bones(right, one.turned), move_bones(left, other.turned)
    mirrored = {part: bone.mirror() for part, bone in left.items()}
    return move_bones(right, translation(pelvis.right_head)), move_bones(mirrored, translation(pelvis.left_head))


def _spread(right: _Outline, left: _Outline, pelvis: Pelvis) -> tuple[_Outline, _Outline]:
    """Return both legs so far apart that flesh fits between."""
    for _ in range(MOST_SPREAD_DEGREES):
        if _measure_room_between(*_place(right, left, pelvis)) > LEAST_BETWEEN_LEGS_MM:
            break
        right, left = right.turn(abduction=1.0), left.turn(abduction=1.0)
    return right, left


def _bring_together(right: _Outline, left: _Outline, pelvis: Pelvis) -> tuple[_Outline, _Outline]:
    """Return both legs so near that they touch: one more degree would take the flesh between them."""
    for _ in range(2 * MOST_SPREAD_DEGREES):
        nearer = right.turn(abduction=-1.0), left.turn(abduction=-1.0)
        if _measure_gap(*_place(*nearer, pelvis)) < TOUCHING_MM:
            break
        right, left = nearer
    return right, left


def _cross(front: _Outline, back: _Outline, pelvis: Pelvis, random: np.random.Generator) -> tuple[_Outline, _Outline]:
    """Return the right leg lying across the left one, raised until they do not meet; as they are where it cannot be."""
    beside = front, back
    front = front.turn(abduction=-random.uniform(*CROSSED_DEGREES))
    for _ in range(MOST_RAISED_DEGREES):
        one, other = _place(front, back, pelvis)
        if _lies_in_front(one[front.of_shafts], other[back.of_shafts]) and _measure_gap(one, other) > TOUCHING_MM:
            return front, back
        front = front.turn(flexion=1.0)
    return beside


def _place(right: _Outline, left: _Outline, pelvis: Pelvis) -> tuple[np.ndarray, np.ndarray]:
    """Return the points (N, 3) of both legs in their hip joints."""
    return right.points + pelvis.right_head, left.points * (-1.0, 1.0, 1.0) + pelvis.left_head


def _measure_room_between(right: np.ndarray, left: np.ndarray) -> float:
    """Return the least distance along x between two legs at the same height; negative where they cross."""
    return float(min(there[:, 0].min() - here[:, 0].max() for here, there in _pair_slabs(right, left)))


def _measure_gap(right: np.ndarray, left: np.ndarray) -> float:
    """Return the least distance in mm between the points of two legs."""
    return float(np.min(KDTree(right).query(left)[0]))


def _lies_in_front(front: np.ndarray, back: np.ndarray) -> bool:
    """Return whether a leg is in front of another one wherever they meet if seen from ahead."""
    return all(
        here[:, 1].mean() < there[:, 1].mean()
        for here, there in _pair_slabs(front, back)
        if here[:, 0].max() > there[:, 0].min() and there[:, 0].max() > here[:, 0].min()
    )


def _pair_slabs(one: np.ndarray, other: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield the points of both legs slab by slab, where both have some."""
    slabs = [np.floor(points[:, 2] / SLAB_MM).astype(int) for points in (one, other)]
    for slab in np.intersect1d(slabs[0], slabs[1]):
        yield one[slabs[0] == slab], other[slabs[1] == slab]


def _thin(points: np.ndarray) -> np.ndarray:
    """Return one of the points (N, 3) in every cube of :data:`OUTLINE_MM`."""
    _, chosen = np.unique(np.floor(points / OUTLINE_MM).astype(int), axis=0, return_index=True)
    return points[chosen]
