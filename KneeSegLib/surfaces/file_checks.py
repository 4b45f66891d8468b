"""Surface files are checked here before VTK reads them: VTK trusts the counts and the indices in them, and crashes.

A crash cannot be caught, so a file that a full disk has cut short would end the whole program.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from vtkmodules.util.numpy_support import vtk_to_numpy
from vtkmodules.vtkCommonDataModel import vtkPolyData

from KneeSegLib.errors import InputError

_MOST_HEADER_BYTES = 64 * 2**10
_MOST_ENTRIES_PER_BYTE = 100  # even of a mesh that is compressed
_FEWEST_CORNERS, _MOST_CORNERS = 3, 255
_TYPES = {
    **dict.fromkeys(("char", "int8"), "i1"),
    **dict.fromkeys(("uchar", "uint8"), "u1"),
    **dict.fromkeys(("short", "int16"), "i2"),
    **dict.fromkeys(("ushort", "uint16"), "u2"),
    **dict.fromkeys(("int", "int32"), "i4"),
    **dict.fromkeys(("uint", "uint32"), "u4"),
    **dict.fromkeys(("float", "float32"), "f4"),
    **dict.fromkeys(("double", "float64"), "f8"),
}
_OTHER_LINES = ("ply", "format", "comment", "obj_info")
_CORNERS = ("vertex_indices", "vertex_index")
_BYTE_ORDERS = {"binary_little_endian": "<", "binary_big_endian": ">", "ascii": ""}


@dataclass
class _Element:
    """A table in the file: ``fields`` are names with their type, or with the types of a list's length and entries."""

    name: str
    count: int
    fields: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)

    @property
    def is_plain(self) -> bool:
        return all(len(types) == 1 for _, types in self.fields)


def require_sound_ply(path: Path) -> None:
    """Raise unless the file is as long as its header says and its triangles name points that there are.

    Polygons of one kind are checked (all of three corners, or all of four, ...), as surfaces of bones have them.

    Raises:
        InputError: says what is wrong.
    """
    content = path.read_bytes()
    header, byte_order, start = _split_header(content, path)
    elements = _read_elements(header, path)
    points = next((element.count for element in elements if element.name == "vertex"), 0)
    values = None if byte_order else content[start:].split()
    for element in elements:
        lists = [name for name, types in element.fields if len(types) == 2]
        if element.name == "face" and (not lists or lists[0] not in _CORNERS):
            raise _damaged(path, "its faces have no list of points")
        if element.is_plain and values is None:
            start += element.count * _row_type(element, byte_order, 0).itemsize
            if start > len(content):
                raise _damaged(path, f"it ends within the {element.count} entries of {element.name}")
        elif element.is_plain and values is not None:
            if element.count * len(element.fields) > len(values):
                raise _damaged(path, f"it ends within the {element.count} entries of {element.name}")
            values = values[element.count * len(element.fields) :]
        elif element.name == "face" and len(element.fields) == 1:
            corners = (
                _read_faces(content[start:], element, byte_order, path)
                if values is None
                else _read_text_faces(values, element, path)
            )
            if corners.size and not 0 <= corners.min() <= corners.max() < points:
                raise _damaged(path, f"a triangle names a point that is not among its {points}")
            return  # what follows is not read
        else:
            raise InputError(f"{path} has an element {element.name!r} that is not known; save it as a plain mesh.")


def require_plausible_vtp(path: Path) -> None:
    """Raise where a file says that it holds far more than it has room for: VTK would take the memory for it.

    Raises:
        InputError: says how much.
    """
    with path.open("rb") as file:
        claimed = sum(int(digits) for digits in re.findall(rb'NumberOf\w+="(\d{1,30})', file.read(4096)))
    size = path.stat().st_size
    if claimed > _MOST_ENTRIES_PER_BYTE * size:
        raise _damaged(path, f"it says that it holds {claimed:.0e} points and cells in {size / 2**20:.1f} MB")


def require_sound_triangles(polydata: vtkPolyData, path: Path) -> None:
    """Raise unless every triangle that was read from ``path`` names points that there are, at places that are numbers.

    Raises:
        InputError: one does not.
    """
    count = polydata.GetNumberOfPoints()
    if count and not np.isfinite(vtk_to_numpy(polydata.GetPoints().GetData())).all():
        raise _damaged(path, "a point lies at what is no number")
    corners = vtk_to_numpy(polydata.GetPolys().GetConnectivityArray())
    if corners.size and not 0 <= corners.min() <= corners.max() < count:
        raise _damaged(path, f"a triangle names a point that is not among its {count}")


def _split_header(content: bytes, path: Path) -> tuple[list[list[str]], str, int]:
    """Return the words of the header's lines, the byte order (empty for text) and where the header ends."""
    end = re.search(rb"\nend_header\r?\n", content[:_MOST_HEADER_BYTES])
    if not content.startswith(b"ply") or end is None:
        raise _damaged(path, "it has no header of a PLY file")
    lines = [line.split() for line in content[: end.start()].decode("latin-1").splitlines()]
    formats = [words[1] for words in lines if len(words) == 3 and words[0] == "format"]
    if len(formats) != 1 or formats[0] not in _BYTE_ORDERS:
        raise _damaged(path, "its header names no format")
    return [words for words in lines if words], _BYTE_ORDERS[formats[0]], end.end()


def _read_elements(header: list[list[str]], path: Path) -> list[_Element]:
    elements: list[_Element] = []
    for words in header:
        if words[0] == "element" and len(words) == 3 and re.fullmatch(r"\d{1,10}", words[2]):
            elements.append(_Element(words[1], int(words[2])))
        elif words[0] == "property" and elements and len(words) == (5 if words[1:2] == ["list"] else 3):
            types = words[2:4] if words[1] == "list" else words[1:2]
            if not all(name in _TYPES for name in types):
                raise _damaged(path, f"its header has a property of an unknown type, {' '.join(types)[:40]!r}")
            elements[-1].fields.append((words[-1], tuple(_TYPES[name] for name in types)))
        elif words[0] not in _OTHER_LINES:
            raise _damaged(path, f"its header has the line {' '.join(words)[:40]!r}")
    return elements


def _row_type(element: _Element, byte_order: str, corners: int) -> np.dtype:
    columns: list[tuple[str, str, tuple[int, ...]]] = []
    for number, (_, types) in enumerate(element.fields):
        columns.append((f"{number}", byte_order + types[0], ()))
        if len(types) == 2:
            columns.append((f"{number} entries", byte_order + types[1], (corners,)))
    return np.dtype(columns)


def _read_faces(content: bytes, element: _Element, byte_order: str, path: Path) -> np.ndarray:
    if element.count == 0:
        return np.empty((0, _FEWEST_CORNERS), int)
    length_type = np.dtype(byte_order + element.fields[0][1][0])
    if len(content) < length_type.itemsize:
        raise _damaged(path, "it ends before its triangles")
    corners = int(np.frombuffer(content, length_type, 1)[0])
    _require_corners(corners, path)
    row = _row_type(element, byte_order, corners)
    if element.count * row.itemsize > len(content):
        raise _damaged(path, f"it ends within its {element.count} triangles")
    rows = np.frombuffer(content, row, element.count)
    _require_alike(rows["0"], path)
    return rows["0 entries"].astype(np.int64)


def _read_text_faces(values: list[bytes], element: _Element, path: Path) -> np.ndarray:
    if element.count == 0:
        return np.empty((0, _FEWEST_CORNERS), int)
    try:
        corners = int(values[0]) if values else 0
        _require_corners(corners, path)
        if element.count * (corners + 1) > len(values):
            raise _damaged(path, f"it ends within its {element.count} triangles")
        rows = np.array(values[: element.count * (corners + 1)]).astype(np.int64).reshape(element.count, -1)
    except ValueError as error:
        raise _damaged(path, "a triangle names something that is no number") from error
    _require_alike(rows[:, 0], path)
    return rows[:, 1:]


def _require_corners(corners: int, path: Path) -> None:
    if not _FEWEST_CORNERS <= corners <= _MOST_CORNERS:
        raise _damaged(path, f"a face has {corners} corners")


def _require_alike(counts: np.ndarray, path: Path) -> None:
    if (counts != counts[0]).any():
        raise InputError(f"{path} mixes faces of different numbers of corners, or is damaged; save it as triangles.")


def _damaged(path: Path, finding: str) -> InputError:
    return InputError(f"{path} is damaged ({finding}); export the surface again.")
