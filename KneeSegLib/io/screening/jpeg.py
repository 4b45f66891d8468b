"""The size that the header of a JPEG, JPEG-LS or JPEG 2000 stream says."""

from __future__ import annotations

import struct

Size = tuple[int, int, int]
"""Columns, rows, components."""

_ALONE = {0x01, 0xFF, *range(0xD0, 0xD9)}
"""Markers of JPEG that no segment follows: of restarts, of the image's beginning, and filling."""
_TABLES = {0xC4, 0xC8, 0xCC}
"""Markers between 0xC0 and 0xCF that begin no frame."""
_JPEG_LS_FRAME = 0xF7
_JPEG_2000_START = b"\xff\x4f\xff\x51"


def measure_jpeg(frame: bytes) -> Size | None:
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


def measure_jpeg_2000(frame: bytes) -> Size | None:
    """Return the size that a JPEG 2000 says, also within the boxes of a file of its own."""
    at = frame.find(_JPEG_2000_START)
    if at < 0 or at + 42 > len(frame):
        return None
    right, bottom, left, top = struct.unpack_from(">4I", frame, at + 8)
    (components,) = struct.unpack_from(">H", frame, at + 40)
    return right - left, bottom - top, components
