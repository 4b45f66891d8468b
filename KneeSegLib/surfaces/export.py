"""Surface files: STL, PLY, OBJ and VTP in mm, with the coordinate system said in the file and checked after writing.

The token ``SPACE=LPS`` or ``SPACE=RAS`` is what 3D Slicer looks for (STL header, PLY and OBJ comments, VTP field data),
so a surface lands where the image is. Without it, readers assume LPS.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from vtkmodules.vtkCommonCore import vtkStringArray
from vtkmodules.vtkCommonDataModel import vtkPolyData
from vtkmodules.vtkIOGeometry import vtkOBJReader, vtkSTLReader, vtkSTLWriter
from vtkmodules.vtkIOPLY import vtkPLYReader, vtkPLYWriter
from vtkmodules.vtkIOXML import vtkXMLPolyDataReader, vtkXMLPolyDataWriter

from KneeSegLib.anatomy import Structure
from KneeSegLib.errors import InputError, OutputError
from KneeSegLib.geometry.mesh import points_of, polydata_from, triangles_of
from KneeSegLib.io.write_errors import explain_incomplete
from KneeSegLib.io.writing import write_whole
from KneeSegLib.memory import require_memory
from KneeSegLib.surfaces.file_checks import require_plausible_vtp, require_sound_ply, require_sound_triangles
from KneeSegLib.surfaces.file_sizes import require_sound_obj, require_sound_stl, require_sound_vtp

CoordinateSystem = Literal["LPS", "RAS"]
COORDINATE_SYSTEMS: tuple[CoordinateSystem, ...] = ("LPS", "RAS")
_TOLERANCE_MM = 1e-3
_STL_HEADER_BYTES = 80
_MEMORY_PER_BYTE = 8
"""What VTK's readers take for a byte of a file, as text or packed. Not measured."""


class Named(Protocol):
    """What a surface file says it is of: a structure, or a segment that a user added."""

    @property
    def key(self) -> str: ...

    @property
    def name(self) -> str: ...


def surface_file_name(structure: Structure, extension: str = "stl") -> str:
    """Return the file name of a structure's surface, for example ``femur_right.stl``."""
    return f"{structure.key}.{extension.lstrip('.')}"


def write_surface(
    polydata: vtkPolyData, path: str | Path, structure: Named, coordinate_system: CoordinateSystem = "LPS"
) -> None:
    """Write a surface; the ending of ``path`` chooses the format (a key of ``FORMATS``).

    The file is written beside its final name, read back, compared (points, triangles, bounds) and only then renamed.

    Args:
        polydata: triangle mesh in LPS mm.
        path: file to write; an existing one is replaced.
        structure: named in the file.
        coordinate_system: of the numbers in the file; "RAS" turns them about the body's long axis.

    Raises:
        InputError: unknown ending or coordinate system, or an empty surface.
        OutputError: the file could not be written, or did not read back the same.
    """
    path = Path(path)
    file_format = _format_of(path)
    if coordinate_system not in COORDINATE_SYSTEMS:
        raise InputError(f"Surfaces are written in LPS or RAS coordinates, not in {coordinate_system!r}.")
    if polydata.GetNumberOfPolys() == 0:
        raise InputError(
            f"The surface of the {structure.name.lower()} is empty; there is nothing to write to {path.name}."
        )
    in_file = polydata if coordinate_system == "LPS" else _between_lps_and_ras(polydata)
    with write_whole(path) as unfinished:
        file_format.write(in_file, unfinished, _title(structure, coordinate_system))
        if not unfinished.exists():
            raise explain_incomplete(unfinished, path, f"{path} could not be written; choose another place.")
        try:
            written = _read_sound(file_format, unfinished)[0]
        except InputError as error:
            otherwise = f"{path} could not be written whole, so it was not kept; try again, or choose another place."
            raise explain_incomplete(unfinished, path, otherwise) from error
        _compare(in_file, written, path)


def read_surface(path: str | Path) -> vtkPolyData:
    """Return the surface in a file, in LPS mm whatever the file's coordinate system (LPS where it names none).

    Raises:
        InputError: no such file, unknown ending, or nothing readable in it.
    """
    path = Path(path)
    file_format = _format_of(path)
    if not path.is_file():
        raise InputError(f"There is no surface file {path}; give an existing one.")
    require_memory(_MEMORY_PER_BYTE * path.stat().st_size, f"Reading the surface {path.name}")
    polydata, text = _read_sound(file_format, path)
    if polydata.GetNumberOfPolys() == 0:
        raise InputError(f"{path} holds no triangles; it may be truncated or of another format.")
    named = re.search(r"SPACE=(\w+)", text)
    if named and named[1] == "RAS":
        return _between_lps_and_ras(polydata)
    if named and named[1] != "LPS":
        raise InputError(f"{path} says that its coordinates are {named[1]!r}; only LPS and RAS are known.")
    return polydata


def _read_sound(file_format: SurfaceFormat, path: Path) -> tuple[vtkPolyData, str]:
    """Return what a file holds, and the text with its title; raise where a triangle names a point that is not there."""
    polydata, text = file_format.read(path)
    require_sound_triangles(polydata, path)
    return polydata, text


def _title(structure: Named, coordinate_system: CoordinateSystem) -> str:
    return f"KneeSeg {structure.key} SPACE={coordinate_system} mm"


def _between_lps_and_ras(polydata: vtkPolyData) -> vtkPolyData:
    """Return a copy with x and y negated: a half turn about z, so triangles keep facing outward."""
    turned = polydata_from(points_of(polydata) * (-1.0, -1.0, 1.0), triangles_of(polydata))
    turned.GetFieldData().ShallowCopy(polydata.GetFieldData())
    turned.GetPointData().ShallowCopy(polydata.GetPointData())
    return turned


def _compare(written: vtkPolyData, found: vtkPolyData, path: Path) -> None:
    for what, wanted, got in (
        ("points", written.GetNumberOfPoints(), found.GetNumberOfPoints()),
        ("triangles", written.GetNumberOfPolys(), found.GetNumberOfPolys()),
    ):
        if wanted != got:
            raise OutputError(f"{path} was written with {wanted} {what} but reads back with {got}; nothing was kept.")
    if not np.allclose(written.GetBounds(), found.GetBounds(), rtol=0, atol=_TOLERANCE_MM):
        raise OutputError(f"{path} reads back with other bounds than were written; nothing was kept.")


# Two functions for each format: (polydata, path, title) to a file, and a file to (polydata, text with the title).


def _write_stl(polydata: vtkPolyData, path: Path, title: str) -> None:
    writer = vtkSTLWriter()
    writer.SetFileTypeToBinary()
    writer.SetHeader(title[: _STL_HEADER_BYTES - 1])
    _run(writer, polydata, path)


def _read_stl(path: Path) -> tuple[vtkPolyData, str]:
    require_sound_stl(path)
    with path.open("rb") as file:
        header = file.read(_STL_HEADER_BYTES)
    return _output_of(vtkSTLReader(), path), header.decode("latin-1")


def _write_ply(polydata: vtkPolyData, path: Path, title: str) -> None:
    writer = vtkPLYWriter()
    writer.SetFileTypeToBinary()
    writer.AddComment(title)
    _run(writer, polydata, path)


def _read_ply(path: Path) -> tuple[vtkPolyData, str]:
    with path.open("rb") as file:
        header = file.read(4096).partition(b"end_header")[0]
    require_sound_ply(path)
    return _output_of(vtkPLYReader(), path), header.decode("latin-1")


def _write_obj(polydata: vtkPolyData, path: Path, title: str) -> None:
    # VTK's own writer rounds to six digits, which at a metre from the origin is a millimetre.
    points, corners = points_of(polydata), triangles_of(polydata) + 1
    with path.open("w", encoding="ascii", newline="\n") as file:
        file.write(f"# {title}\n")
        file.write("v %.5f %.5f %.5f\n" * len(points) % tuple(points.ravel().tolist()))
        file.write("f %d %d %d\n" * len(corners) % tuple(corners.ravel().tolist()))


def _read_obj(path: Path) -> tuple[vtkPolyData, str]:
    require_sound_obj(path)
    with path.open(encoding="latin-1") as file:
        comments = "".join(line for line in (file.readline(1000) for _ in range(20)) if line.startswith("#"))
    return _output_of(vtkOBJReader(), path), comments


def _write_vtp(polydata: vtkPolyData, path: Path, title: str) -> None:
    titled = vtkPolyData()
    titled.ShallowCopy(polydata)
    space = re.search(r"SPACE=(\w+)", title)
    for name, value in (("Title", title), ("SPACE", space[1] if space else "LPS")):
        text = vtkStringArray()
        text.SetName(name)
        text.InsertNextValue(value)
        titled.GetFieldData().AddArray(text)
    writer = vtkXMLPolyDataWriter()
    writer.SetDataModeToAppended()
    writer.EncodeAppendedDataOff()
    _run(writer, titled, path)


def _read_vtp(path: Path) -> tuple[vtkPolyData, str]:
    require_plausible_vtp(path)
    require_sound_vtp(path)
    polydata = _output_of(vtkXMLPolyDataReader(), path)
    space = polydata.GetFieldData().GetAbstractArray("SPACE")
    return polydata, f"SPACE={space.GetValue(0)}" if space and space.GetNumberOfValues() else ""


# VTK's readers and writers have no class in common that has these methods.
def _run(writer: Any, polydata: vtkPolyData, path: Path) -> None:
    writer.SetInputData(polydata)
    writer.SetFileName(str(path))
    writer.Write()


def _output_of(reader: Any, path: Path) -> vtkPolyData:
    reader.SetFileName(str(path))
    reader.Update()
    return reader.GetOutput()


@dataclass(frozen=True)
class SurfaceFormat:
    """How one kind of file is written and read."""

    name: str
    write: Callable[[vtkPolyData, Path, str], None]
    read: Callable[[Path], tuple[vtkPolyData, str]]


FORMATS: dict[str, SurfaceFormat] = {
    "stl": SurfaceFormat("Stereolithography (binary)", _write_stl, _read_stl),
    "ply": SurfaceFormat("Polygon file (binary)", _write_ply, _read_ply),
    "obj": SurfaceFormat("Wavefront object", _write_obj, _read_obj),
    "vtp": SurfaceFormat("VTK polygonal data", _write_vtp, _read_vtp),
}
"""Surface formats by file ending."""


def _format_of(path: Path) -> SurfaceFormat:
    ending = path.suffix.lower().lstrip(".")
    if ending not in FORMATS:
        raise InputError(f"{path.name} does not end in a known surface format; use one of {', '.join(FORMATS)}.")
    return FORMATS[ending]
