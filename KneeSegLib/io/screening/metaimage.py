"""Headers of MetaImage files: https://itk.org/Wiki/ITK/MetaIO/Documentation."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from KneeSegLib.errors import InputError
from KneeSegLib.io.image_formats import shown_name
from KneeSegLib.io.screening.image_header import (
    ImageHeader,
    Voxels,
    are_finite,
    damaged,
    parse_counts,
    parse_numbers,
    require_place,
    require_sound_header,
)
from KneeSegLib.io.screening.regular_files import find_data_file
from KneeSegLib.io.screening.settings import LONGEST_LINE, MOST_AXES, SMALLEST_VOLUME
from KneeSegLib.io.screening.text_headers import add_field, read_header_bytes, split_lines

_TYPES = {
    "MET_CHAR": "i1",
    "MET_UCHAR": "u1",
    "MET_SHORT": "i2",
    "MET_USHORT": "u2",
    "MET_INT": "i4",
    "MET_UINT": "u4",
    "MET_LONG_LONG": "i8",
    "MET_ULONG_LONG": "u8",
    "MET_FLOAT": "f4",
    "MET_DOUBLE": "f8",
}
_LAST = re.compile(rb"^ElementDataFile[ \t]*=[ \t]*([^\r\n]*)\r?(?:\n|\Z)", re.MULTILINE)
_MATRICES = ("TransformMatrix", "Orientation", "Rotation")
_PLACES = ("Offset", "Origin", "Position", "CenterOfRotation")
_MOST_CHANNELS = 1024


def screen_metaimage(path: Path) -> ImageHeader:
    """Return what the header of a MetaImage says.

    Raises:
        InputError: it is damaged, names a file elsewhere, or claims what cannot be.
    """
    fields, named, end = _read_fields(path)
    size = parse_counts(_get(fields, "DimSize", path), path, "DimSize")
    dimension = parse_counts(_get(fields, "NDims", path), path, "NDims")
    if dimension != [len(size)] or len(size) > MOST_AXES:
        raise damaged(path, f"its header has NDims {fields['NDims'][:20]} and {len(size)} sizes in DimSize")
    type_name = _get(fields, "ElementType", path)
    if type_name not in _TYPES:
        raise InputError(
            f"{shown_name(path)} has the ElementType {type_name[:40]!r}, expected a single number for each voxel; save "
            "the grey image."
        )
    channels = parse_counts(fields.get("ElementNumberOfChannels", "1"), path, "ElementNumberOfChannels")
    if len(channels) != 1 or not 1 <= channels[0] <= _MOST_CHANNELS:
        raise damaged(path, f"its field ElementNumberOfChannels is {fields['ElementNumberOfChannels'][:20]}")
    _require_sound_axes(fields, len(size), path)
    is_big = _is_true(fields.get("BinaryDataByteOrderMSB", fields.get("ElementByteOrderMSB", "")))
    header = ImageHeader(
        path,
        (*channels, *size) if channels[0] > 1 else tuple(size),
        np.dtype((">" if is_big else "<") + _TYPES[type_name]),
        _read_spacing(fields, len(size), path),
        _find_voxels(fields, named, end, path),
    )
    return require_sound_header(header)


def _read_fields(path: Path) -> tuple[dict[str, str], str, int]:
    """Return the fields before the last line, what that names as the file of the voxels, and the byte after it."""
    start = read_header_bytes(path)
    last = _LAST.search(start)
    if last is None:
        raise damaged(path, "its header has no line ElementDataFile, which ends it")
    fields: dict[str, str] = {}
    lines = split_lines(start[: last.end()].rstrip(b"\r\n"), LONGEST_LINE, path)[:-1]
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        key, equals, value = line.partition("=")
        if not equals:
            raise damaged(path, f"line {number} of its header is no field")
        add_field(fields, key.strip(), value.strip(), path)
    return fields, last[1].decode("utf-8", "surrogateescape").strip(), last.end()


def _get(fields: Mapping[str, str], key: str, path: Path) -> str:
    if key not in fields:
        raise damaged(path, f"its header lacks the field {key}")
    return fields[key]


def _require_sound_axes(fields: Mapping[str, str], axes: int, path: Path) -> None:
    for key in _MATRICES:
        if key in fields:
            found = parse_numbers(fields[key], path, key)
            if len(found) != axes * axes or not are_finite(found):
                raise damaged(path, f"its field {key} is {fields[key][:60]!r}, expected {axes * axes} numbers")
            if abs(np.linalg.det(np.reshape(found, (axes, axes)))) < SMALLEST_VOLUME:
                raise damaged(path, f"its field {key} is {fields[key][:60]!r}, and no three axes lie like that")
    for key in _PLACES:
        if key in fields:
            found = parse_numbers(fields[key], path, key)
            if len(found) != axes:
                raise damaged(path, f"its field {key} is {fields[key][:60]!r}, expected {axes} numbers")
            require_place(found, path)


def _read_spacing(fields: Mapping[str, str], axes: int, path: Path) -> tuple[float, ...]:
    """Return the distances of voxels, of which ElementSpacing goes before ElementSize; nothing without either."""
    key = next((key for key in ("ElementSpacing", "ElementSize") if key in fields), None)
    if key is None:
        return ()
    found = parse_numbers(fields[key], path, key)
    if len(found) != axes:
        raise damaged(path, f"its field {key} is {fields[key][:60]!r}, expected {axes} numbers")
    return tuple(found)


def _find_voxels(fields: Mapping[str, str], named: str, end: int, path: Path) -> Voxels:
    skipped = parse_counts(fields.get("HeaderSize", "0"), path, "HeaderSize")[0]
    if named.upper() == "LOCAL":
        file, start = path, end
        if skipped:
            raise damaged(path, f"its field HeaderSize is {skipped} where the voxels follow the header")
    else:
        file, start = find_data_file(path, named), max(skipped, 0)
        if skipped < -1:
            raise damaged(path, f"its field HeaderSize is {skipped}")
    there = max(file.stat().st_size - start, 0)
    if not _is_true(fields.get("CompressedData", "")):
        is_text = "BinaryData" in fields and not _is_true(fields["BinaryData"])
        return Voxels(file, start, there, "text" if is_text else "none")
    if "CompressedDataSize" not in fields:
        # ITK then guesses where they end, and the last voxel is another one from time to time.
        raise damaged(path, "it does not say how many bytes its compressed voxels take (CompressedDataSize)")
    claimed = parse_counts(fields["CompressedDataSize"], path, "CompressedDataSize")[0]
    if not 0 < claimed <= there:
        raise damaged(
            path, f"its compressed voxels should take {claimed} bytes, and {there} are there: it is cut short"
        )
    return Voxels(file, start, claimed, "zlib")


def _is_true(text: str) -> bool:
    return text[:1].upper() in ("T", "1", "Y")
