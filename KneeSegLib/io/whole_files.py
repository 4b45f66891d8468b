"""Files that end before their image does, or whose voxels have no size: some readers fill in the rest, silently."""

from __future__ import annotations

import gzip
import os
import re
import struct
from collections.abc import Mapping
from math import prod
from pathlib import Path

import numpy as np

from KneeSegLib.errors import InputError

_META_HEADER_BYTES = 1 << 16
"""More than any header of a MetaImage."""
_META_BYTES = {"CHAR": 1, "UCHAR": 1, "SHORT": 2, "USHORT": 2, "INT": 4, "UINT": 4, "FLOAT": 4, "DOUBLE": 8}


def require_whole_file(path: Path) -> None:
    """Check that a NIfTI or MetaImage file is as long as its header says; other formats are left to their readers.

    Raises:
        InputError: it is not, or the voxels of a NIfTI file have no size.
    """
    if path.name.lower().endswith((".nii", ".nii.gz")):
        _require_whole_nifti(path)
    elif path.suffix.lower() == ".mha":
        _require_whole_metaimage(path)


def _require_whole_metaimage(path: Path) -> None:
    """Check length. Layout: https://itk.org/Wiki/ITK/MetaIO/Documentation; the image follows the header's last line."""
    with open(path, "rb") as file:
        start = file.read(_META_HEADER_BYTES)
    last = re.search(rb"^ElementDataFile *= *LOCAL *\r?\n", start, re.MULTILINE)
    if last is None:
        return  # no MetaImage in one file: the reader says what it is
    lines = (line.partition("=") for line in start[: last.start()].decode("latin-1").splitlines())
    header = {key.strip(): value.strip() for key, _, value in lines}
    try:
        expected = _meta_image_bytes(header)
    except ValueError:
        return  # no number where one belongs: the reader refuses it
    if path.stat().st_size < last.end() + expected:
        raise _cut_short(path, last.end() + expected)


def _meta_image_bytes(header: Mapping[str, str]) -> int:
    """Return how many bytes the image takes in its file."""
    if header.get("CompressedData", "").lower() == "true":
        return int(header.get("CompressedDataSize", 0))
    voxels = prod(int(count) for count in header.get("DimSize", "0").split())
    value_bytes = _META_BYTES.get(header.get("ElementType", "").removeprefix("MET_"), 0)
    return voxels * int(header.get("ElementNumberOfChannels", 1)) * value_bytes


def _cut_short(path: Path, expected: int) -> InputError:
    return InputError(f"{path.name} is cut short, expected {expected} bytes of image; copy or export it again.")


def _require_whole_nifti(path: Path) -> None:
    """Check length and voxel size. Layout: NIfTI-1 (348-byte header), NIfTI-2 (540), https://nifti.nimh.nih.gov."""
    try:
        with gzip.open(path, "rb") if _is_gzip(path) else open(path, "rb") as file:
            header = file.read(540)
    except EOFError as error:
        raise InputError(f"{path.name} is cut short within its header; copy or export it again.") from error
    order, version = next(
        (
            (order, version)
            for order in "<>"
            for size, version in ((348, 1), (540, 2))
            if header[:4] == struct.pack(order + "i", size)
        ),
        ("", 0),
    )
    if not version:
        return
    dims = struct.unpack_from(order + ("8h" if version == 1 else "8q"), header, 40 if version == 1 else 16)
    bits = struct.unpack_from(order + "h", header, 72 if version == 1 else 14)[0]
    spacing = struct.unpack_from(order + ("8f" if version == 1 else "8d"), header, 76 if version == 1 else 104)[1:4]
    start = int(struct.unpack_from(order + ("f" if version == 1 else "q"), header, 108 if version == 1 else 168)[0])
    if any(not np.isfinite(length) or length == 0 for length in spacing):
        raise InputError(
            f"The voxels of {path.name} measure {' x '.join(f'{length:g}' for length in spacing)} mm, "
            "expected a positive size; correct the header."
        )
    expected = start + int(np.prod(dims[1 : dims[0] + 1], dtype=np.int64)) * bits // 8
    if _unpacked_size_is_less(path, expected):
        raise _cut_short(path, expected)


def _is_gzip(path: Path) -> bool:
    with open(path, "rb") as file:
        return file.read(2) == b"\x1f\x8b"


def _unpacked_size_is_less(path: Path, expected: int) -> bool:
    if not _is_gzip(path):
        return path.stat().st_size < expected
    with open(path, "rb") as file:
        file.seek(-4, os.SEEK_END)
        recorded = struct.unpack("<I", file.read(4))[0]
    if recorded == expected % 2**32:  # the last four bytes of a whole file are its unpacked size
        return False
    try:  # anything else has to be unpacked to be known
        with gzip.open(path, "rb") as file:
            unpacked = 0
            while block := file.read(1 << 22):
                unpacked += len(block)
    except (EOFError, OSError):
        return True
    return unpacked < expected
