"""How a bone's outline moves from slice to slice along the leg: bones do not jump."""

from __future__ import annotations

from collections.abc import Sequence
from math import nan
from typing import NamedTuple

import numpy as np
from scipy import ndimage

from KneeSegLib.quality.settings import JUMP_ACROSS_MM, KNOBS_MM, LEAST_OUTLINE_MM2


class OutlineSteps(NamedTuple):
    """``jump_mm``: the largest step beyond the median one around it. ``sway_mm``: the median step per mm of height."""

    jump_mm: float
    sway_mm: float


def measure_outline_steps(mask: np.ndarray, spacing_mm: Sequence[float]) -> OutlineSteps:
    """Measure how far the outline moves sideways along the leg.

    Args:
        mask: bool (Z, Y, X), slices across z; begins and ends with the bone.
        spacing_mm: (z, y, x).

    Returns:
        NaN where too few slices hold enough of the bone.
    """
    slice_mm = spacing_mm[0]
    lag = max(round(JUMP_ACROSS_MM / slice_mm), 1)
    ends = round(KNOBS_MM / slice_mm)
    inner = _sideways_mm(mask[ends : len(mask) - ends], spacing_mm, lag)
    median_mm = ndimage.median_filter(inner, 4 * lag + 1, mode="nearest") if inner.size else inner
    every = _sideways_mm(mask, spacing_mm, 1)
    return OutlineSteps(
        float((inner - median_mm).max()) if inner.size > 2 * lag else nan,
        float(np.median(every)) / slice_mm if every.size else nan,
    )


def _sideways_mm(mask: np.ndarray, spacing_mm: Sequence[float], lag: int) -> np.ndarray:
    """Return how far the outline moves between each slice and the one ``lag`` further, about 0.6 of the distance.

    Where an outline moves, as much area is won on one side as is lost on the other; where a bone only grows wider or
    thinner, one of the two is none. So the smaller of both counts, over the outline's length. Slices with little or
    none of the bone are left out.
    """
    _, row_mm, column_mm = spacing_mm
    if len(mask) <= lag:
        return np.zeros(0)
    area_mm2 = mask.sum(axis=(1, 2)) * row_mm * column_mm
    length_mm = _count_changes(mask, 1) * column_mm + _count_changes(mask, 2) * row_mm
    common_mm2 = (mask[lag:] & mask[:-lag]).sum(axis=(1, 2)) * row_mm * column_mm
    smaller_mm2 = np.minimum(area_mm2[lag:], area_mm2[:-lag])
    enough = smaller_mm2 > LEAST_OUTLINE_MM2
    return (2.0 * (smaller_mm2 - common_mm2) / np.maximum(0.5 * (length_mm[lag:] + length_mm[:-lag]), 1e-6))[enough]


def _count_changes(mask: np.ndarray, axis: int) -> np.ndarray:
    """Return how often each slice changes between inside and outside along an axis; the array's border is outside."""
    layers = np.moveaxis(mask, axis, 1)
    changes = (layers[:, 1:] != layers[:, :-1]).sum(axis=(1, 2))
    return changes + layers[:, 0].sum(axis=1) + layers[:, -1].sum(axis=1)
