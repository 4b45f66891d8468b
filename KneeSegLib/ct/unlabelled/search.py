"""The search for bone without a label in a scan whose legs are labelled."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.spatial import KDTree

from KneeSegLib.anatomy import Side
from KneeSegLib.ct.unlabelled.bone_map import BoneMap
from KneeSegLib.ct.unlabelled.explanations import find_demanded, find_explained, find_far_above, is_other_half
from KneeSegLib.ct.unlabelled.settings import (
    LEAST_CM3,
    LEAST_EXPECTED_CM3,
    LEAST_SMALL_CM3,
    MOST_NOTHING,
    OTHER_WEIGHT,
)
from KneeSegLib.geometry.grid import Box
from KneeSegLib.geometry.masks import FACES_AND_EDGES, label_components


@dataclass(frozen=True)
class UnlabelledBone:
    """A component of bone that no label explains; positions in mm along the scan's z, y and x.

    Attributes:
        volume_cm3: of what is as dense as bone.
        box: around it.
        nearest: key of the labelled structure that lies nearest; None where none is labelled.
        distance_mm: from that one.
        expected: tissue and side of the bone that anatomy demands there; None where it demands none.
    """

    volume_cm3: float
    center_mm: tuple[float, float, float]
    box: Box
    nearest: str | None
    distance_mm: float
    expected: tuple[str, Side] | None = None


def find_unlabelled_bone(bones: BoneMap, within: Box | None = None) -> list[UnlabelledBone]:
    """Return the components of bone that no label explains, the largest first.

    A component is explained where the localiser calls most of it another bone than those of a leg and anatomy allows
    such a bone; not where anatomy demands a bone that has no label.

    Args:
        within: only there the scan was to be labelled; None for everywhere.
    """
    open_question = bones.unlabelled.copy()
    if within is not None:
        inside = np.zeros(bones.grid.shape, bool)
        inside[bones.grid.slices_within(within)] = True
        open_question &= inside
    place = np.nonzero(open_question)
    if not place[0].size:
        return []
    points = bones.points_mm(open_question)
    found: list[UnlabelledBone] = []
    taken = np.zeros(len(points), bool)
    for tissue, side, demanded in find_demanded(bones, points):
        chosen = demanded & ~taken & (bones.none[place] < MOST_NOTHING)
        least_cm3 = LEAST_SMALL_CM3 if tissue in ("fibula", "patella") else LEAST_EXPECTED_CM3
        for component in _list_components(bones, place, chosen, least_cm3):
            found.append(_describe(bones, component, (tissue, side)))
            taken |= chosen
    is_other = OTHER_WEIGHT * bones.other[place] >= bones.bone[place]
    unexplained = ~taken & ~(is_other & find_explained(bones, points)) & ~find_far_above(bones, points)
    for component in _list_components(bones, place, unexplained, LEAST_SMALL_CM3):
        seen = bones.bone[component].mean() > max(bones.other[component].mean(), bones.none[component].mean())
        if len(component[0]) * bones.voxel_cm3 < LEAST_CM3 and not seen:
            continue
        one = _describe(bones, component, None)
        center = np.asarray([one.center_mm])
        if bones.none[component].mean() < MOST_NOTHING and not is_other_half(bones, center, one.volume_cm3):
            found.append(one)
    return sorted(found, key=lambda one: -one.volume_cm3)


def _list_components(
    bones: BoneMap, place: tuple[np.ndarray, ...], chosen: np.ndarray, least_cm3: float
) -> Iterator[tuple[np.ndarray, ...]]:
    """Yield the voxels (three index arrays) of every component of the chosen ones that is large enough."""
    mask = np.zeros(bones.grid.shape, bool)
    mask[tuple(index[chosen] for index in place)] = True
    components, voxels = label_components(mask, FACES_AND_EDGES)
    for number in np.flatnonzero(voxels * bones.voxel_cm3 >= least_cm3):
        if number:
            yield np.nonzero(components == number)


def _describe(bones: BoneMap, component: tuple[np.ndarray, ...], expected: tuple[str, Side] | None) -> UnlabelledBone:
    points = np.stack([axis.positions_mm[index] for axis, index in zip(bones.grid, component)], axis=1)
    center = points.mean(axis=0)
    half = np.asarray(bones.grid.spacing_mm) / 2.0
    box = Box(*zip(points.min(axis=0) - half, points.max(axis=0) + half))
    nearest, distance_mm = None, np.inf
    for key, own in bones.labelled.items():
        to_own = float(KDTree(own).query(points, distance_upper_bound=distance_mm)[0].min())
        if to_own < distance_mm:
            nearest, distance_mm = key, to_own
    return UnlabelledBone(
        volume_cm3=len(points) * bones.voxel_cm3,
        center_mm=(float(center[0]), float(center[1]), float(center[2])),
        box=box,
        nearest=nearest,
        distance_mm=distance_mm,
        expected=expected,
    )
