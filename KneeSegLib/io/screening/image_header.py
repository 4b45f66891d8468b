"""What our own code reads of an image's header, and what every format's header has to keep to."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Literal

import numpy as np

from KneeSegLib.errors import InputError
from KneeSegLib.io.image_formats import shown_name
from KneeSegLib.io.screening.settings import (
    DEFLATE_RATIO,
    FARTHEST_MM,
    LARGEST_AXIS,
    LARGEST_SPACING_MM,
    MOST_AXES,
    SMALLEST_SPACING_MM,
)

Packing = Literal["none", "gzip", "zlib", "text"]


@dataclass(frozen=True)
class Voxels:
    """Where the voxels of an image are stored.

    Attributes:
        path: of the file.
        start: byte at which they, or the compressed stream with them, begin.
        stored_bytes: of the file from there on, or of the stream where the header says how long it is.
        packing: how they are stored; ``"text"`` are numbers written out.
        before: unpacked bytes that precede them within a compressed stream, the header of a NIfTI.
    """

    path: Path
    start: int
    stored_bytes: int
    packing: Packing
    before: bytes = b""


@dataclass(frozen=True)
class ImageHeader:
    """A header that was found sound.

    Attributes:
        path: of the image, for messages.
        size: voxels along each axis, of components too.
        value_type: of one value as stored.
        spacing_mm: of the axes that lie in space, in the file's order; empty where the file does not say it.
        replaces_nan: whether the reader puts 0 where a voxel is no number, without a word.
    """

    path: Path
    size: tuple[int, ...]
    value_type: np.dtype
    spacing_mm: tuple[float, ...]
    voxels: Voxels
    replaces_nan: bool = False

    @property
    def values(self) -> int:
        """How many values there are."""
        return prod(self.size)

    @property
    def value_bytes(self) -> int:
        """Bytes that they take unpacked."""
        return self.values * self.value_type.itemsize


def damaged(path: Path, finding: str) -> InputError:
    """Return the error of a file that is not what its format asks for."""
    return InputError(f"{shown_name(path)} is damaged ({finding}); copy or export it again.")


def require_sound_header(header: ImageHeader) -> ImageHeader:
    """Return ``header``; raise where it claims what cannot be.

    Raises:
        InputError: sizes that are none or that the file has no room for, or a spacing that is none.
    """
    path, voxels = header.path, header.voxels
    if not 1 <= len(header.size) <= MOST_AXES + 1:
        raise damaged(path, f"it says that it has {len(header.size)} axes")
    if any(not 1 <= count <= LARGEST_AXIS for count in header.size):
        raise damaged(path, f"it says that it has {' x '.join(map(str, header.size))} voxels")
    require_spacing(header.spacing_mm, path)
    needed = header.value_bytes
    if voxels.packing == "none":
        if needed > voxels.stored_bytes:
            raise cut_short(path, needed, voxels.stored_bytes)
    elif voxels.packing == "text":
        if 2 * header.values - 1 > voxels.stored_bytes:
            raise cut_short(path, needed, voxels.stored_bytes)
    elif needed > DEFLATE_RATIO * voxels.stored_bytes:
        raise cut_short(path, needed, voxels.stored_bytes)
    return header


def require_spacing(spacing_mm: Sequence[float], path: Path) -> None:
    """Raise unless each distance of voxels is a number that the image of a body part can have."""
    if not all(SMALLEST_SPACING_MM <= length <= LARGEST_SPACING_MM for length in spacing_mm):
        found = " x ".join(f"{length:g}" for length in spacing_mm)
        raise InputError(
            f"The voxels of {shown_name(path)} measure {found} mm, expected a positive size in mm between "
            f"{SMALLEST_SPACING_MM:g} and {LARGEST_SPACING_MM:g}; correct the header."
        )


def require_place(position_mm: Sequence[float], path: Path) -> None:
    """Raise unless each coordinate is a number and near enough to be a patient's."""
    if not all(abs(value) <= FARTHEST_MM for value in position_mm):
        found = ", ".join(f"{value:g}" for value in position_mm)
        raise InputError(
            f"{shown_name(path)} says that it lies at {found} mm, expected a place in the scanner; correct the header."
        )


def parse_numbers(text: str, path: Path, field: str) -> list[float]:
    """Return the numbers of a header's field, as they stand there: also NaN and infinity, which others refuse.

    Raises:
        InputError: a word that is no number.
    """
    try:
        return [float(word) for word in text.split()]
    except ValueError:
        raise damaged(path, f"its field {field} is {text[:60]!r} instead of numbers") from None


def parse_counts(text: str, path: Path, field: str) -> list[int]:
    """Return the whole numbers of a header's field.

    Raises:
        InputError: a word that is none, or one of more than 18 digits.
    """
    words = text.split()
    if not words or not all(word.lstrip("+-").isascii() and word.lstrip("+-").isdigit() for word in words):
        raise damaged(path, f"its field {field} is {text[:60]!r} instead of whole numbers")
    if any(len(word) > 18 for word in words):
        raise damaged(path, f"its field {field} is {text[:60]!r}, which nothing can be")
    return [int(word) for word in words]


def are_finite(numbers: Sequence[float]) -> bool:
    """Return whether all are numbers."""
    return all(map(math.isfinite, numbers))


def cut_short(path: Path, needed: int, stored: int) -> InputError:
    """Return the error of a file that has no room for what its header promises."""
    return InputError(
        f"{shown_name(path)} is cut short, or its header is damaged: expected {needed} bytes of image, and {stored} "
        "are stored; copy or export it again."
    )
