"""Cavities that bone encloses, and openings that only look like one in a slice."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from KneeSegLib.cleaning.components import Spacing
from KneeSegLib.cleaning.settings import LARGEST_CANAL_MM2
from KneeSegLib.geometry.boxes import ALL_FACES, Faces
from KneeSegLib.geometry.masks import label_components


def fill_holes(
    mask: np.ndarray, spacing_mm: Spacing, is_long_bone: bool = False, cut_faces: Faces = ALL_FACES
) -> np.ndarray:
    """Return ``mask`` with its cavities filled; openings that lead outside, such as the obturator foramen, stay open.

    Filled are cavities closed on all sides, where the image's border closes what it cuts (a medullary canal that ends
    at the last slice). In long bones also rings in single transverse slices up to the size of a medullary canal, whose
    wall may leak elsewhere.

    Args:
        mask: bool (Z, Y, X).
        spacing_mm: (z, y, x).
        is_long_bone: whether rings in transverse slices are shafts.
        cut_faces: for each axis, whether the first and the last layer of ``mask`` lie on the image's border.
    """
    filled = mask | _find_canals(mask, spacing_mm) if is_long_bone else mask.copy()
    padded = np.pad(filled, 1)
    for axis, ends in enumerate(cut_faces):
        layers = np.moveaxis(padded, axis, 0)
        for end, beside, is_cut in zip((0, -1), (1, -2), ends):
            if is_cut:
                # A lid outside the image over whatever the bone's outline encloses in its last layer.
                layers[end][1:-1, 1:-1] = ndimage.binary_fill_holes(layers[beside][1:-1, 1:-1])
    background, _ = label_components(~padded)
    return (background != background[0, 0, 0])[1:-1, 1:-1, 1:-1]


def _find_canals(mask: np.ndarray, spacing_mm: Spacing) -> np.ndarray:
    """Return the holes of single transverse slices that are no larger than a medullary canal."""
    in_slice = np.zeros((3, 3, 3), bool)
    in_slice[1] = ndimage.generate_binary_structure(2, 1)
    background, voxels = label_components(~np.pad(mask, ((0, 0), (1, 1), (1, 1))), in_slice)
    area_mm2 = voxels * spacing_mm[1] * spacing_mm[2]
    is_canal = area_mm2 <= LARGEST_CANAL_MM2
    is_canal[0] = False
    is_canal[np.unique(background[:, 0, 0])] = False
    return is_canal[background][:, 1:-1, 1:-1]
