"""Which image series a DICOM folder holds, and the one that is meant."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from KneeSegLib.errors import InputError
from KneeSegLib.io.archives import unpack_study
from KneeSegLib.io.dicom_folder import FolderContent, describe_missing_slices, read_folder
from KneeSegLib.io.dicom_grid import fit_distance_mm, has_repeats, is_even, measure_positions_mm
from KneeSegLib.io.dicom_grouping import Stack, group_slices
from KneeSegLib.io.dicom_slice import Slice
from KneeSegLib.io.guarded_text import GuardedText
from KneeSegLib.io.intensities import Modality
from KneeSegLib.io.settings import LARGEST_SERIES_NUMBER, MOST_SERIES_NAMED, SAME_POSITION_MM

_PROJECTIONS = {"MIP", "MINIP"}
"""Values of ImageType."""


@dataclass(frozen=True)
class Series:
    """A stack of slices that can be read as one volume.

    One DICOM series gives several of these where it holds several orientations, echoes, image types or time points.

    Attributes:
        slices: how many there are.
        size: columns, rows, slices.
        spacing: between columns, rows and slices, in mm; the third is the median distance (0 for a single slice).
        told_by: by what it was told apart from others of its DICOM series: technical tags, places.
        described: what was typed at the scanner. It is compared with what a user types here, and shown only where
            ``keep_description`` says so.
        number: in the list that the series was found in: DICOM's series number, or counted from 1 where that does not
            tell all of them apart, or is so large that it may be a number of something else.
        stack: the slices, in no order.
        doubles: slices that were left out because they equal another one.
        series_key: the same for all stacks of one DICOM series.
        variant: the values of tags by which it was told apart from others at the same place.
        blocks: how many blocks with nothing between them the DICOM series falls into; this is one of them.
    """

    uid: str = field(repr=False)
    modality: Modality
    slices: int
    size: tuple[int, int, int]
    spacing: tuple[float, float, float]
    told_by: str = ""
    described: GuardedText = field(default=GuardedText(), repr=False)
    keep_description: bool = False
    number: int = 1
    stack: tuple[Slice, ...] = field(default=(), repr=False, compare=False)
    blocks: int = 1
    doubles: int = 0
    series_key: tuple = field(default=(), repr=False, compare=False)
    variant: tuple = field(default=(), repr=False, compare=False)

    @property
    def description(self) -> str:
        """What the series is, free of what was typed at the scanner unless that is to be kept."""
        typed = self.described.reveal() if self.keep_description else ""
        return ", ".join(filter(None, (typed, self.told_by)))

    @property
    def name(self) -> str:
        """The description, with the modality where nothing that was typed is shown."""
        if self.keep_description and self.described:
            return self.description
        return ", ".join(filter(None, (f"{self.modality} series", self.told_by)))

    @property
    def is_projection(self) -> bool:
        """Whether each image shows the brightest or darkest values of a thick slab (MIP, MinIP)."""
        image_type = self.stack[0].variant["image type"]
        return isinstance(image_type, GuardedText) and bool(_PROJECTIONS & set(image_type.shown.split("\\")))

    @property
    def key(self) -> str:
        """What stands for the UID, which leads to the patient in an archive, where a series has to be found again."""
        return f"k{hashlib.sha256(self.uid.encode()).hexdigest()[:12]}" if self.uid else ""

    def __str__(self) -> str:
        columns, rows, slices = self.size
        spacing = " x ".join(f"{length:.4g}" for length in self.spacing)
        plural = "slice" if slices == 1 else "slices"
        return (
            f"{self.number}: {self.name} ({self.modality}, {slices} {plural} of {columns} x {rows}, {spacing} mm, "
            f"{self._technical()})"
        )

    def _technical(self) -> str:
        """Return the plane of the slices, and the reconstruction kernel where it is a known one."""
        first = self.stack[0]
        plane = ("sagittal", "coronal", "axial")[int(np.argmax(np.abs(first.normal)))]
        kernel = first.variant["kernel"]
        return f"{plane}, kernel {kernel}" if isinstance(kernel, GuardedText) and kernel.shown else plane


def list_series(folder: str | Path, keep_description: bool = False) -> list[Series]:
    """Return the CT and MR series in ``folder`` and its sub-folders, in the order of their series numbers.

    Colour images, localisers, other modalities and images without a position in space are left out.
    ``keep_description`` shows what was typed at the scanner, which may name the patient.

    Raises:
        InputError: the folder does not exist, or holds no such series; the sentence names what it does hold.
    """
    with unpack_study(Path(folder)) as unpacked:
        return group_series(read_folder(unpacked, Path(folder)), keep_description)


def group_series(content: FolderContent, keep_description: bool = False) -> list[Series]:
    """Sort the slices of ``content`` into series.

    Raises:
        InputError: there are none.
    """
    if not content.slices:
        raise InputError(describe_missing_slices(content))
    found = [_series(stack, keep_description) for stack in group_slices(content.slices)]
    found.sort(key=lambda series: (series.stack[0].series_number, series.uid))
    numbers = [series.stack[0].series_number for series in found]
    if len(set(numbers)) < len(numbers) or min(numbers) < 1 or max(numbers) > LARGEST_SERIES_NUMBER:
        numbers = list(range(1, len(found) + 1))
    return [replace(series, number=number) for number, series in zip(numbers, found, strict=True)]


def choose_series(found: Sequence[Series], wanted: str | None = None) -> Series:
    """Return the series that ``wanted`` names, or the largest CT (else the largest MR) where it is None.

    ``wanted`` is the number in the list, the UID or its end, its key, or the description or a part of it. A UID that
    stands for several echoes or time points means the first of them.

    Raises:
        InputError: nothing or more than one series fits; the sentence lists them.
    """
    if wanted is None:
        return max(found, key=rank_series)
    fitting = find_fitting(found, wanted)
    if len(fitting) > 1:
        raise InputError(f"'{wanted}' fits {len(fitting)} series; name one by its number: {_listed(fitting)}.")
    return fitting[0]


def find_fitting(found: Sequence[Series], wanted: str) -> list[Series]:
    """Return the series that ``wanted`` names, as :func:`choose_series` understands it.

    Raises:
        InputError: none fits; the sentence lists what there is.
    """
    text = wanted.strip().lstrip(".…")
    for fits in _criteria(text):
        fitting = [series for series in found if fits(series)]
        if fitting and len({series.uid for series in fitting}) == 1 and _means_first(fitting[0], text):
            return fitting[:1]
        if fitting:
            return fitting
    raise InputError(f"No series is called '{wanted}'; name one of these by its number: {_listed(found)}.")


def _means_first(series: Series, text: str) -> bool:
    """Return whether ``text`` is a UID and stands for echoes or time points, of which the first is taken."""
    return bool(text) and series.uid.endswith(text) and series.blocks == 1


def _criteria(text: str) -> Iterable[Callable[[Series], bool]]:
    yield lambda series: bool(text) and text in (series.uid, series.key)
    yield lambda series: str(series.number) == text
    if text:
        yield lambda series: text.casefold() in (series.described.reveal().casefold(), _names(series).casefold())
        yield lambda series: series.uid.endswith(text)
        yield lambda series: text.casefold() in _names(series).casefold()


def _names(series: Series) -> str:
    """Return all that a user may know a series by, to compare it with what was typed."""
    return ", ".join(filter(None, (series.described.reveal(), series.told_by)))


def rank_series(series: Series) -> tuple[bool, bool, bool, int, bool, int]:
    """Return what :func:`choose_series` compares: a stack of slices, no projections, CT, the number of voxels, an
    original image."""
    voxels = series.size[0] * series.size[1] * series.size[2]
    is_stack, is_ct = series.slices > 1, series.modality == "CT"
    return is_stack, not series.is_projection, is_ct, voxels, series.stack[0].original, -series.number


def _listed(found: Sequence[Series]) -> str:
    more = f"; and {len(found) - MOST_SERIES_NAMED} more" if len(found) > MOST_SERIES_NAMED else ""
    return "; ".join(map(str, found[:MOST_SERIES_NAMED])) + more


def _series(stack: Stack, keep_description: bool) -> Series:
    first = stack.slices[0]
    along = np.sort(measure_positions_mm(stack.slices))
    distances = np.diff(along)
    apart = distances[distances > SAME_POSITION_MM]
    gap_mm = float(np.median(apart)) if len(apart) else 0.0
    if len(along) > 2 and is_even(stack.slices) and not has_repeats(stack.slices):
        gap_mm = fit_distance_mm(along)[0]
    return Series(
        uid=first.series_uid,
        modality=first.modality,
        slices=len(stack.slices),
        size=(*first.size, len(stack.slices)),
        spacing=(*first.spacing, round(gap_mm, 4)),
        told_by=stack.told_by,
        described=first.description,
        keep_description=keep_description,
        stack=tuple(stack.slices),
        blocks=stack.blocks,
        doubles=stack.doubles,
        series_key=stack.series_key,
        variant=stack.variant,
    )
