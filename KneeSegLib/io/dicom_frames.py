"""What compressed frames say of themselves, held against the header of their file before a decoder trusts them."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from pathlib import Path

import pydicom
from pydicom.encaps import generate_frames

_TAGS = ["Rows", "Columns", "NumberOfFrames", "PixelData"]
_ALONE = {0x01, 0xFF, *range(0xD0, 0xD9)}
"""Markers of JPEG that no segment follows: of restarts, of the image's beginning, and filling."""
_TABLES = {0xC4, 0xC8, 0xCC}
"""Markers between 0xC0 and 0xCF that begin no frame."""
_JPEG_LS_FRAME = 0xF7
_JPEG_2000_START = b"\xff\x4f\xff\x51"

_Size = tuple[int, int, int]
"""Columns, rows, components."""


def describe_odd_frame(path: Path) -> str | None:
    """Return what the compressed pixels of a file claim that its header does not; None where nothing is odd.

    A decoder takes memory for what they claim: 65535 x 65535 pixels in a file of some kB.
    """
    try:
        dataset = pydicom.dcmread(path, force=True, specific_tags=_TAGS)
        measure = _choose_measure(str(dataset.file_meta.TransferSyntaxUID))
        expected = (int(dataset.Columns), int(dataset.Rows), 1)
        frames = int(dataset.get("NumberOfFrames") or 1)
        found = [measure(frame) for frame in generate_frames(dataset.PixelData, number_of_frames=frames)]
    except Exception:  # a damaged file raises anything: the decoder tells what can be told of it
        return None
    odd = next((size for size in found if size not in (None, expected)), None)
    return (
        None
        if odd is None
        else f"its compressed pixels are {_describe(odd)}, and its header says {_describe(expected)}"
    )


def _choose_measure(syntax: str) -> Callable[[bytes], _Size | None]:
    if re.fullmatch(r"1\.2\.840\.10008\.1\.2\.4\.([56]\d|70|8[01])", syntax):
        return _measure_jpeg
    if re.fullmatch(r"1\.2\.840\.10008\.1\.2\.4\.(9[0-3]|20[1-3])", syntax):
        return _measure_jpeg_2000
    return lambda frame: None  # RLE says no sizes


def _measure_jpeg(frame: bytes) -> _Size | None:
    """Return the size that the frame header of a JPEG or JPEG-LS says; None where there is none."""
    at = 0
    while at + 9 < len(frame):
        if frame[at] != 0xFF or frame[at + 1] in _ALONE:
            at += 1 if frame[at] != 0xFF or frame[at + 1] == 0xFF else 2
            continue
        marker = frame[at + 1]
        if marker == _JPEG_LS_FRAME or (0xC0 <= marker <= 0xCF and marker not in _TABLES):
            rows, columns, components = struct.unpack_from(">HHB", frame, at + 5)
            return columns, rows, components
        (length,) = struct.unpack_from(">H", frame, at + 2)
        at += 2 + length
    return None


def _measure_jpeg_2000(frame: bytes) -> _Size | None:
    """Return the size that a JPEG 2000 says, also within the boxes of a file of its own."""
    at = frame.find(_JPEG_2000_START)
    if at < 0 or at + 42 > len(frame):
        return None
    right, bottom, left, top = struct.unpack_from(">4I", frame, at + 8)
    (components,) = struct.unpack_from(">H", frame, at + 40)
    return right - left, bottom - top, components


def _describe(size: _Size) -> str:
    columns, rows, components = size
    return f"{columns} x {rows}" + (f" in {components} components" if components != 1 else "")
