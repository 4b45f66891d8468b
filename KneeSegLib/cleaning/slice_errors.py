"""What networks that see one slice at a time get wrong within a few slices, and the third dimension shows.

They leave clefts and flat bays, with bone above and below, and leaves of bone that stick out, a slice or two high.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from KneeSegLib.anatomy import LONG_BONES, Structure
from KneeSegLib.cleaning.closing import close_with_ball, find_within
from KneeSegLib.cleaning.components import Spacing
from KneeSegLib.cleaning.holes import fill_holes
from KneeSegLib.cleaning.settings import (
    CLEFT_HU,
    CLEFT_RADIUS_MM,
    LARGEST_SPIKE_MM3,
    LEAF_RADIUS_MM,
    LEAST_CLEFT_MM3,
    LEAST_DENSITY,
    LEAST_ENCLOSED,
    LEAST_SPIKE_MM,
    TALLEST_CLEFT_MM,
)
from KneeSegLib.geometry.boxes import find_border_faces, find_label_boxes, find_mask_box, grow_box
from KneeSegLib.geometry.masks import label_components


def fill_clefts(labels: np.ndarray, hu: np.ndarray, spacing_mm: Spacing, structures: Sequence[Structure]) -> np.ndarray:
    """Return ``labels`` with what closing a bone takes in given to the bone, where it is bone in the image.

    Closed with a ball, and along the leg. Each connected part of what is taken in is judged as a whole: the bone is
    nearly all around it, and it is nearly as dense as what is next to it. Joint spaces, canals and notches are open or
    dark and stay; what has a label keeps it. Holes that are left are filled.

    Args:
        labels: integer array (Z, Y, X) of label values.
        hu: (Z, Y, X), the image.
        spacing_mm: (z, y, x).
        structures: which to fill; bones.
    """
    filled = labels.copy()
    boxes = find_label_boxes(labels)
    for structure in structures:
        if (box := boxes.get(structure.label_value)) is None:
            continue
        part, value = filled[box], structure.label_value
        bone, free = part == value, part == 0
        found = _find_bone(close_with_ball(bone, CLEFT_RADIUS_MM, spacing_mm) & free, bone, hu[box], spacing_mm)
        tall = _close_along_z(bone, round(TALLEST_CLEFT_MM / spacing_mm[0])) & free
        found |= _find_bone(tall, bone, hu[box], spacing_mm)
        if found.any():
            part[found] = value
            # A bay whose mouth is filled is a hole.
            is_long, cut = structure.tissue.key in LONG_BONES, find_border_faces(box, labels.shape)
            part[fill_holes(part == value, spacing_mm, is_long, cut) & (part == 0)] = value
    return filled


def cut_spikes(labels: np.ndarray, spacing_mm: Spacing, structures: Sequence[Structure]) -> np.ndarray:
    """Return ``labels`` without the small leaves of a bone that are thinner than a ball and reach away from it.

    A large leaf is more likely to be bone, below or above which slices missed what is more than a cleft.

    Args:
        labels: integer array (Z, Y, X) of label values.
        spacing_mm: (z, y, x).
        structures: which to cut; bones that are thin nowhere.
    """
    trimmed = labels.copy()
    boxes = find_label_boxes(labels)
    for structure in structures:
        if (box := boxes.get(structure.label_value)) is None:
            continue
        part = trimmed[grow_box(box, [1, 1, 1], labels.shape)]
        bone = part == structure.label_value
        kept = bone & ~_find_small(bone & ~_find_solid(bone, spacing_mm), spacing_mm)
        kept &= ~_find_small(kept, spacing_mm)  # what only a leaf held
        # Not where a leaf joins two parts of the bone, or the bone is a scrap itself.
        if kept.any() and len(label_components(kept)[1]) <= len(label_components(bone)[1]):
            part[bone & ~kept] = 0
    return trimmed


def _find_solid(bone: np.ndarray, spacing_mm: Spacing) -> np.ndarray:
    """Return what of a bone is near a place in it where a ball fits."""
    core = bone & ~find_within(~bone, LEAF_RADIUS_MM, spacing_mm)
    if not core.any():
        return bone
    return bone & find_within(find_within(core, LEAF_RADIUS_MM, spacing_mm), LEAST_SPIKE_MM, spacing_mm)


def _find_small(mask: np.ndarray, spacing_mm: Spacing) -> np.ndarray:
    """Return those components of a mask that are no larger than a spike."""
    components, voxels = label_components(mask)
    small = voxels * np.prod(spacing_mm) <= LARGEST_SPIKE_MM3
    small[0] = False
    return small[components]


def _close_along_z(mask: np.ndarray, slices: int) -> np.ndarray:
    """Return ``mask`` with gaps of up to so many slices between voxels above each other closed."""
    number = np.arange(1, len(mask) + 1, dtype=np.int16)[:, None, None]
    below = np.maximum.accumulate(np.where(mask, number, np.int16(-slices)), axis=0)
    above = np.minimum.accumulate(np.where(mask, number, np.int16(len(mask) + 1 + slices))[::-1], axis=0)[::-1]
    return above - below <= slices + 1


def _find_bone(clefts: np.ndarray, bone: np.ndarray, hu: np.ndarray, spacing_mm: Spacing) -> np.ndarray:
    """Return those components of ``clefts`` that are more than a grain, enclosed by bone and about as dense."""
    found = np.zeros_like(clefts)
    if (place := find_mask_box(clefts)) is None:
        return found
    place = grow_box(place, [1, 1, 1], clefts.shape)
    components, voxels = label_components(clefts[place])
    inside = components > 0
    mean_hu = np.bincount(components[inside], hu[place][inside], len(voxels)) / np.maximum(voxels, 1)
    enclosed, bone_hu = _measure_surroundings(components, len(voxels), bone[place], hu[place])
    is_bone = (mean_hu > CLEFT_HU) & (mean_hu >= LEAST_DENSITY * bone_hu) & (enclosed >= LEAST_ENCLOSED)
    is_bone &= voxels * np.prod(spacing_mm) >= LEAST_CLEFT_MM3
    is_bone[0] = False
    found[place] = is_bone[components]
    return found


def _measure_surroundings(
    components: np.ndarray, count: int, bone: np.ndarray, hu: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return for each number the fraction of its faces that touch ``bone``, and the mean HU of the bone there."""
    faces, of_bone, sum_hu = np.zeros(count), np.zeros(count), np.zeros(count)
    for axis in range(3):
        here, there = np.moveaxis(components, axis, 0), np.moveaxis(bone, axis, 0)
        values = np.moveaxis(hu, axis, 0)
        for inner, outer in ((slice(None, -1), slice(1, None)), (slice(1, None), slice(None, -1))):
            at = (here[inner] > 0) & (here[outer] != here[inner])
            faces += np.bincount(here[inner][at], minlength=count)
            at &= there[outer]
            of_bone += np.bincount(here[inner][at], minlength=count)
            sum_hu += np.bincount(here[inner][at], values[outer][at], minlength=count)
    return of_bone / np.maximum(faces, 1), sum_hu / np.maximum(of_bone, 1)
