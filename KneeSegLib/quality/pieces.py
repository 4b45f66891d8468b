"""In how many pieces a bone lies in the end: an edge that was moved may part a bone where it is thin."""

from __future__ import annotations

import numpy as np

from KneeSegLib.geometry.masks import label_components
from KneeSegLib.quality.settings import LEAST_PIECE_FRACTION


def count_pieces(mask: np.ndarray) -> int:
    """Return of how many connected parts (by faces of voxels) a mask consists, specks left out."""
    _, voxels = label_components(mask)
    return int(np.count_nonzero(voxels[1:] >= LEAST_PIECE_FRACTION * voxels[1:].sum()))
