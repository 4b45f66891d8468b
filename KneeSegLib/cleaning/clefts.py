"""Clefts: what slices miss of a bone within a few slices, and what lies around it in the third dimension shows.

A network that sees one slice at a time leaves slice-shaped errors: a bay of a few slices with bone above and below.
That it is narrow is said by a ball that does not fit into it, or by the bone above and below; that it is bone, by grey
values.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from KneeSegLib.anatomy import LONG_BONES, Structure
from KneeSegLib.cleaning.closing import close_with_ball
from KneeSegLib.cleaning.components import Spacing
from KneeSegLib.cleaning.holes import fill_holes
from KneeSegLib.cleaning.settings import CLEFT_HU, CLEFT_RADIUS_MM, LEAST_CLEFT_MM3, TALLEST_CLEFT_MM
from KneeSegLib.geometry.boxes import find_border_faces, find_label_boxes, find_mask_box
from KneeSegLib.geometry.masks import label_components


def fill_clefts(labels: np.ndarray, hu: np.ndarray, spacing_mm: Spacing, structures: Sequence[Structure]) -> np.ndarray:
    """Return ``labels`` with what closing a bone takes in given to the bone, where it is bone in the image.

    Each connected part of what is taken in is judged as a whole, by its mean: the edges of a cleft are blurred, and the
    bone in it may be. Joint spaces, canals and notches are dark and stay; what has a label keeps it. Holes that are
    left are filled.

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
        bone = part == value
        taken_in = close_with_ball(bone, CLEFT_RADIUS_MM, spacing_mm)
        taken_in |= _close_along_z(bone, round(TALLEST_CLEFT_MM / spacing_mm[0]))
        taken_in &= part == 0
        if (place := find_mask_box(taken_in)) is None:
            continue
        part[place][_find_bone(taken_in[place], hu[box][place], spacing_mm)] = value
        # A bay whose mouth is filled is a hole.
        is_long, cut = structure.tissue.key in LONG_BONES, find_border_faces(box, labels.shape)
        part[fill_holes(part == value, spacing_mm, is_long, cut) & (part == 0)] = value
    return filled


def _close_along_z(mask: np.ndarray, slices: int) -> np.ndarray:
    """Return ``mask`` with gaps of up to so many slices between voxels above each other closed."""
    number = np.arange(1, len(mask) + 1, dtype=np.int16)[:, None, None]
    below = np.maximum.accumulate(np.where(mask, number, np.int16(-slices)), axis=0)
    above = np.minimum.accumulate(np.where(mask, number, np.int16(len(mask) + 1 + slices))[::-1], axis=0)[::-1]
    return above - below <= slices + 1


def _find_bone(clefts: np.ndarray, hu: np.ndarray, spacing_mm: Spacing) -> np.ndarray:
    """Return those components of ``clefts`` that are more than a grain and as dense as bone."""
    components, voxels = label_components(clefts)
    mean_hu = np.bincount(components.ravel(), hu.ravel(), len(voxels)) / np.maximum(voxels, 1)
    is_bone = (mean_hu > CLEFT_HU) & (voxels * np.prod(spacing_mm) >= LEAST_CLEFT_MM3)
    is_bone[0] = False
    return is_bone[components]
