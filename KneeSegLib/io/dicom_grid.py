"""Whether slices lie evenly, by a line fitted to all their positions, and where a series falls into blocks."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from KneeSegLib.io.dicom_slice import Slice
from KneeSegLib.io.settings import (
    BLOCK_GAP_MM,
    BLOCK_GAPS,
    EVEN_FRACTION,
    EVEN_MM,
    FEWEST_SLICES,
    MOST_DECIMALS,
    ROUNDED_FRACTION,
    SAME_POSITION_MM,
)


def measure_positions_mm(stack: Sequence[Slice]) -> np.ndarray:
    """Return the distances (mm) of the slices from the origin along the normal of the first."""
    return np.array([plane.position for plane in stack]) @ stack[0].normal


def has_repeats(stack: Sequence[Slice]) -> bool:
    """Return whether several slices lie at one position."""
    return bool((np.diff(np.sort(measure_positions_mm(stack))) < SAME_POSITION_MM).any())


def measure_tolerance_mm(gap_mm: float) -> float:
    """Return by how much a distance between two slices may differ from ``gap_mm``."""
    return max(EVEN_FRACTION * gap_mm, EVEN_MM)


def fit_distance_mm(along: np.ndarray) -> tuple[float, float]:
    """Fit evenly spaced positions to sorted ones; return their distance and the largest deviation from them, in mm."""
    numbers = np.arange(len(along))
    gap, start = np.polyfit(numbers, along, 1)
    return float(gap), float(np.abs(along - start - gap * numbers).max())


def is_even(stack: Sequence[Slice]) -> bool:
    """Return whether the slices, in whatever order, lie evenly: as good as their positions were written."""
    along = np.sort(measure_positions_mm(stack))
    if len(along) < 3:
        return True
    gaps = np.diff(along)
    gap, deviation_mm = fit_distance_mm(along)
    tolerance_mm = measure_tolerance_mm(gap)
    pairwise = bool((np.abs(gaps - np.median(gaps)) <= measure_tolerance_mm(float(np.median(gaps)))).all())
    if deviation_mm <= tolerance_mm or (pairwise and deviation_mm <= gap / 2):
        return True
    return deviation_mm <= min(measure_rounding_mm(stack), ROUNDED_FRACTION * gap)


def measure_rounding_mm(stack: Sequence[Slice]) -> float:
    """Return how far positions may be off by the decimals that they are written with: 0.05 mm for 5.6, 6.2, 6.9."""
    along_axis = int(np.argmax(np.abs(stack[0].normal)))
    positions = np.array([plane.position[along_axis] for plane in stack])
    for decimals in range(MOST_DECIMALS + 1):
        if np.abs(positions - np.round(positions, decimals)).max() < 1e-6:
            return 0.65 * 10.0**-decimals  # half a step, and what fitting adds
    return 0.0


def split_blocks(stack: Sequence[Slice]) -> list[list[Slice]]:
    """Return the blocks that a stack falls into, each even: hip, knee and ankle of a planning scan, for example.

    A block ends where nothing was recorded for a long way, or where the distance of the slices changes. One list, the
    stack itself, where there are no such blocks or one of them would be too small to be read.
    """
    whole = [list(stack)]
    if len(stack) < 2 * FEWEST_SLICES or has_repeats(stack) or is_even(stack):
        return whole
    ordered = [stack[i] for i in np.argsort(measure_positions_mm(stack), kind="stable")]
    gaps = np.diff(measure_positions_mm(ordered))
    far = np.flatnonzero(gaps > max(BLOCK_GAP_MM, BLOCK_GAPS * float(np.median(gaps)))) + 1
    parts = [list(part) for part in _cut(ordered, far.tolist())]
    blocks = [block for part in parts for block in ([part] if is_even(part) else _cut_where_distance_changes(part))]
    if len(blocks) == 1 or min(map(len, blocks)) < FEWEST_SLICES or not all(map(is_even, blocks)):
        return whole
    return blocks


def _cut_where_distance_changes(ordered: list[Slice]) -> list[list[Slice]]:
    """Cut into runs of one distance; the slice between two of them belongs to the one with the smaller distance."""
    gaps = np.diff(measure_positions_mm(ordered))
    runs: list[tuple[int, int]] = []  # of gaps: first, after last
    start = 0
    for number in range(1, len(gaps) + 1):
        same = number < len(gaps) and abs(gaps[number] - gaps[start]) <= measure_tolerance_mm(float(gaps[start]))
        if not same:
            runs.append((start, number))
            start = number
    if min(end - first for first, end in runs) < FEWEST_SLICES - 2:
        return [ordered]  # a slice that is missing is no change of distance
    return _cut(ordered, [first if gaps[first] < gaps[first - 1] else first + 1 for first, _ in runs[1:]])


def _cut(ordered: list[Slice], places: Sequence[int]) -> list[list[Slice]]:
    edges = [0, *sorted(set(places)), len(ordered)]
    return [ordered[begin:end] for begin, end in zip(edges, edges[1:]) if end > begin]
