"""Headers of NIfTI files, of version 1 (348 bytes) and 2 (540 bytes): https://nifti.nimh.nih.gov."""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from KneeSegLib.errors import InputError
from KneeSegLib.io.image_formats import shown_name
from KneeSegLib.io.screening.image_header import (
    ImageHeader,
    Voxels,
    are_finite,
    damaged,
    require_place,
    require_sound_header,
    require_spacing,
)
from KneeSegLib.io.screening.regular_files import require_regular_file
from KneeSegLib.io.screening.settings import MOST_AXES, MOST_HEADER_BYTES

_TYPES = {
    2: "u1", 4: "i2", 8: "i4", 16: "f4", 32: "c8", 64: "f8", 128: "V3", 256: "i1", 512: "u2", 768: "u4",
    1024: "i8", 1280: "u8", 1792: "c16", 2304: "V4",
}  # fmt: skip
_MM_OF_UNIT = {1: 1000.0, 3: 0.001}
"""Metres and micrometres; everything else, and what is not said, is mm."""
_PAIRS = {".hdr": ".img", ".img": ".hdr"}
_GZIP = b"\x1f\x8b"


@dataclass(frozen=True)
class _Layout:
    """Where the fields of a version are: byte, and how ``struct`` names what is there."""

    length: int
    dim: tuple[int, str]
    datatype: tuple[int, str]
    pixdim: tuple[int, str]
    voxel_start: tuple[int, str]
    scaling: tuple[int, str]
    codes: tuple[int, str]
    quaternion: tuple[int, str]
    rows: tuple[int, str]
    units: tuple[int, str]
    magic: int


_FIRST = _Layout(
    348, (40, "8h"), (70, "2h"), (76, "8f"), (108, "f"), (112, "2f"), (252, "2h"), (256, "6f"), (280, "12f"),
    (123, "b"), 344,
)  # fmt: skip
_SECOND = _Layout(
    540, (16, "8q"), (12, "2h"), (104, "8d"), (168, "q"), (176, "2d"), (344, "2i"), (352, "6d"), (400, "12d"),
    (500, "i"), 4,
)  # fmt: skip


@dataclass(frozen=True)
class NiftiHeader:
    """The bytes of a header, and how they are laid out; ``file`` holds them."""

    file: Path
    start: bytes
    order: Literal["<", ">"]
    layout: _Layout

    def get(self, field: tuple[int, str]) -> tuple[float, ...]:
        """Return the numbers of a field of the layout."""
        return struct.unpack_from(self.order + field[1], self.start, field[0])

    @property
    def is_nifti(self) -> bool:
        """Whether it is a NIfTI and not an Analyze file, which holds no placing."""
        return self.start[self.layout.magic : self.layout.magic + 3] in (b"n+1", b"n+2", b"ni1", b"ni2")

    @property
    def unit_mm(self) -> float:
        """How many mm a unit of its lengths is."""
        return _MM_OF_UNIT.get(int(self.get(self.layout.units)[0]) & 7, 1.0) if self.is_nifti else 1.0


def read_nifti_header(path: Path) -> NiftiHeader:
    """Return the header of a NIfTI or Analyze file; ``path`` may be that of its voxels (``.img``).

    Raises:
        InputError: it is cut short, or lies in another file that is missing.
    """
    file = path if not _is_voxel_file(path) else _find_partner(path)
    start = _read_start(file)
    return NiftiHeader(file, start, *_recognise(start, path))


def screen_nifti(path: Path) -> ImageHeader:
    """Return what the header of a NIfTI (or Analyze) file says; ``path`` may be that of its voxels (``.img``).

    Raises:
        InputError: it is damaged, the other one of two files is missing, or it claims what cannot be.
    """
    found = read_nifti_header(path)
    start, order, layout, get = found.start, found.order, found.layout, found.get
    dims = [int(count) for count in get(layout.dim)]
    if not 1 <= dims[0] <= MOST_AXES:
        raise damaged(path, f"it says that it has {dims[0]} axes")
    size = dims[1 : dims[0] + 1]
    code, bits = (int(number) for number in get(layout.datatype))
    value_type = np.dtype(_TYPES.get(code, "V1"))
    if code not in _TYPES or bits != 8 * value_type.itemsize:
        raise damaged(path, f"its header names the data type {code} of {bits} bits, which no image has")
    in_one_file = start[layout.magic : layout.magic + 3] in (b"n+1", b"n+2")
    spacing = get(layout.pixdim)[1 : min(dims[0], 3) + 1]
    require_spacing([abs(length) * found.unit_mm for length in spacing], path)
    if found.is_nifti:
        _require_sound_placing(found, path)
        _require_sound_scaling(get(layout.scaling), path)
    begin = get(layout.voxel_start)[0]
    if not (math.isfinite(begin) and 0 <= begin <= MOST_HEADER_BYTES) or (in_one_file and begin < layout.length + 4):
        raise damaged(path, f"it says that its voxels begin at byte {begin:g}")
    if in_one_file:
        _require_sound_extensions(start, order, layout.length, int(begin), path)
    voxel_file = found.file if in_one_file else _find_partner(found.file)
    header = ImageHeader(
        path,
        tuple(size),
        value_type.newbyteorder(order),
        (),  # readers take it from the header's other placings, too, of which none can be without a number
        _describe_voxels(voxel_file, start if in_one_file else b"", int(begin)),
        replaces_nan=value_type.kind == "f",
    )
    return require_sound_header(header)


def is_gzip(path: Path) -> bool:
    """Return whether a file begins as a gzip stream does."""
    with open(path, "rb") as file:
        return file.read(2) == _GZIP


def _is_voxel_file(path: Path) -> bool:
    return path.name.lower().removesuffix(".gz").endswith(".img")


def _find_partner(path: Path) -> Path:
    """Return the file of the voxels to a header, or the header to these: same name, other ending."""
    stem = path.name[: -len(".gz")] if path.name.lower().endswith(".gz") else path.name
    ending = _PAIRS.get(stem[-4:].lower())
    if ending is None:
        raise damaged(path, "it is the header of two files and is not called .hdr")
    written = ending.upper() if stem[-4:].isupper() else ending
    candidates = [path.with_name(stem[:-4] + written + packed) for packed in ("", ".gz")]
    for candidate in candidates:
        if candidate.exists():
            require_regular_file(candidate)
            return candidate
    raise InputError(
        f"{shown_name(path)} is one of two files, and {shown_name(candidates[0])} is not beside it; put it there, or "
        "save the image as one file, .nii.gz."
    )


def _read_start(path: Path) -> bytes:
    """Return the first bytes, unpacked, as many as a header with its extensions may have."""
    with open(path, "rb") as file:
        start = file.read(MOST_HEADER_BYTES)
    if not start.startswith(_GZIP):
        return start
    try:
        return zlib.decompressobj(wbits=31).decompress(start, MOST_HEADER_BYTES)  # also of one that is cut short
    except zlib.error as error:
        raise damaged(path, f"it does not unpack: {error}") from None


def _recognise(start: bytes, path: Path) -> tuple[Literal["<", ">"], _Layout]:
    orders: tuple[Literal["<", ">"], ...] = ("<", ">")
    for order in orders:
        for layout in (_FIRST, _SECOND):
            if start[:4] == struct.pack(order + "i", layout.length) and len(start) >= layout.length:
                return order, layout
    raise InputError(f"{shown_name(path)} is cut short within its header; copy or export it again.")


def _require_sound_placing(header: NiftiHeader, path: Path) -> None:
    """Raise where one of the two placings that the header may hold is named valid and is no placing."""
    by_quaternion, by_rows = header.get(header.layout.codes)
    if by_quaternion:
        quaternion = header.get(header.layout.quaternion)
        if not are_finite(quaternion) or sum(value * value for value in quaternion[:3]) > 1.01:
            raise damaged(path, "its orientation (quatern_b, c, d, qoffset) is not made of numbers that can be one")
        require_place([length * header.unit_mm for length in quaternion[3:]], path)
    if by_rows:
        matrix = np.array(header.get(header.layout.rows), float).reshape(3, 4)
        if not np.isfinite(matrix).all() or not np.abs(matrix[:, :3]).sum(axis=0).all():
            raise damaged(path, "its orientation (srow_x, srow_y, srow_z) is not made of numbers that can be one")
        require_place((matrix[:, 3] * header.unit_mm).tolist(), path)


def _require_sound_scaling(scaling: Sequence[float], path: Path) -> None:
    """NaN stands for no scaling, as nibabel writes it."""
    if any(math.isinf(number) for number in scaling):
        raise damaged(path, f"its values are scaled by {scaling[0]:g} and {scaling[1]:g}")


def _require_sound_extensions(start: bytes, order: str, length: int, begin: int, path: Path) -> None:
    """Raise where the comments between header and voxels are not as long as they say: readers follow their lengths."""
    if start[length : length + 1] in (b"", b"\0"):
        return
    place = length + 4
    while place + 8 <= begin:
        (size,) = struct.unpack_from(order + "i", start, place) if place + 4 <= len(start) else (0,)
        if size < 16 or size % 16 or place + size > begin:
            raise damaged(path, f"a comment in its header has {size} bytes")
        place += size


def _describe_voxels(file: Path, start: bytes, begin: int) -> Voxels:
    stored = file.stat().st_size
    if is_gzip(file):
        return Voxels(file, 0, stored, "gzip", start[:begin])
    return Voxels(file, begin, max(stored - begin, 0), "none")
