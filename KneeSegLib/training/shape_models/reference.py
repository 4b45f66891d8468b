"""Which case is the reference that all others are registered to: the one most like the others."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np

from KneeSegLib.progress import Progress, no_progress, report_each
from KneeSegLib.training.shape_models.bone_image import BoneImage
from KneeSegLib.training.shape_models.registration import measure_coarse_overlap


def measure_pairwise_overlaps(cases: Sequence[BoneImage], progress: Progress = no_progress) -> np.ndarray:
    """Return the Dice (N, N) of all pairs of cases after affine registration.

    An affine transform has an inverse, so one registration serves both directions of a pair.
    """
    overlaps = np.eye(len(cases))
    for first, second in report_each(list(combinations(range(len(cases)), 2)), progress, "Comparing all pairs"):
        overlaps[first, second] = overlaps[second, first] = measure_coarse_overlap(cases[first], cases[second])
    return overlaps


def choose_reference(overlaps: np.ndarray) -> int:
    """Return the case that overlaps most with all others, by ``overlaps`` (N, N); the first of equals wins."""
    return int(np.argmax(overlaps.sum(axis=1)))
