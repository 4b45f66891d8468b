"""Which image series a DICOM folder holds, and the one that is meant."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from KneeSegLib.errors import InputError
from KneeSegLib.io.dicom_folder import FolderContent, describe_missing_slices, read_folder
from KneeSegLib.io.dicom_grid import fit_distance_mm, has_repeats, is_even, measure_positions_mm
from KneeSegLib.io.dicom_grouping import Stack, group_slices
from KneeSegLib.io.dicom_slice import Slice
from KneeSegLib.io.intensities import Modality
from KneeSegLib.io.settings import MOST_SERIES_NAMED, SAME_POSITION_MM


@dataclass(frozen=True)
class Series:
    """A stack of slices that can be read as one volume.

    One DICOM series gives several of these where it holds several orientations, echoes, image types or time points.

    Attributes:
        slices: how many there are.
        size: columns, rows, slices.
        spacing: between columns, rows and slices, in mm; the third is the median distance (0 for a single slice).
        number: in the list that the series was found in: DICOM's series number, or counted from 1 where that does not
            tell all of them apart.
        stack: the slices, in no order.
        doubles: slices that were left out because they equal another one.
        series_key: the same for all stacks of one DICOM series.
        blocks: how many blocks with nothing between them the DICOM series falls into; this is one of them.
    """

    uid: str
    description: str
    modality: Modality
    slices: int
    size: tuple[int, int, int]
    spacing: tuple[float, float, float]
    number: int = 1
    stack: tuple[Slice, ...] = field(default=(), repr=False, compare=False)
    blocks: int = 1
    doubles: int = 0
    series_key: tuple = field(default=(), repr=False, compare=False)

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
            f"{f'UID ...{self.uid[-12:]}' if self.uid else 'no UID'})"
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
    found = [_series(stack) for stack in group_slices(content.slices)]
    found.sort(key=lambda series: (series.stack[0].series_number, series.uid))
    numbers = [series.stack[0].series_number for series in found]
    if len(set(numbers)) < len(numbers) or min(numbers) < 1:
        numbers = list(range(1, len(found) + 1))
    return [replace(series, number=number) for number, series in zip(numbers, found, strict=True)]


def choose_series(found: Sequence[Series], wanted: str | None = None) -> Series:
    """Return the series that ``wanted`` names, or the largest CT (else the largest MR) where it is None.

    ``wanted`` is the number in the list, the UID or its end, or the description or a part of it. A UID that stands
    for several echoes or time points means the first of them.

    Raises:
        InputError: nothing or more than one series fits; the sentence lists them.
    """
    if wanted is None:
        return max(found, key=rank_series)
    text = wanted.strip().lstrip(".…")
    for fits in _criteria(text):
        fitting = [series for series in found if fits(series)]
        if len(fitting) == 1:
            return fitting[0]
        if len({series.uid for series in fitting}) == 1 and _means_first(fitting[0], text):
            return fitting[0]
        if fitting:
            raise InputError(f"'{wanted}' fits {len(fitting)} series; name one by its number: {_listed(fitting)}.")
    raise InputError(
        f"No series is called '{wanted}'; name one of these by its number, UID or description: {_listed(found)}."
    )


def _means_first(series: Series, text: str) -> bool:
    """Return whether ``text`` is a UID and stands for echoes or time points, of which the first is taken."""
    return bool(text) and series.uid.endswith(text) and series.blocks == 1


def _criteria(text: str) -> Iterable[Callable[[Series], bool]]:
    folded = text.casefold()
    yield lambda series: bool(text) and series.uid == text
    yield lambda series: str(series.number) == text
    if text:
        yield lambda series: series.description.casefold() == folded
        yield lambda series: series.uid.endswith(text)
        yield lambda series: folded in series.description.casefold()


def rank_series(series: Series) -> tuple[bool, bool, int, bool, int]:
    """Return what :func:`choose_series` compares: a stack of slices, CT, the number of voxels, an original image."""
    voxels = series.size[0] * series.size[1] * series.size[2]
    return series.slices > 1, series.modality == "CT", voxels, series.stack[0].original, -series.number


def _listed(found: Sequence[Series]) -> str:
    more = f"; and {len(found) - MOST_SERIES_NAMED} more" if len(found) > MOST_SERIES_NAMED else ""
    return "; ".join(map(str, found[:MOST_SERIES_NAMED])) + more


def _series(stack: Stack) -> Series:
    first = stack.slices[0]
    along = np.sort(measure_positions_mm(stack.slices))
    distances = np.diff(along)
    apart = distances[distances > SAME_POSITION_MM]
    gap_mm = float(np.median(apart)) if len(apart) else 0.0
    if len(along) > 2 and is_even(stack.slices) and not has_repeats(stack.slices):
        gap_mm = fit_distance_mm(along)[0]
    return Series(
        uid=first.series_uid,
        description=", ".join(filter(None, (first.description, stack.told_by))),
        modality=first.modality,
        slices=len(stack.slices),
        size=(*first.size, len(stack.slices)),
        spacing=(*first.spacing, round(gap_mm, 4)),
        stack=tuple(stack.slices),
        blocks=stack.blocks,
        doubles=stack.doubles,
        series_key=stack.series_key,
    )
