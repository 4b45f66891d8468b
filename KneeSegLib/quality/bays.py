"""Bone that a label should hold and does not: bays in it, and cavities, where the image shows bone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from KneeSegLib.cleaning.closing import close_with_ball
from KneeSegLib.cleaning.components import Spacing
from KneeSegLib.geometry.boxes import find_mask_box
from KneeSegLib.geometry.masks import label_components
from KneeSegLib.quality.settings import BAY_GRID_MM, BAY_HU, BAY_RADIUS_MM


def measure_unlabelled_bone_cm3(mask: np.ndarray, bones: np.ndarray, hu: np.ndarray, spacing_mm: Spacing) -> float:
    """Return the volume of the largest component of unlabelled bone that closing a bone with a ball takes in.

    Looked for on a coarse grid, whose blocks are averaged: noise is no bone then, nor is the rim of a voxel that a
    surface may be off by.

    Args:
        mask: bool (Z, Y, X), the bone, with some voxels around it.
        bones: bool (Z, Y, X), it and all other structures.
        hu: (Z, Y, X).
        spacing_mm: (z, y, x).
    """
    steps = [max(round(BAY_GRID_MM / mm), 1) for mm in spacing_mm]
    coarse_mm: Spacing = (steps[0] * spacing_mm[0], steps[1] * spacing_mm[1], steps[2] * spacing_mm[2])
    own = _cut_into_blocks(mask, steps)[:, steps[0] // 2, :, steps[1] // 2, :, steps[2] // 2]
    unlabelled = ~_cut_into_blocks(bones, steps).any(axis=(1, 3, 5))
    taken_in = close_with_ball(own, BAY_RADIUS_MM, coarse_mm) & unlabelled
    box = find_mask_box(taken_in)
    if box is None:
        return 0.0
    z, y, x = box
    average_hu = _cut_into_blocks(hu, steps)[z, :, y, :, x].mean(axis=(1, 3, 5), dtype=np.float32)
    voxels = label_components(taken_in[box] & (average_hu > BAY_HU))[1][1:]
    return float(voxels.max(initial=0) * np.prod(coarse_mm) / 1000.0)


def _cut_into_blocks(array: np.ndarray, steps: Sequence[int]) -> np.ndarray:
    """Return blocks of voxels, (Z, dz, Y, dy, X, dx); the last ones are filled up with what lies at the border."""
    padded = np.pad(array, [(0, -count % step) for count, step in zip(array.shape, steps)], mode="edge")
    (z, dz), (y, dy), (x, dx) = ((count // step, step) for count, step in zip(padded.shape, steps))
    return padded.reshape(z, dz, y, dy, x, dx)
