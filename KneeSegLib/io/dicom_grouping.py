"""Slices sorted into stacks that can be volumes: by what they are, and not by one tag alone."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from KneeSegLib.io.dicom_grid import has_repeats, is_even, measure_positions_mm, split_blocks
from KneeSegLib.io.dicom_headers import Slice
from KneeSegLib.io.settings import FEWEST_SLICES, SAME_DIRECTION, SAME_SPACING

_VARIANTS = (("echo time",), ("image type",), ("time point",), ("acquisition",))
_OTHER_SERIES = (("series number",), ("description",), ("kernel",), ("slice thickness",), ("trigger time",))
_UNITS = {"echo time": " ms", "slice thickness": " mm", "trigger time": " ms"}


@dataclass(frozen=True)
class Stack:
    """Slices that may be one volume, and by what they were told apart from others of their series."""

    slices: list[Slice]
    told_by: str = ""
    blocks: int = 1


def group_slices(slices: Sequence[Slice]) -> list[Stack]:
    """Sort slices into stacks: same series, matrix, pixel size and orientation, one slice at each position, no gaps.

    Where the series' UID was emptied, or every slice got one of its own, number and description stand for it.
    """
    found = []
    for plane_group in _same_plane(slices):
        for told_by, part in _told_apart(plane_group):
            blocks = split_blocks(part)
            for number, block in enumerate(blocks, start=1):
                named = _block_name(number, block, len(blocks)) if len(blocks) > 1 else ""
                found.append(Stack(block, ", ".join(filter(None, (told_by, named))), len(blocks)))
    return found


def _block_name(number: int, block: list[Slice], count: int) -> str:
    along = measure_positions_mm(block)
    normal = block[0].normal
    shown = np.sort(along * np.sign(normal[np.argmax(np.abs(normal))]))
    return f"block {number} of {count} at {shown[0]:.0f} to {shown[-1]:.0f} mm"


def _same_plane(slices: Sequence[Slice]) -> list[list[Slice]]:
    keys = _series_keys(slices)
    by_series: dict[tuple, list[list[Slice]]] = defaultdict(list)
    for plane, key in zip(slices, keys, strict=True):
        groups = by_series[key]
        for group in groups:
            if _parallel(group[0], plane):
                group.append(plane)
                break
        else:
            groups.append([plane])
    return [group for groups in by_series.values() for group in groups]


def _series_keys(slices: Sequence[Slice]) -> list[tuple]:
    """Return for each slice what its series is known by: UID, or number and description where that tells nothing."""
    by_uid = [(plane.series_uid, plane.modality, plane.size) for plane in slices]
    by_number = [(plane.series_number, plane.description, plane.modality, plane.size) for plane in slices]
    of_uid = Counter(by_uid)
    largest: dict[tuple, int] = defaultdict(int)
    alone: Counter[tuple] = Counter()
    for uid, number in zip(by_uid, by_number, strict=True):
        largest[number] = max(largest[number], of_uid[uid])
        alone[number] += 1
    return [
        number if not uid[0] or (largest[number] == 1 and alone[number] >= FEWEST_SLICES) else uid
        for uid, number in zip(by_uid, by_number, strict=True)
    ]


def _parallel(one: Slice, other: Slice) -> bool:
    same_direction = max(abs(a - b) for a, b in zip(one.orientation, other.orientation)) < SAME_DIRECTION
    return same_direction and all(abs(a - b) < SAME_SPACING * a for a, b in zip(one.spacing, other.spacing))


def _told_apart(stack: list[Slice]) -> list[tuple[str, list[Slice]]]:
    """Split a stack with repeated positions by whichever tag explains them; an uneven one by what makes parts even."""
    if has_repeats(stack):
        for names in (*_VARIANTS, *_OTHER_SERIES, tuple(name for (name,) in _VARIANTS)):
            parts = _parts(stack, names)
            sizes = [len(part) for part in parts.values()]
            alike = 2 * min(sizes) >= max(sizes) or names in _OTHER_SERIES
            if alike and not any(map(has_repeats, parts.values())):
                return [(_variant_name(names, values), parts[values]) for values in sorted(parts)]
    elif len(stack) >= 2 * FEWEST_SLICES and not is_even(stack):
        for names in _OTHER_SERIES:
            parts = _parts(stack, names)
            if len(parts) > 1 and all(len(part) >= FEWEST_SLICES and is_even(part) for part in parts.values()):
                return [(_variant_name(names, values), parts[values]) for values in sorted(parts)]
    return [("", stack)]


def _parts(stack: Iterable[Slice], names: tuple[str, ...]) -> dict[tuple, list[Slice]]:
    parts: dict[tuple, list[Slice]] = defaultdict(list)
    for plane in stack:
        parts[tuple(plane.variant[name] for name in names)].append(plane)
    return parts


def _variant_name(names: tuple[str, ...], values: tuple) -> str:
    texts = (
        f"{value:g}{_UNITS.get(name, '')}" if isinstance(value, float) else value for name, value in zip(names, values)
    )
    return ", ".join(f"{name} {text}" for name, text in zip(names, texts))
