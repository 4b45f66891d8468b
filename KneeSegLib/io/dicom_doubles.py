"""Slices that a folder holds twice: copies are left out, where they equal each other in every pixel."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pydicom

from KneeSegLib.io.decoder import digest_files, digest_values
from KneeSegLib.io.dicom_frames import describe_odd_frame
from KneeSegLib.io.dicom_native import describe_files, list_files, read_native_frames, rescale
from KneeSegLib.io.dicom_slice import Slice
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
    groups = [sorted(planes, key=lambda plane: plane.cut_short) for planes in alike.values() if len(planes) > 1]
    pixels.decode([plane for planes in groups if _differ_as_stored(planes, pixels) for plane in planes])
    dropped: set[tuple[Path, int | None]] = set()
    for planes in groups:
        dropped |= _find_copies(planes, pixels)
    return [plane for plane in stack if (plane.path, plane.frame) not in dropped], len(dropped)


def _differ_as_stored(planes: Sequence[Slice], pixels: _Pixels) -> bool:
    return len({pixels.stored(plane) for plane in planes if not plane.cut_short}) > 1


def _find_copies(planes: Sequence[Slice], pixels: _Pixels) -> set[tuple[Path, int | None]]:
    """Return the file and frame of each slice whose pixels are those of an earlier one; damaged ones are last."""
    copies: set[tuple[Path, int | None]] = set()
    stored: set[tuple[int | None, bytes]] = set()
    decoded: set[str] = set()
    for plane in planes:
        is_copy = (plane.cut_short and bool(stored)) or pixels.stored(plane) in stored
        is_copy = is_copy or pixels.decoded(plane) in decoded
        if is_copy:
            copies.add((plane.path, plane.frame))
        else:
            stored.add(pixels.stored(plane))
            decoded |= {pixels.decoded(plane)} - {""}
    return copies


def _header_key(plane: Slice) -> tuple:
    """What copies have in common, also where an anonymiser or an export gave each a name of its own."""
    place = tuple(round(value / SAME_POSITION_MM) for value in plane.position)
    named = {"path": _NOWHERE, "frame": None, "instance_number": 0, "acquired_s": 0.0, "cut_short": False}
    plain = replace(plane, position=place, variant={}, **named)
    return plain, tuple(sorted(plane.variant.items()))


class _Pixels:
    """The pixels of slices, by which copies are known; a file is read once, and decoded once where that is needed."""

    def __init__(self) -> None:
        self._stored: dict[Path, bytes] = {}
        self._decoded: dict[Path, list[str]] = {}

    def stored(self, plane: Slice) -> tuple[int | None, bytes]:
        """Return the frame's number and a digest of what its file stores."""
        if plane.path not in self._stored:
            try:
                stored = pydicom.dcmread(plane.path, force=True, specific_tags=["PixelData"]).PixelData
            except Exception:  # cut short, or gone: reading the series says which file cannot be decoded
                stored = str(plane.path).encode("utf-8", "surrogateescape")
            self._stored[plane.path] = sha256(stored).digest()
        return plane.frame, self._stored[plane.path]

    def decode(self, stack: Sequence[Slice]) -> None:
        """Decode the files of slices, all at once, since those that are compressed take another process."""
        packed: list[Path] = []
        for path, numbers in list_files(stack).items():
            frames = read_native_frames(path)
            if frames is None or stack[numbers[0]].low_is_white:  # which the decoder inverts
                packed.append(path)
                continue
            self._decoded[path] = digest_values(rescale(frames, stack[numbers[0]]))
        packed = [path for path in packed if describe_odd_frame(path) is None]
        if packed:
            self._decoded.update(zip(packed, digest_files(describe_files(packed, stack)), strict=True))

    def decoded(self, plane: Slice) -> str:
        """Return a digest of the frame's values; empty where they were not or cannot be decoded."""
        digests, number = self._decoded.get(plane.path, []), plane.frame or 0
        return digests[number] if number < len(digests) else ""
