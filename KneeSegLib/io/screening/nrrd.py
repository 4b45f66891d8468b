"""Headers of NRRD files: https://teem.sourceforge.net/nrrd/format.html."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from KneeSegLib.errors import InputError
from KneeSegLib.io.image_formats import shown_name
from KneeSegLib.io.screening.image_header import (
    ImageHeader,
    Packing,
    Voxels,
    damaged,
    parse_counts,
    parse_numbers,
    require_place,
    require_sound_header,
)
from KneeSegLib.io.screening.regular_files import find_data_file
from KneeSegLib.io.screening.settings import LONGEST_KEY, LONGEST_LINE, LONGEST_NRRD_LINE, MOST_AXES
from KneeSegLib.io.screening.text_headers import add_field, read_header_bytes, split_lines

_TYPES = {
    "i1": ("signed char", "int8", "int8_t"),
    "u1": ("uchar", "unsigned char", "uint8", "uint8_t"),
    "i2": ("short", "short int", "signed short", "signed short int", "int16", "int16_t"),
    "u2": ("ushort", "unsigned short", "unsigned short int", "uint16", "uint16_t"),
    "i4": ("int", "signed int", "int32", "int32_t"),
    "u4": ("uint", "unsigned int", "uint32", "uint32_t"),
    "i8": ("longlong", "long long", "long long int", "signed long long", "signed long long int", "int64", "int64_t"),
    "u8": ("ulonglong", "unsigned long long", "unsigned long long int", "uint64", "uint64_t"),
    "f4": ("float",),
    "f8": ("double",),
}
_TYPE_BY_NAME = {name: code for code, names in _TYPES.items() for name in names}
_PACKINGS: Mapping[str, Packing] = {
    "raw": "none",
    "gzip": "gzip",
    "gz": "gzip",
    **dict.fromkeys(("txt", "text", "ascii", "hex"), "text"),
}
_SAME = {"datafile": "data file", "lineskip": "line skip", "byteskip": "byte skip", "axismins": "axis mins"}
_FIELDS = frozenset(
    ["type", "dimension", "space", "space dimension", "sizes", "spacings", "thicknesses", "axis mins", "axis maxs"]
    + ["axismaxs", "space directions", "centers", "centerings", "kinds", "labels", "units", "space units"]
    + ["space origin", "measurement frame", "block size", "blocksize", "content", "encoding", "endian", "min", "max"]
    + ["old min", "oldmin", "old max", "oldmax", "data file", "line skip", "byte skip", "number", "sample units"]
    + ["sampleunits"]
)
"""All that the format knows. The reader of ITK ends the program at some others."""

_SPATIAL_KINDS = ("domain", "space", "time", "none", "???")
"""All other kinds of axis are the components of a voxel."""
_VECTOR = re.compile(r"none|\(([^()]*)\)")


def screen_nrrd(path: Path) -> ImageHeader:
    """Return what the header of an NRRD says.

    Raises:
        InputError: it is damaged, names a file elsewhere, or claims what cannot be.
    """
    fields, end = _read_fields(path)
    sizes = parse_counts(_get(fields, "sizes", path), path, "sizes")
    dimension = parse_counts(_get(fields, "dimension", path), path, "dimension")
    if dimension != [len(sizes)] or not 1 <= len(sizes) <= MOST_AXES + 1:
        raise damaged(path, f"its header has the dimension {fields['dimension'][:20]} and {len(sizes)} sizes")
    type_name = " ".join(_get(fields, "type", path).split()).lower()
    if type_name not in _TYPE_BY_NAME:
        raise damaged(path, f"its header names the type {type_name[:40]!r}, which no image has")
    if "endian" not in fields and _TYPE_BY_NAME[type_name][1] != "1" and fields.get("encoding", "")[:1] in "rgRG":
        raise damaged(path, "its header lacks the field 'endian', the order of the bytes of a voxel")
    order = ">" if fields.get("endian", "little").lower() == "big" else "<"
    origin = _vectors(fields.get("space origin", ""), path, "space origin")
    for vector in origin:
        require_place(vector or [], path)
    header = ImageHeader(
        path,
        tuple(sizes),
        np.dtype(order + _TYPE_BY_NAME[type_name]),
        _read_spacing(fields, len(sizes), path),
        _find_voxels(fields, end, path),
    )
    return require_sound_header(header)


def _read_fields(path: Path) -> tuple[dict[str, str], int]:
    """Return the fields, by their names in lower case, and the byte after the header."""
    start = read_header_bytes(path)
    end = re.search(rb"\r?\n\r?\n", start)
    header = start[: end.start()] if end else start
    if end is None and not re.search(rb"\ndata ?file: ", header):
        raise damaged(path, "its header does not end")
    fields: dict[str, str] = {}
    lines = split_lines(header, LONGEST_NRRD_LINE, path)
    keys: dict[str, str] = {}
    for number, line in enumerate(lines[1:], start=2):
        if line.startswith("#") or not line.strip():
            continue
        name, colon, value = line.partition(":")
        if not colon:
            raise damaged(path, f"line {number} of its header is no field")
        if value.startswith("="):
            if len(name) > LONGEST_KEY:
                raise damaged(path, f"its header has a key of {len(name)} characters")
            add_field(keys, name, value, path)
            continue
        name = " ".join(name.lower().split())
        if _SAME.get(name, name) not in _FIELDS:
            raise damaged(path, f"line {number} of its header is a field that the format does not know")
        if len(value) > LONGEST_LINE:
            raise damaged(path, f"its field {name} has {len(value)} characters")
        add_field(fields, _SAME.get(name, name), value.strip(), path)
        if "data file" in fields and fields["data file"].upper().startswith("LIST"):
            break  # names of files follow
    return fields, end.end() if end else len(start)


def _get(fields: Mapping[str, str], key: str, path: Path) -> str:
    if key not in fields:
        raise damaged(path, f"its header lacks the field {key!r}")
    return fields[key]


def _read_spacing(fields: Mapping[str, str], axes: int, path: Path) -> tuple[float, ...]:
    """Return the distances of voxels of the axes that have one; nothing where the header has neither field."""
    if "space directions" in fields:
        vectors = _vectors(fields["space directions"], path, "space directions")
        if len(vectors) != axes:
            raise damaged(path, f"its header has {len(vectors)} space directions for {axes} axes")
        return tuple(math.hypot(*vector) for vector in vectors if vector is not None)
    if "spacings" in fields:
        found = parse_numbers(fields["spacings"], path, "spacings")
        if len(found) != axes:
            raise damaged(path, f"its header has {len(found)} spacings for {axes} axes")
        kinds = fields.get("kinds", "").lower().split()
        if len(kinds) != axes:
            return tuple(found)
        return tuple(length for length, kind in zip(found, kinds) if kind in _SPATIAL_KINDS)
    return ()


def _vectors(text: str, path: Path, field: str) -> list[list[float] | None]:
    """Return vectors such as ``(1,0,0) none``; None for an axis that has no direction."""
    found = list(_VECTOR.finditer(text))
    if _VECTOR.sub("", text).strip():
        raise damaged(path, f"its field {field} is {text[:60]!r} instead of vectors")
    return [
        None if match[0] == "none" else parse_numbers((match[1] or "").replace(",", " "), path, field)
        for match in found
    ]


def _find_voxels(fields: Mapping[str, str], end: int, path: Path) -> Voxels:
    encoding = _get(fields, "encoding", path).lower()
    if encoding not in _PACKINGS:
        raise InputError(
            f"{shown_name(path)} has the encoding {encoding[:20]!r}, expected raw, gzip or text; save it as one of "
            "these."
        )
    named = fields.get("data file")
    file, start = (path, end) if named is None else (find_data_file(path, named), 0)
    skips = [parse_counts(fields.get(key, "0"), path, key) for key in ("line skip", "byte skip")]
    lines, skipped = (found[0] if len(found) == 1 else -2 for found in skips)
    packing = _PACKINGS[encoding]
    if (lines, skipped) != (0, 0) and (named is None or packing != "none" or lines < 0 or skipped < -1):
        raise damaged(path, "its header skips lines or bytes where there are none to skip")
    stored = file.stat().st_size - start - lines - max(skipped, 0)
    return Voxels(file, start + max(skipped, 0), max(stored, 0), packing)
