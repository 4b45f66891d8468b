"""Stacks of one DICOM series that are blocks of one scan: hip, knee and ankle of a planning protocol."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from KneeSegLib.io.dicom_grid import measure_positions_mm
from KneeSegLib.io.dicom_series import Series, choose_series, find_fitting, rank_series
from KneeSegLib.io.settings import FEWEST_SLICES, SAME_DIRECTION, SMALLEST_EXTENT_MM

_HEAD = 2
"""Axis of LPS coordinates along which transverse slices are stacked."""


def choose_blocks(found: Sequence[Series], wanted: str | None = None) -> list[Series]:
    """Return the stacks that ``wanted`` means, or the largest; with the other blocks of its scan, from head to foot.

    A UID or a description that fits all blocks of a scan means the scan; a number means one block.

    Raises:
        InputError: nothing or more than one series fits.
    """
    if wanted is None:
        return find_blocks(found, max(found, key=rank_series))
    fitting = find_fitting(found, wanted)
    blocks = find_blocks(found, fitting[0])
    text = wanted.strip()
    by_uid = text != str(fitting[0].number) and (text == fitting[0].key or fitting[0].uid.endswith(text.lstrip(".…")))
    if by_uid or (len(fitting) > 1 and all(series in blocks for series in fitting)):
        return blocks
    return [choose_series(found, wanted)]


def find_blocks(found: Sequence[Series], chosen: Series) -> list[Series]:
    """Return ``chosen`` and the other blocks of its scan, from head to foot; it alone where there are none.

    Blocks are transverse stacks of one CT series with nothing else to tell them apart, large enough to be segmented,
    that share no height.
    """
    if chosen.modality != "CT" or not _is_transverse(chosen):
        return [chosen]
    blocks = [chosen]
    for series in sorted(found, key=rank_series, reverse=True):
        belongs = series is not chosen and _is_of_one_series(series, chosen) and _is_large_enough(series)
        if belongs and _is_transverse(series) and not any(_overlap(series, block) for block in blocks):
            blocks.append(series)
    return sorted(blocks, key=lambda block: -max(_heights_mm(block)))


def _is_of_one_series(one: Series, other: Series) -> bool:
    same = one.uid == other.uid if one.uid and other.uid else one.series_key == other.series_key
    return same and one.modality == other.modality and one.variant == other.variant


def _is_transverse(series: Series) -> bool:
    across = np.abs(series.stack[0].normal)
    return bool(across.argmax() == _HEAD and across[_HEAD] > 1.0 - 50 * SAME_DIRECTION)


def _is_large_enough(series: Series) -> bool:
    extent_mm = [count * spacing for count, spacing in zip(series.size, series.spacing)]
    return min(series.size) >= FEWEST_SLICES and min(extent_mm) >= SMALLEST_EXTENT_MM - 0.5


def _heights_mm(series: Series) -> tuple[float, float]:
    along = measure_positions_mm(series.stack) * np.sign(series.stack[0].normal[_HEAD])
    return float(along.min()), float(along.max())


def _overlap(one: Series, other: Series) -> bool:
    (low, high), (other_low, other_high) = _heights_mm(one), _heights_mm(other)
    return low < other_high and other_low < high
