"""Cartilage lies on bone: pieces that do not are something else."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from KneeSegLib.cleaning.components import Spacing

LEAST_MM3 = 15.0
"""A smaller piece is noise, or of no consequence."""


def keep_attached(mask: np.ndarray, bone: np.ndarray, spacing_mm: Spacing) -> np.ndarray:
    """Return the pieces of ``mask`` (Z, Y, X) that share a face with ``bone`` and hold :data:`LEAST_MM3`.

    Pieces are connected through faces and edges: a sheet that is one voxel thick may climb along a slope.
    """
    pieces, count = ndimage.label(mask, ndimage.generate_binary_structure(3, 2))
    if not count:
        return mask.copy()
    large = np.bincount(pieces.ravel(), minlength=count + 1) * float(np.prod(spacing_mm)) >= LEAST_MM3
    beside = pieces[ndimage.binary_dilation(bone) & mask]
    keep = np.zeros(count + 1, bool)
    keep[np.unique(beside)] = True
    keep &= large
    keep[0] = False
    return keep[pieces]
