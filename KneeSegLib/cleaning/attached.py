"""Cartilage lies on bone, and menisci near it: pieces that do not are something else."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from KneeSegLib.cleaning.components import Spacing, boxes_of

LEAST_MM3 = 15.0
"""A smaller piece is noise, or of no consequence."""


def keep_attached(mask: np.ndarray, bone: np.ndarray, spacing_mm: Spacing, gap_mm: float = 0.0) -> np.ndarray:
    """Return the pieces of ``mask`` (Z, Y, X) that share a face with ``bone`` and hold :data:`LEAST_MM3`.

    Pieces are connected through faces and edges: a sheet that is one voxel thick may climb along a slope.

    Args:
        gap_mm: a piece may also lie as far as this from the bone, from voxel to voxel: there is fluid between.
    """
    kept = np.zeros_like(mask)
    if not mask.any():
        return kept
    around = _box_around(mask, gap_mm, spacing_mm)
    mask, bone = mask[around], bone[around]
    pieces, count = ndimage.label(mask, ndimage.generate_binary_structure(3, 2))
    large = np.bincount(pieces.ravel(), minlength=count + 1) * float(np.prod(spacing_mm)) >= LEAST_MM3
    near = ndimage.binary_dilation(bone)
    if gap_mm > 0.0:
        near |= ndimage.distance_transform_edt(~bone, sampling=spacing_mm) <= gap_mm
    keep = np.zeros(count + 1, bool)
    keep[np.unique(pieces[near & mask])] = True
    keep &= large
    keep[0] = False
    kept[around] = keep[pieces]
    return kept


def _box_around(mask: np.ndarray, margin_mm: float, spacing_mm: Spacing) -> tuple[slice, ...]:
    """The box of a mask with something in it, grown by a margin and at least a voxel."""
    box = boxes_of(mask.astype(np.uint8))[1]
    margins = [max(int(np.ceil(margin_mm / step)), 1) for step in spacing_mm]
    return tuple(slice(max(edge.start - margin, 0), edge.stop + margin) for edge, margin in zip(box, margins))
