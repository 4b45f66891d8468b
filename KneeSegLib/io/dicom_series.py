"""Which image series a DICOM folder holds, and the one that is meant."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from KneeSegLib.errors import InputError
from KneeSegLib.io.dicom_folder import FolderContent, describe_missing_slices, read_folder
from KneeSegLib.io.dicom_headers import Slice
from KneeSegLib.io.intensities import Modality
from KneeSegLib.io.settings import MOST_SERIES_NAMED, SAME_DIRECTION, SAME_POSITION_MM, SAME_SPACING

_VARIANTS = (("echo time",), ("image type",), ("time point",), ("acquisition",))


@dataclass(frozen=True)
class Series:
    """A stack of slices that can be read as one volume.

    One DICOM series gives several of these where it holds several orientations, echoes, image types or time points.

    Attributes:
        slices: how many there are.
        size: columns, rows, slices.
        spacing: between columns, rows and slices, in mm; the third is the median distance (0 for a single slice).
        number: counts from 1 in the list that the series was found in.
        stack: the slices, in no order.
    """

    uid: str
    description: str
    modality: Modality
    slices: int
    size: tuple[int, int, int]
    spacing: tuple[float, float, float]
    number: int = 1
    stack: tuple[Slice, ...] = field(default=(), repr=False, compare=False)

    @property
    def name(self) -> str:
        """The description, or the modality where there is none."""
        return self.description or f"{self.modality} series"

    def __str__(self) -> str:
        columns, rows, slices = self.size
        spacing = " x ".join(f"{length:.4g}" for length in self.spacing)
        plural = "slice" if slices == 1 else "slices"
        return (
            f"{self.number}: {self.name} ({self.modality}, {slices} {plural} of {columns} x {rows}, {spacing} mm, "
            f"UID ...{self.uid[-12:]})"
        )


def list_series(folder: str | Path) -> list[Series]:
    """Return the CT and MR series in ``folder`` and its sub-folders, in the order of their series numbers.

    Colour images, localisers, other modalities and images without a position in space are left out.

    Raises:
        InputError: the folder does not exist, or holds no such series; the sentence names what it does hold.
    """
    return group_series(read_folder(Path(folder)), Path(folder))


def group_series(content: FolderContent, folder: Path) -> list[Series]:
    """Sort the slices of ``content`` into series; ``folder`` is for the sentence where there are none.

    Raises:
        InputError: there are none.
    """
    if not content.slices:
        raise InputError(describe_missing_slices(content, folder))
    stacks = (part for stack in _same_plane(content.slices) for part in _told_apart(stack))
    found = [_series(stack, suffix) for suffix, stack in stacks]
    found.sort(key=lambda series: (series.stack[0].series_number, series.uid))
    return [replace(series, number=number) for number, series in enumerate(found, start=1)]


def choose_series(found: Sequence[Series], wanted: str | None = None) -> Series:
    """Return the series that ``wanted`` names, or the largest CT (else the largest MR) where it is None.

    ``wanted`` is the number in the list, the UID or its end, or the description or a part of it. A UID that stands
    for several echoes or time points means the first of them.

    Raises:
        InputError: nothing or more than one series fits; the sentence lists them.
    """
    if wanted is None:
        return max(found, key=_preference)
    text = wanted.strip().lstrip(".…")
    for fits in _criteria(text):
        fitting = [series for series in found if fits(series)]
        if len({series.uid for series in fitting}) == 1 and (len(fitting) == 1 or fitting[0].uid.endswith(text)):
            return fitting[0]
        if fitting:
            raise InputError(f"'{wanted}' fits {len(fitting)} series; name one by its number: {_listed(fitting)}.")
    raise InputError(
        f"No series is called '{wanted}'; name one of these by its number, UID or description: {_listed(found)}."
    )


def _criteria(text: str) -> Iterable[Callable[[Series], bool]]:
    folded = text.casefold()
    yield lambda series: series.uid == text
    yield lambda series: str(series.number) == text
    if text:
        yield lambda series: series.description.casefold() == folded
        yield lambda series: series.uid.endswith(text)
        yield lambda series: folded in series.description.casefold()


def _preference(series: Series) -> tuple[bool, bool, int, bool, int]:
    voxels = series.size[0] * series.size[1] * series.size[2]
    return series.slices > 1, series.modality == "CT", voxels, series.stack[0].original, -series.number


def _listed(found: Sequence[Series]) -> str:
    more = f"; and {len(found) - MOST_SERIES_NAMED} more" if len(found) > MOST_SERIES_NAMED else ""
    return "; ".join(map(str, found[:MOST_SERIES_NAMED])) + more


def _series(stack: list[Slice], suffix: str) -> Series:
    first = stack[0]
    distances = np.diff(np.sort(measure_positions_mm(stack)))
    apart = distances[distances > SAME_POSITION_MM]
    gap_mm = float(np.median(apart)) if len(apart) else 0.0
    return Series(
        uid=first.series_uid,
        description=", ".join(filter(None, (first.description, suffix))),
        modality=first.modality,
        slices=len(stack),
        size=(*first.size, len(stack)),
        spacing=(*first.spacing, round(gap_mm, 4)),
        stack=tuple(stack),
    )


def measure_positions_mm(stack: Sequence[Slice]) -> np.ndarray:
    """Return the distances (mm) of the slices from the origin along the normal of the first."""
    return np.array([plane.position for plane in stack]) @ stack[0].normal


def _same_plane(slices: Iterable[Slice]) -> list[list[Slice]]:
    """Group slices that could be stacked: same series, matrix, pixel size and orientation."""
    by_series: dict[tuple, list[list[Slice]]] = defaultdict(list)
    for plane in slices:
        groups = by_series[plane.series_uid, plane.modality, plane.size]
        for group in groups:
            if _parallel(group[0], plane):
                group.append(plane)
                break
        else:
            groups.append([plane])
    return [group for groups in by_series.values() for group in groups]


def _parallel(one: Slice, other: Slice) -> bool:
    same_direction = max(abs(a - b) for a, b in zip(one.orientation, other.orientation)) < SAME_DIRECTION
    return same_direction and all(abs(a - b) < SAME_SPACING * a for a, b in zip(one.spacing, other.spacing))


def _told_apart(stack: list[Slice]) -> list[tuple[str, list[Slice]]]:
    """Split a stack with repeated positions by echo, image type, time point or acquisition, whichever explains them."""
    if _repeats(stack):
        for names in (*_VARIANTS, tuple(name for (name,) in _VARIANTS)):
            parts: dict[tuple, list[Slice]] = defaultdict(list)
            for plane in stack:
                parts[tuple(plane.variant[name] for name in names)].append(plane)
            sizes = [len(part) for part in parts.values()]
            if not any(map(_repeats, parts.values())) and 2 * min(sizes) >= max(sizes):
                return [(_variant_name(names, values), parts[values]) for values in sorted(parts)]
    return [("", stack)]


def _repeats(stack: Sequence[Slice]) -> bool:
    return bool((np.diff(np.sort(measure_positions_mm(stack))) < SAME_POSITION_MM).any())


def _variant_name(names: tuple[str, ...], values: tuple) -> str:
    units = {"echo time": " ms"}
    texts = (
        f"{value:g}{units.get(name, '')}" if isinstance(value, float) else value for name, value in zip(names, values)
    )
    return ", ".join(f"{name} {text}" for name, text in zip(names, texts))
