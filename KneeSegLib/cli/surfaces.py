"""``kneeseg surfaces``: from a segmentation file to surface files."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from KneeSegLib.cli.options import Overwrite, Progress, require_existing, stream_of
from KneeSegLib.cli.stream import ProgressMode
from KneeSegLib.errors import InputError
from KneeSegLib.io.label_meaning import LABELS_HELP
from KneeSegLib.progress import report_each

if TYPE_CHECKING:
    from rich.console import Console


class SurfaceFormat(str, Enum):
    """File formats of surfaces."""

    stl = "stl"
    ply = "ply"
    obj = "obj"
    vtp = "vtp"


class CoordinateSystem(str, Enum):
    """Which way the axes of the coordinates point: left, posterior, superior (DICOM) or right, anterior, superior."""

    LPS = "LPS"
    RAS = "RAS"


def surfaces(
    context: typer.Context,
    segmentation: Annotated[
        Path, typer.Argument(help="Segmentation file (.seg.nrrd, .nrrd, .nii.gz, DICOM SEG) or result folder.")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the surfaces; is created.")],
    format: Annotated[SurfaceFormat, typer.Option(help="File format.")] = SurfaceFormat.stl,
    coordinates: Annotated[
        CoordinateSystem, typer.Option(help="LPS as DICOM and 3D Slicer's files have it, or RAS.")
    ] = CoordinateSystem.LPS,
    smoothing: Annotated[
        str | None, typer.Option(help="volume-preserving (the default), inverse-distance-laplacian or none.")
    ] = None,
    edge: Annotated[
        float | None,
        typer.Option(
            "--edge", min=0.1, max=20.0, metavar="MM", help="Lighter meshes, with edges of about this length."
        ),
    ] = None,
    labels: Annotated[
        str | None,
        typer.Option(help=LABELS_HELP),
    ] = None,
    overwrite: Overwrite = False,
    progress: Progress = ProgressMode.bar,
) -> None:
    """Write a closed surface of each structure of a segmentation.

    From a result folder come its own surfaces, unless a smoothing is asked for or a structure was edited since. Of a
    lighter mesh the largest distance from the full one is told.
    """
    stream = stream_of(context)
    require_existing(segmentation)
    from KneeSegLib.io.writing import reserve_folder, write_folder

    context.with_resource(reserve_folder(output, overwrite))
    from KneeSegLib.io.label_meaning import LabelMeaning
    from KneeSegLib.measurements.structures import measure_structures
    from KneeSegLib.output import read_saved_surfaces
    from KneeSegLib.surfaces import (
        DEFAULT_SMOOTHING,
        SMOOTHINGS,
        decimate,
        surface_file_name,
        surface_of,
        write_surface,
    )
    from KneeSegLib.surfaces.quality import farthest_point_mm

    if smoothing is not None and smoothing not in SMOOTHINGS:
        raise InputError(f"No smoothing is called {smoothing}; choose one of {', '.join(SMOOTHINGS)}.")
    stream.progress(0.0, f"Reading {segmentation.name}")
    label_map, notes = LabelMeaning.parse(labels).read(segmentation)
    found = measure_structures(label_map)
    if not found:
        raise InputError(" ".join([f"{segmentation} holds no structure, so there is no surface to write.", *notes]))
    own = segmentation.is_dir() and smoothing is None and labels is None
    saved = read_saved_surfaces(segmentation, found) if own else {}
    records = []
    with write_folder(output, overwrite=overwrite) as unfinished:
        for entry in report_each(found, stream.progress, "Surfaces"):
            structure = entry.structure
            polydata = saved.get(structure.key)
            if polydata is None:
                polydata = surface_of(label_map, structure, smoothing=smoothing or DEFAULT_SMOOTHING)
            record: dict[str, Any] = {"key": structure.key, "file": surface_file_name(structure, format.value)}
            if edge is not None:
                full, polydata = polydata, decimate(polydata, edge)
                record["max_distance_from_full_mm"] = round(farthest_point_mm(full, polydata), 4)
            record["triangles"] = polydata.GetNumberOfPolys()
            write_surface(polydata, unfinished / record["file"], structure, coordinates.value)
            records.append(record)

    for note in notes:
        stream.warning(note)

    def show(console: Console) -> None:
        for record in records:
            console.print(f"{output / record['file']}  ({_remark(record)})", soft_wrap=True, markup=False)
        console.print(f"Coordinates: {coordinates.value}, mm", style="dim")

    stream.result({"folder": str(output.resolve()), "coordinate_system": coordinates.value, "surfaces": records}, show)


def _remark(record: dict[str, Any]) -> str:
    triangles = f"{record['triangles']} triangles"
    if "max_distance_from_full_mm" not in record:
        return triangles
    return f"{triangles}, within {record['max_distance_from_full_mm']:.2f} mm of the full mesh"
