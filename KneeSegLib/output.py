"""The folder of a case: written whole or not at all, and read back.

Of one scan the folder holds::

    segmentation.seg.nrrd             labels on the grid of the scan
    surfaces/femur_right.stl ...      one closed surface per structure, LPS, mm
    maps/femur_right_shape.vtp ...    surfaces with values on their points, where there are any
    report.html
    case.json

Of several scans, ``segmentation.seg.nrrd``, ``surfaces`` and ``maps`` lie in a folder of each scan's name; there is one
report and one ``case.json``. Surfaces of all scans lie in common LPS.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import SimpleITK as sitk

from KneeSegLib import TRAINING_STATEMENT
from KneeSegLib.case_reading import is_as_saved, list_recorded_files, read_scan_records
from KneeSegLib.case_record import (
    MAPS_NAME,
    RECORD_NAME,
    REPORT_NAME,
    SURFACES_NAME,
    describe_case,
    describe_software,
    map_file_name,
)
from KneeSegLib.geometry.boxes import box_shape
from KneeSegLib.io.segmentation_file import SEGMENTATION_NAME, write_segmentation
from KneeSegLib.io.strict_json import as_strict_json
from KneeSegLib.io.writing import write_folder
from KneeSegLib.progress import Progress, no_progress, report_each, split_progress

if TYPE_CHECKING:
    from vtkmodules.vtkCommonDataModel import vtkPolyData

    from KneeSegLib.case import Case, ScanResult
    from KneeSegLib.measurements.structures import FoundStructure
    from KneeSegLib.surfaces import SurfaceQuality


def save_case(case: Case, folder: str | Path, overwrite: bool = False, progress: Progress = no_progress) -> None:
    """Write label maps, surfaces, report and record: all or nothing.

    With ``overwrite`` the files of an earlier case give way, as far as its record names them and they are as they were
    written; any other file in the folder is kept.

    Raises:
        OutputError: ``folder`` exists and ``overwrite`` is false, it cannot be written to, or the disk is full.
        Cancelled: raised by ``progress``; nothing was written.
    """
    from KneeSegLib.report import write_report

    meshing, writing, reporting = split_progress(progress, (5, 3, 3))
    timings: dict[str, float] = dict(case.provenance.get("timings", {}))
    software = describe_software()
    provenance = {"statement": TRAINING_STATEMENT, "software": software, **case.provenance, "timings": timings}
    with write_folder(Path(folder), overwrite, list_recorded_files) as unfinished:
        with _timed("surfaces", timings):
            case.surfaces(meshing)
        with _timed("files", timings):
            qualities = [
                _write_scan(scan, unfinished / case.prefix_of(scan), scan_progress)
                for scan, scan_progress in zip(
                    case.scans, split_progress(writing, [1 + len(s.structures) for s in case.scans])
                )
            ]
        write_report(case, provenance, unfinished / REPORT_NAME, reporting)
        _write_record(describe_case(case, provenance, qualities), unfinished / RECORD_NAME)
    progress(1.0, "Saved")


def read_saved_surfaces(folder: Path, found: Sequence[FoundStructure]) -> dict[str, vtkPolyData]:
    """Return the surfaces (LPS, mm) saved beside a segmentation of the structures that are still as saved, by key.

    They know the bone to a fraction of a voxel, which labels alone do not. A structure whose voxels were edited since
    has none.

    Args:
        folder: that of a case of one scan, or of one scan in a case of several.
        found: what the segmentation in it holds now.

    Raises:
        InputError: ``case.json`` or a surface is damaged, or it names a surface outside its folder.
    """
    from KneeSegLib.surfaces import read_surface

    home, records = folder, read_scan_records(folder)
    if not records:
        home = folder.parent
        records = [record for record in read_scan_records(home) if record.get("name") == folder.name]
    saved = {entry["key"]: entry for record in records[:1] for entry in record["structures"]}
    surfaces = {}
    for entry in found:
        before = saved.get(entry.structure.key)
        if before is None or not is_as_saved(entry, before):
            continue
        if (home / before["surface"]["file"]).is_file():
            surfaces[entry.structure.key] = read_surface(home / before["surface"]["file"])
    return surfaces


def _write_scan(scan: ScanResult, folder: Path, progress: Progress) -> dict[str, SurfaceQuality]:
    """Write label map, surfaces and maps of a scan; return how good each surface is, by structure key."""
    from KneeSegLib.surfaces import surface_file_name, surface_quality, write_surface

    labelling, exporting = split_progress(progress, (1, 2))
    (folder / SURFACES_NAME).mkdir(parents=True)
    labelling(0.0, "Segmentation file")
    write_segmentation(
        scan.labels, {found.structure: found.box for found in scan.structures}, folder / SEGMENTATION_NAME
    )
    qualities = {}
    for found in report_each(scan.structures, exporting, "Surface files"):
        surface = scan.surfaces()[found.structure.key]
        write_surface(surface, folder / SURFACES_NAME / surface_file_name(found.structure), found.structure)
        qualities[found.structure.key] = surface_quality(surface, _crop_mask(scan.labels, found))
    if scan.maps:
        (folder / MAPS_NAME).mkdir()
    for entry in scan.maps:
        write_surface(entry.surface, folder / MAPS_NAME / map_file_name(entry), entry.structure)
    return qualities


def _crop_mask(labels: sitk.Image, found: FoundStructure) -> sitk.Image:
    """Return the structure's box out of the labels, 1 inside the structure."""
    first = [bounds.start for bounds in reversed(found.box)]
    return sitk.RegionOfInterest(labels, box_shape(found.box)[::-1], first) == found.structure.label_value


def _write_record(record: dict[str, Any], path: Path) -> None:
    text = json.dumps(as_strict_json(record), indent=2, allow_nan=False, ensure_ascii=False)
    path.write_text(text + "\n", encoding="utf-8", newline="\n")


@contextmanager
def _timed(stage: str, timings: dict[str, float]) -> Iterator[None]:
    started = time.perf_counter()
    yield
    timings[stage] = timings.get(stage, 0.0) + time.perf_counter() - started
