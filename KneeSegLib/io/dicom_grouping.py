"""Slices sorted into stacks that can be volumes: by what they are, and not by one tag alone."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from KneeSegLib.io.dicom_doubles import drop_doubles
from KneeSegLib.io.dicom_grid import has_repeats, is_even, measure_positions_mm, split_blocks
from KneeSegLib.io.dicom_slice import Slice
from KneeSegLib.io.settings import FEWEST_SLICES, SAME_DIRECTION, SAME_POSITION_MM, SAME_SPACING

_VARIANTS = (
    ("echo time",),
    ("image type",),
    ("time point",),
    ("acquisition",),
    ("tube voltage",),
    ("flip angle",),
    ("inversion time",),
    ("b-value",),
    ("stack",),
)
_OTHER_SERIES = (("series number",), ("description",), ("kernel",), ("slice thickness",), ("trigger time",))
_RECONSTRUCTIONS = (("kernel",), ("series number",), ("description",), ("slice thickness",), ("tube voltage",))
_UNITS = {
    "echo time": " ms",
    "slice thickness": " mm",
    "trigger time": " ms",
    "tube voltage": " kV",
    "flip angle": " degrees",
    "inversion time": " ms",
    "b-value": " s/mm2",
}


@dataclass(frozen=True)
class Stack:
    """Slices that may be one volume, and by what they were told apart from others of their series.

    Attributes:
        blocks: into how many blocks the slices fall of which these are one.
        doubles: slices that were left out because they equal another one.
        series_key: the same for all stacks of a series.
        variant: the values by which it was told apart, whether they may be shown or not.
    """

    slices: list[Slice]
    told_by: str = ""
    blocks: int = 1
    doubles: int = 0
    series_key: tuple = ()
    variant: tuple = ()


def group_slices(slices: Sequence[Slice]) -> list[Stack]:
    """Sort slices into stacks: same series, matrix, pixel size and orientation, one slice at each position, no gaps.

    Where the series' UID was emptied, or every slice got one of its own, number and description stand for it. Slices of
    several frames of reference are no volume, but where each of these holds a few slices only: some scanners give one
    to every slice.
    """
    found = []
    for key, plane_group in _same_plane(slices):
        for of_frame, framed in _part_by_frame(plane_group):
            single, doubles = drop_doubles(framed)
            for told_by, values, part in _told_apart(single):
                blocks = split_blocks(part)
                for number, block in enumerate(blocks, start=1):
                    named = _block_name(number, block, len(blocks)) if len(blocks) > 1 else ""
                    told = ", ".join(filter(None, (of_frame, told_by, named)))
                    found.append(Stack(block, told, len(blocks), doubles, key, values))
    return found


def _block_name(number: int, block: list[Slice], count: int) -> str:
    along = measure_positions_mm(block)
    normal = block[0].normal
    shown = np.sort(along * np.sign(normal[np.argmax(np.abs(normal))]))
    return f"block {number} of {count} at {shown[0]:.0f} to {shown[-1]:.0f} mm"


def _same_plane(slices: Sequence[Slice]) -> list[tuple[tuple, list[Slice]]]:
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
    return [(key, group) for key, groups in by_series.items() for group in groups]


def _part_by_frame(group: list[Slice]) -> list[tuple[str, list[Slice]]]:
    """Part slices by their frame of reference; those that name none go with the most."""
    count = Counter(plane.frame_of_reference for plane in group if plane.frame_of_reference)
    if len(count) < 2 or max(count.values()) < FEWEST_SLICES:
        return [("", group)]
    largest = count.most_common(1)[0][0]
    return [
        (
            f"frame of reference {number} of {len(count)}",
            [plane for plane in group if (plane.frame_of_reference or largest) == frame],
        )
        for number, frame in enumerate(count, start=1)
    ]


def _series_keys(slices: Sequence[Slice]) -> list[tuple]:
    """Return for each slice what its series is known by: UID, or number and description where that tells nothing.

    Slices that each have a UID and a number of their own are known by description and frame of reference.
    """
    by_uid = [(plane.series_uid, plane.modality, plane.size) for plane in slices]
    by_number = [(plane.series_number, plane.description, plane.modality, plane.size) for plane in slices]
    of_uid = Counter(by_uid)
    largest: dict[tuple, int] = defaultdict(int)
    alone: Counter[tuple] = Counter()
    for uid, number in zip(by_uid, by_number, strict=True):
        largest[number] = max(largest[number], of_uid[uid])
        alone[number] += 1
    lone = [of_uid[uid] == 1 and alone[number] == 1 for uid, number in zip(by_uid, by_number, strict=True)]
    by_kind = [(*number[1:], plane.frame_of_reference) for number, plane in zip(by_number, slices, strict=True)]
    of_kind = Counter(kind for kind, is_lone in zip(by_kind, lone, strict=True) if is_lone)
    keys = [
        number if not uid[0] or (largest[number] == 1 and alone[number] >= FEWEST_SLICES) else uid
        for uid, number in zip(by_uid, by_number, strict=True)
    ]
    return [
        kind if is_lone and of_kind[kind] >= FEWEST_SLICES else key
        for kind, is_lone, key in zip(by_kind, lone, keys, strict=True)
    ]


def _parallel(one: Slice, other: Slice) -> bool:
    same_direction = max(abs(a - b) for a, b in zip(one.orientation, other.orientation)) < SAME_DIRECTION
    return same_direction and all(abs(a - b) < SAME_SPACING * a for a, b in zip(one.spacing, other.spacing))


def _told_apart(stack: list[Slice]) -> list[tuple[str, tuple, list[Slice]]]:
    """Split a stack with repeated positions by whichever tag explains them; an uneven one by what makes parts even.

    An even one is split too where reconstructions lie between each other: those of two kernels are no finer volume.
    """
    if has_repeats(stack):
        for names in (*_VARIANTS, *_OTHER_SERIES, tuple(name for (name,) in _VARIANTS)):
            parts = _parts(stack, names)
            sizes = [len(part) for part in parts.values()]
            alike = 2 * min(sizes) >= max(sizes) or names in _OTHER_SERIES
            if alike and not any(map(has_repeats, parts.values())):
                return _named(names, parts)
        return _told_apart_by_order(stack)
    if len(stack) < 2 * FEWEST_SLICES:
        return [("", (), stack)]
    even = is_even(stack)
    for names in _RECONSTRUCTIONS if even else _OTHER_SERIES:
        parts = _parts(stack, names)
        readable = len(parts) > 1 and all(len(part) >= FEWEST_SLICES and is_even(part) for part in parts.values())
        if readable and not (even and not _interleave(list(parts.values()))):
            return _named(names, parts)
    return [("", (), stack)]


def _told_apart_by_order(stack: list[Slice]) -> list[tuple[str, tuple, list[Slice]]]:
    """Split slices that no tag tells apart: one pass after the other, by instance numbers or by acquisition times."""
    by_number = _find_passes(stack, lambda plane: plane.instance_number)
    if by_number:
        return [
            (f"images {part[0].instance_number} to {part[-1].instance_number}", (number,), part)
            for number, part in enumerate(by_number)
        ]
    by_time = _find_passes(stack, lambda plane: plane.acquired_s)
    if by_time:
        return [
            (f"pass {number} of {len(by_time)} by acquisition time", (number,), part)
            for number, part in enumerate(by_time, start=1)
        ]
    return [("", (), stack)]


def _find_passes(stack: list[Slice], order: Callable[[Slice], float]) -> list[list[Slice]]:
    """Return the passes, each with a slice at every position and after the one before; none where there are none."""
    ordered = sorted(stack, key=order)
    places = len(np.unique(np.round(measure_positions_mm(ordered) / SAME_POSITION_MM).astype(np.int64)))
    if places < 2 or len(ordered) % places:
        return []
    passes = [ordered[first : first + places] for first in range(0, len(ordered), places)]
    apart = all(order(one[-1]) < order(other[0]) for one, other in zip(passes, passes[1:]))
    return passes if apart and not any(map(has_repeats, passes)) else []


def _interleave(parts: Sequence[Sequence[Slice]]) -> bool:
    """Return whether each part covers most of the way that the longest covers."""
    normal = parts[0][0].normal
    along = [[float(np.dot(plane.position, normal)) for plane in part] for part in parts]
    begin, end = max(map(min, along)), min(map(max, along))
    return end - begin > 0.5 * max(max(part) - min(part) for part in along)


def _named(names: tuple[str, ...], parts: dict[tuple, list[Slice]]) -> list[tuple[str, tuple, list[Slice]]]:
    return [(_variant_name(names, values), values, parts[values]) for values in sorted(parts)]


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
