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
    pixels = _PixelComparison()
    dropped = set()
    for planes in alike.values():
        kept: list[Slice] = []
        for plane in sorted(planes, key=lambda plane: plane.cut_short):
            damaged = plane.cut_short and bool(kept)
            if damaged or any(pixels.are_equal(plane, other) for other in kept):
                dropped.add((plane.path, plane.frame))
            else:
                kept.append(plane)
    return [plane for plane in stack if (plane.path, plane.frame) not in dropped], len(dropped)


def _header_key(plane: Slice) -> tuple:
    """What copies have in common, also where an anonymiser or an export gave each a name of its own."""
    place = tuple(round(value / SAME_POSITION_MM) for value in plane.position)
    plain = replace(plane, path=_NOWHERE, frame=None, position=place, variant={}, instance_number=0, cut_short=False)
    return plain, tuple(sorted(plane.variant.items()))


class _PixelComparison:
    """Compares the pixels of slices; a file is read once."""

    def __init__(self) -> None:
        self._digests: dict[Path, bytes] = {}

    def are_equal(self, one: Slice, other: Slice) -> bool:
        if one.frame == other.frame and self._digest(one.path) == self._digest(other.path):
            return True
        try:
            return np.array_equal(_decode(one), _decode(other))
        except RuntimeError:  # reading the series says which file cannot be decoded
            return False

    def _digest(self, path: Path) -> bytes:
        if path not in self._digests:
            try:
                stored = pydicom.dcmread(path, force=True, specific_tags=["PixelData"]).PixelData
            except Exception:  # cut short, or gone: as above
                stored = str(path).encode("utf-8", "surrogateescape")
            self._digests[path] = sha256(stored).digest()
        return self._digests[path]


def _decode(plane: Slice) -> np.ndarray:
    with encodable_paths([plane.path]) as (path,):
        array = sitk.GetArrayFromImage(sitk.ReadImage(str(path), imageIO="GDCMImageIO"))
    return array[plane.frame or 0]
