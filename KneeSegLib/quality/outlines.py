"""How a bone's outline goes on along the leg: bones do not jump."""

from __future__ import annotations

from collections.abc import Sequence
from math import nan
from typing import NamedTuple

import numpy as np
from scipy import ndimage

_LEAST_AREA_MM2 = 60.0
_JUMP_ACROSS_MM = 3.0
"""A jump is looked for across this height: networks that see several slices at once smear it over some of them."""

_ENDS_MM = 15.0
"""At its ends a bone is several knobs, which appear one after the other: no jumps are looked for there."""


class OutlineSteps(NamedTuple):
    """``jump_mm``: the largest step beyond what is usual around it. ``sway_mm``: the median step per mm of height."""

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
    lag = max(round(_JUMP_ACROSS_MM / slice_mm), 1)
    ends = round(_ENDS_MM / slice_mm)
    inner = _sideways_mm(mask[ends : len(mask) - ends], spacing_mm, lag)
    usual_mm = ndimage.median_filter(inner, 4 * lag + 1, mode="nearest") if inner.size else inner
    every = _sideways_mm(mask, spacing_mm, 1)
    return OutlineSteps(
        float((inner - usual_mm).max()) if inner.size > 2 * lag else nan,
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
    length_mm = _changes(mask, 1) * column_mm + _changes(mask, 2) * row_mm
    common_mm2 = (mask[lag:] & mask[:-lag]).sum(axis=(1, 2)) * row_mm * column_mm
    smaller_mm2 = np.minimum(area_mm2[lag:], area_mm2[:-lag])
    enough = smaller_mm2 > _LEAST_AREA_MM2
    return (2.0 * (smaller_mm2 - common_mm2) / np.maximum(0.5 * (length_mm[lag:] + length_mm[:-lag]), 1e-6))[enough]


def _changes(mask: np.ndarray, axis: int) -> np.ndarray:
    """How often each slice changes between inside and outside along an axis; the array's border is outside."""
    layers = np.moveaxis(mask, axis, 1)
    changes = (layers[:, 1:] != layers[:, :-1]).sum(axis=(1, 2))
    return changes + layers[:, 0].sum(axis=1) + layers[:, -1].sum(axis=1)
