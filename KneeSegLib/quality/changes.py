"""What cleaning changed of each structure."""

from __future__ import annotations

import numpy as np


def count_changed_voxels(before: np.ndarray, after: np.ndarray) -> dict[int, int]:
    """Return how many voxels each label value lost to the background or to another structure, or won from one.

    Args:
        before: uint8 (Z, Y, X), label values.
        after: the same after cleaning.
    """
    lost = (before != after) & (before != 0)
    was, became = before[lost], after[lost]
    counts = np.bincount(was, minlength=256) + np.bincount(became[became != 0], minlength=256)
    return {int(value): int(counts[value]) for value in np.flatnonzero(counts)}
