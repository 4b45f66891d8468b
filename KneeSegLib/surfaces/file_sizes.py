"""STL, OBJ and VTP files held against their own length before VTK reads them, which trusts what they say."""

from __future__ import annotations

import re
import struct
from pathlib import Path

import numpy as np

from KneeSegLib.errors import InputError

_STL_START, _STL_TRIANGLE = 84, 50
_MOST_HEADER_BYTES = 2**20
_MOST_PACKED = 1100  # zlib shrinks nothing to less than a thousandth
_ITEM_BYTES = {"Int8": 1, "UInt8": 1, "Int16": 2, "UInt16": 2, "Int32": 4, "UInt32": 4, "Int64": 8, "UInt64": 8}
_ITEM_BYTES |= {"Float32": 4, "Float64": 8, "String": 1}


def require_sound_stl(path: Path) -> None:
    """Raise unless a binary file is as long as its number of triangles says; one of text has to be text.

    Raises:
        InputError: says what is wrong.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(_STL_START)
        if len(start) == _STL_START:
            (triangles,) = struct.unpack_from("<I", start, _STL_START - 4)
            if size == _STL_START + _STL_TRIANGLE * triangles:
                _require_finite_stl(np.fromfile(file, "(3,)<f4,(9,)<f4,<u2", triangles)["f1"], path)
                return
        if not start.lstrip().startswith(b"solid"):
            raise _damaged(path, f"it has {size} bytes, which is no number of triangles that it can hold")
        while block := file.read(2**20):
            if b"\0" in block:
                raise _damaged(path, "it begins as text and goes on otherwise")


def require_sound_obj(path: Path) -> None:
    """Raise unless every face of a file names points that it has.

    Raises:
        InputError: says what is wrong.
    """
    points = 0
    with path.open(encoding="latin-1", newline="\n") as file:
        for number, line in enumerate(file, start=1):
            words = line.split()
            if not words or words[0] not in ("v", "f"):
                continue
            try:
                if words[0] == "v":
                    points += 1
                    sound = len(words) >= 4 and bool(np.isfinite([float(word) for word in words[1:4]]).all())
                else:
                    corners = [int(word.partition("/")[0]) for word in words[1:]]
                    sound = len(corners) >= 3 and all(1 <= (c if c > 0 else points + 1 + c) <= points for c in corners)
            except ValueError:
                sound = False
            if not sound:
                raise _damaged(path, f"line {number} is no point, or a face that names a point which is not there")


def require_sound_vtp(path: Path) -> None:
    """Raise unless all that a file keeps in its appended part lies within it and has the size that it should.

    What stands in the text itself is left to VTK, which reads it as XML.

    Raises:
        InputError: says what is wrong.
    """
    content = path.read_bytes()
    head, appended, _ = content.partition(b"<AppendedData")
    start = content.find(b"_", len(head)) + 1
    if not appended or start == 0 or b'encoding="raw"' not in content[len(head) : start]:
        return
    packed = b"compressor=" in head
    if len(head) > _MOST_HEADER_BYTES:
        raise _damaged(path, "its header is too long")
    wide = b'header_type="UInt64"' in head
    length_bytes, kind = (8, "Q") if wide else (4, "I")
    order = ">" if b'byte_order="BigEndian"' in head else "<"
    for tag in re.findall(rb"<(?:Data)?Array[^>]*>", head):
        fields = {
            name.decode("latin-1"): value.decode("latin-1") for name, value in re.findall(rb'(\w+)="([^"]*)"', tag)
        }
        if fields.get("format") != "appended":
            continue
        if not fields.get("offset", "").isdecimal() or fields.get("type") not in _ITEM_BYTES:
            raise _damaged(path, "an array has no place or an unknown type")
        place = start + int(fields["offset"])
        if place + length_bytes > len(content):
            raise _damaged(path, "an array lies beyond its end")
        (length,) = struct.unpack_from(order + kind, content, place)
        if packed:  # a number of blocks, their size, that of the last one, and how long each is in the file
            if place + (3 + length) * length_bytes > len(content):
                raise _damaged(path, f"an array of {length} packed blocks lies beyond its end")
            _, block, last, *stored = struct.unpack_from(f"{order}{3 + length}{kind}", content, place)
            if length and not block:
                raise _damaged(path, "an array is packed in blocks of no size")
            if place + sum(stored) > len(content) or max(block * length, last) > _MOST_PACKED * len(content):
                raise _damaged(path, "an array claims more than can be packed in it")
            continue
        if place + length_bytes + length > len(content) or length % _ITEM_BYTES[fields["type"]]:
            raise _damaged(path, f"an array of {length} bytes lies beyond its end, or is no number of values")


def _require_finite_stl(corners: np.ndarray, path: Path) -> None:
    if not np.isfinite(corners).all():
        raise _damaged(path, "a corner of a triangle lies at what is no number")


def _damaged(path: Path, finding: str) -> InputError:
    return InputError(f"{path} is damaged ({finding}); export the surface again.")
