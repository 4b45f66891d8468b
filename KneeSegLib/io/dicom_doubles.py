"""Slices that a folder holds twice: copies are left out, where they equal each other in every pixel."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import numpy as np
import pydicom
import SimpleITK as sitk

from KneeSegLib.io.dicom_slice import Slice
from KneeSegLib.io.image_formats import encodable_paths
from KneeSegLib.io.settings import SAME_POSITION_MM

_NOWHERE = Path()


def drop_doubles(stack: Sequence[Slice]) -> tuple[list[Slice], int]:
    """Return the slices without those that equal another one in position, tags and pixels; and how many those were.

    A copy that is cut short gives way to a whole one.

    Only slices whose headers say the same are opened. Slices of one position that differ stay: what tells them apart is
    sought elsewhere.
    """
    alike: dict[tuple, list[Slice]] = defaultdict(list)
    for plane in stack:
        alike[_header_key(plane)].append(plane)
    if len(alike) == len(stack):
        return list(stack), 0
    pixels = _Pixels()
    dropped = set()
    for planes in alike.values():
        if len(planes) > 1:
            dropped |= _find_copies(sorted(planes, key=lambda plane: plane.cut_short), pixels)
    return [plane for plane in stack if (plane.path, plane.frame) not in dropped], len(dropped)


def _find_copies(planes: Sequence[Slice], pixels: _Pixels) -> set[tuple[Path, int | None]]:
    """Return the file and frame of each slice whose pixels are those of an earlier one; damaged ones are last."""
    copies: set[tuple[Path, int | None]] = set()
    stored: set[tuple[int | None, bytes]] = set()
    waiting: list[Slice] = []  # not decoded as long as what is stored tells enough
    decoded: set[bytes | None] = set()
    for plane in planes:
        is_copy = (plane.cut_short and bool(stored)) or pixels.stored(plane) in stored
        if not is_copy and stored:
            decoded |= {pixels.decoded(other) for other in waiting} - {None}
            waiting = []
            is_copy = pixels.decoded(plane) in decoded
        if is_copy:
            copies.add((plane.path, plane.frame))
        else:
            stored.add(pixels.stored(plane))
            waiting.append(plane)
    return copies


def _header_key(plane: Slice) -> tuple:
    """What copies have in common, also where an anonymiser or an export gave each a name of its own."""
    place = tuple(round(value / SAME_POSITION_MM) for value in plane.position)
    plain = replace(plane, path=_NOWHERE, frame=None, position=place, variant={}, instance_number=0, cut_short=False)
    return plain, tuple(sorted(plane.variant.items()))


class _Pixels:
    """The pixels of slices, by which copies are known; a file is read once, and decoded once where that is needed."""

    def __init__(self) -> None:
        self._stored: dict[Path, bytes] = {}
        self._decoded: dict[Path, list[bytes]] = {}

    def stored(self, plane: Slice) -> tuple[int | None, bytes]:
        """Return the frame's number and a digest of what its file stores."""
        if plane.path not in self._stored:
            try:
                stored = pydicom.dcmread(plane.path, force=True, specific_tags=["PixelData"]).PixelData
            except Exception:  # cut short, or gone: reading the series says which file cannot be decoded
                stored = str(plane.path).encode("utf-8", "surrogateescape")
            self._stored[plane.path] = sha256(stored).digest()
        return plane.frame, self._stored[plane.path]

    def decoded(self, plane: Slice) -> bytes | None:
        """Return a digest of the frame's values; None where they cannot be decoded."""
        if plane.path not in self._decoded:
            self._decoded[plane.path] = _digest_frames(plane.path)
        digests, number = self._decoded[plane.path], plane.frame or 0
        return digests[number] if number < len(digests) else None


def _digest_frames(path: Path) -> list[bytes]:
    """Return a digest of the values of each frame; none of a file that cannot be decoded."""
    try:
        with encodable_paths([path]) as (readable,):
            frames = sitk.GetArrayFromImage(sitk.ReadImage(str(readable), imageIO="GDCMImageIO"))
    except RuntimeError:  # as above
        return []
    # As numbers of one type, since copies may store theirs in others.
    return [sha256(repr(frame.shape).encode() + frame.astype(np.float64).tobytes()).digest() for frame in frames]
