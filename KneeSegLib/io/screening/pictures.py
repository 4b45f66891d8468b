"""Headers of pictures (PNG, TIFF, BMP, JPEG), by which their size is known before a library takes memory for it."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Literal

from KneeSegLib.io.screening.jpeg import measure_jpeg
from KneeSegLib.io.screening.settings import DEFLATE_RATIO, LARGE_SLICE_PIXELS, PICTURE_RATIO

Reader = Literal["PNGImageIO", "TIFFImageIO", "BMPImageIO", "JPEGImageIO"]

_TIFF_SHORT = 3
_GREY_AND_ALPHA = 4


class OddPictureError(Exception):
    """A picture that is damaged, or is none."""


@dataclass(frozen=True)
class Picture:
    """What the header of a picture says.

    Attributes:
        reader: of ITK for its format.
        columns, rows: of pixels.
        images: that the file holds; no more than two are counted.
        has_transparency: whether grey values have an alpha beside them, which ITK does not read.
    """

    reader: Reader
    columns: int
    rows: int
    images: int = 1
    has_transparency: bool = False


def screen_picture(path: Path) -> Picture:
    """Return what the header of a picture says, whose format is told by its contents.

    Raises:
        OddPictureError: it is none, damaged, or claims more pixels than it has room for.
    """
    content = path.read_bytes()
    screen = next((screen for start, screen in _SCREENINGS.items() if content.startswith(start)), None)
    if screen is None:
        raise OddPictureError("it begins like no picture")
    try:
        picture = screen(content)
    except (struct.error, KeyError) as error:
        raise OddPictureError("it is cut short") from error
    if min(picture.columns, picture.rows) < 1 or picture.columns * picture.rows > count_plausible_pixels(content):
        raise OddPictureError(f"it says that it has {picture.columns} x {picture.rows} pixels")
    return picture


def count_plausible_pixels(stored: bytes) -> int:
    """Return how many pixels compressed bytes may be."""
    return max(LARGE_SLICE_PIXELS, PICTURE_RATIO * len(stored))


def _screen_png(content: bytes) -> Picture:
    """Walk through the chunks, each of which has a checksum."""
    _require(content[12:16] == b"IHDR", "it has no header")
    columns, rows, depth, colour = struct.unpack_from(">IIBB", content, 16)
    channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}.get(colour, 0)
    at, packed, kind = 8, 0, b""
    while kind != b"IEND":
        length, kind = struct.unpack_from(">I4s", content, at)
        (checksum,) = struct.unpack_from(">I", content, at + 8 + length)
        _require(zlib.crc32(content[at + 4 : at + 8 + length]) == checksum, "a checksum in it is wrong")
        packed += length if kind == b"IDAT" else 0
        at += 12 + length
    needed = rows * (1 + ceil(columns * channels * depth / 8))
    _require(channels > 0 and needed <= DEFLATE_RATIO * packed, f"it says that it has {columns} x {rows} pixels")
    return Picture("PNGImageIO", columns, rows, has_transparency=colour == _GREY_AND_ALPHA)


def _screen_tiff(content: bytes) -> Picture:
    """Read the first directory."""
    order = "<" if content[:2] == b"II" else ">"
    is_big = content[2:4] in (b"+\0", b"\0+")
    offset, count = ("Q", "Q") if is_big else ("I", "H")
    field = struct.Struct(f"{order}HH{offset}{offset}")  # tag, type, number of values, value or where they are
    (at,) = struct.unpack_from(f"{order}{offset}", content, 8 if is_big else 4)
    (fields,) = struct.unpack_from(f"{order}{count}", content, at)
    at += struct.calcsize(count)
    tags: dict[int, int] = {}
    for start in range(at, at + fields * field.size, field.size):
        tag, kind, _, value = field.unpack_from(content, start)
        short_at = start + field.size - struct.calcsize(offset)
        tags[tag] = struct.unpack_from(f"{order}H", content, short_at)[0] if kind == _TIFF_SHORT else value
    (following,) = struct.unpack_from(f"{order}{offset}", content, at + fields * field.size)
    columns, rows, channels = tags[256], tags[257], tags.get(277, 1)
    bits = tags.get(258, 1) if channels == 1 else 8  # of several channels the tag holds where they stand
    is_packed = tags.get(259, 1) != 1
    _require(
        is_packed or columns * rows * channels * bits <= 8 * len(content),
        f"it says that it has {columns} x {rows} pixels",
    )
    return Picture("TIFFImageIO", columns, rows, 2 if following else 1)


def _screen_bmp(content: bytes) -> Picture:
    columns, rows, _, bits, packing = struct.unpack_from("<iiHHI", content, 18)
    room = len(content) * (255 if packing else 1)
    _require(columns * abs(rows) * bits <= 8 * room, f"it says that it has {columns} x {abs(rows)} pixels")
    return Picture("BMPImageIO", columns, abs(rows))


def _screen_jpeg(content: bytes) -> Picture:
    size = measure_jpeg(content)
    if size is None:
        raise OddPictureError("it says no size")
    return Picture("JPEGImageIO", *size[:2])


def _require(holds: bool, finding: str) -> None:
    if not holds:
        raise OddPictureError(finding)


_SCREENINGS: dict[bytes, Callable[[bytes], Picture]] = {
    b"\x89PNG\r\n\x1a\n": _screen_png,
    b"II*\0": _screen_tiff,
    b"MM\0*": _screen_tiff,
    b"II+\0": _screen_tiff,
    b"MM\0+": _screen_tiff,
    b"BM": _screen_bmp,
    b"\xff\xd8": _screen_jpeg,
}
