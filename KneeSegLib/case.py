"""What one run produced and how: labels, surfaces, volumes, warnings, provenance, and the folder that holds them."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import json
import math
import platform
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import SimpleITK as sitk

from KneeSegLib import TRAINING_STATEMENT
from KneeSegLib.anatomy import STRUCTURES, Structure
from KneeSegLib.io.segmentation_file import SEGMENTATION_NAME, Extent, write_segmentation
from KneeSegLib.io.strict_json import as_strict_json
from KneeSegLib.io.writing import write_folder
from KneeSegLib.progress import Progress, each, no_progress, parts

if TYPE_CHECKING:
    from vtkmodules.vtkCommonDataModel import vtkPolyData

    from KneeSegLib.io.volume import Volume
    from KneeSegLib.measurements.cartilage import CartilageMeasurement
    from KneeSegLib.measurements.surface_map import SurfaceMap
    from KneeSegLib.quality import QualityResult
    from KneeSegLib.surfaces import SurfaceQuality

CASE_FORMAT = "KneeSeg case"
CASE_FORMAT_VERSION = 2
"""Raised when a field of ``case.json`` changes its meaning or disappears; new fields do not raise it."""

SURFACES_NAME = "surfaces"
MAPS_NAME = "maps"
REPORT_NAME = "report.html"
RECORD_NAME = "case.json"


@dataclass
class FoundStructure:
    """A structure that the label image holds.

    ``extent`` is its box in voxel indices: first and last i, j, k. ``touches_border`` says that the box reaches an edge
    of the scan: volume and surface are then those of the part in view. ``warnings`` are sentences. ``quality`` says how
    far it can be relied on; None where no pipeline judged it.
    """

    structure: Structure
    volume_mm3: float
    voxels: int
    touches_border: bool
    warnings: list[str] = field(default_factory=list)
    extent: Extent = (0, -1, 0, -1, 0, -1)
    quality: QualityResult | None = None


def structures_of(labels: sitk.Image) -> list[FoundStructure]:
    """Measure every structure in ``labels`` (uint8, 3D), in the order of the anatomy table."""
    from scipy import ndimage

    array = sitk.GetArrayViewFromImage(labels)
    voxel_mm3 = math.prod(labels.GetSpacing())
    boxes = ndimage.find_objects(array)
    found = []
    for structure in STRUCTURES:
        box = boxes[structure.label_value - 1] if structure.label_value <= len(boxes) else None
        if box is None:
            continue
        voxels = int(np.count_nonzero(array[box] == structure.label_value))
        touches = any(bounds.start == 0 or bounds.stop == size for bounds, size in zip(box, array.shape))
        extent = tuple(index for bounds in reversed(box) for index in (bounds.start, bounds.stop - 1))
        found.append(FoundStructure(structure, voxels * voxel_mm3, voxels, touches, extent=extent))
    return found


@dataclass
class Case:
    """The result of one run.

    Attributes:
        labels: uint8, on exactly the input's grid; values of :mod:`KneeSegLib.anatomy`.
        margins: per structure key an image on a crop of that grid: probability of the structure minus that of the
            likeliest other class; its zero level is the sub-voxel surface. Structures without one are meshed from their
            labels.
        warnings: sentences about the whole case.
        cartilage: what was measured of cartilage.
        maps: surfaces with values on their points: what a pipeline has to show beside labels.
        provenance: JSON-able: ``version``, ``pipeline``, ``pipeline_title``, ``options``, ``bundles`` (each with
            ``name``, ``version``, ``sha256``), ``device``, ``timings`` (seconds per stage, in order) and ``date`` (ISO
            8601). ``statement`` and ``software`` (versions) are added when saved unless they are there.
    """

    volume: Volume
    labels: sitk.Image
    margins: dict[str, sitk.Image]
    structures: list[FoundStructure]
    warnings: list[str]
    provenance: dict[str, Any]
    cartilage: list[CartilageMeasurement] = field(default_factory=list)
    maps: list[SurfaceMap] = field(default_factory=list)
    _surfaces: dict[str, vtkPolyData] | None = field(default=None, init=False, repr=False, compare=False)

    def surfaces(self, progress: Progress = no_progress) -> dict[str, vtkPolyData]:
        """Return one closed surface per structure key, LPS, mm; computed once and kept."""
        if self._surfaces is None:
            from KneeSegLib.surfaces import surface_of

            self._surfaces = {
                found.structure.key: surface_of(self.labels, found.structure, self.margins.get(found.structure.key))
                for found in each(self.structures, progress, "Surfaces")
            }
        return self._surfaces

    def save(self, folder: str | Path, overwrite: bool = False, progress: Progress = no_progress) -> None:
        """Write ``segmentation.seg.nrrd``, ``surfaces/*.stl``, ``report.html`` and ``case.json``: all or nothing.

        Raises:
            OutputError: ``folder`` exists and ``overwrite`` is false, it cannot be written to, or the disk is full.
            Cancelled: raised by ``progress``; nothing was written.
        """
        from KneeSegLib.report import write_report
        from KneeSegLib.surfaces import surface_file_name, surface_quality, write_surface

        meshing, labelling, exporting, reporting = parts(progress, (5, 1, 2, 3))
        provenance = {"statement": TRAINING_STATEMENT, "software": software_versions(), **self.provenance}
        timings = provenance["timings"] = dict(provenance.get("timings", {}))
        with write_folder(Path(folder), overwrite=overwrite) as unfinished:
            started = time.perf_counter()
            surfaces = self.surfaces(meshing)
            timings["surfaces"] = timings.get("surfaces", 0.0) + time.perf_counter() - started

            started = time.perf_counter()
            labelling(0.0, "Segmentation file")
            extents = {found.structure: found.extent for found in self.structures}
            write_segmentation(self.labels, extents, unfinished / SEGMENTATION_NAME)
            (unfinished / SURFACES_NAME).mkdir()
            qualities = {}
            for found in each(self.structures, exporting, "Surface files"):
                key = found.structure.key
                write_surface(
                    surfaces[key], unfinished / SURFACES_NAME / surface_file_name(found.structure), found.structure
                )
                qualities[key] = surface_quality(surfaces[key], self._mask(found))
            if self.maps:
                (unfinished / MAPS_NAME).mkdir()
            for entry in self.maps:
                write_surface(entry.surface, unfinished / _map_file(entry), entry.structure)
            timings["files"] = time.perf_counter() - started

            write_report(self, provenance, unfinished / REPORT_NAME, reporting)
            record = json.dumps(
                as_strict_json(self._record(provenance, qualities)), indent=2, allow_nan=False, ensure_ascii=False
            )
            (unfinished / RECORD_NAME).write_text(record + "\n", encoding="utf-8", newline="\n")
        progress(1.0, "Saved")

    def _mask(self, found: FoundStructure) -> sitk.Image:
        """Return the structure's box out of the labels, 1 inside the structure."""
        first, last = found.extent[0::2], found.extent[1::2]
        size = [stop - start + 1 for start, stop in zip(first, last)]
        return sitk.RegionOfInterest(self.labels, size, first) == found.structure.label_value

    def _record(self, provenance: Mapping[str, Any], qualities: Mapping[str, SurfaceQuality]) -> dict[str, Any]:
        return {
            "format": CASE_FORMAT,
            "format_version": CASE_FORMAT_VERSION,
            "statement": provenance["statement"],
            "input": {
                "source": self.volume.source,
                "modality": self.volume.modality,
                "size": self.labels.GetSize(),
                "spacing_mm": self.labels.GetSpacing(),
                "origin_lps_mm": self.labels.GetOrigin(),
                "direction_lps": self.labels.GetDirection(),
                "notes": self.volume.notes,
            },
            "structures": [
                _structure_record(found, self.surfaces()[found.structure.key], qualities[found.structure.key])
                for found in self.structures
            ],
            "cartilage_thickness": [_cartilage_record(entry) for entry in self.cartilage],
            "warnings": self.warnings,
            "files": {"segmentation": SEGMENTATION_NAME, "surfaces": SURFACES_NAME, "report": REPORT_NAME}
            | ({"maps": [_map_file(entry) for entry in self.maps]} if self.maps else {}),
            "provenance": provenance,
        }


def saved_surfaces(folder: Path, found: Sequence[FoundStructure]) -> dict[str, vtkPolyData]:
    """Return the surfaces in a case's folder (LPS, mm) of the structures that are still as they were saved, by key.

    They know the bone to a fraction of a voxel, which labels alone do not. A structure whose voxels were edited since
    has none.
    """
    from KneeSegLib.surfaces import read_surface

    try:
        record = json.loads((folder / RECORD_NAME).read_text(encoding="utf-8"))
    except (OSError, ValueError):  # a folder that only holds a segmentation
        return {}
    saved = {entry["key"]: entry for entry in record["structures"]}
    surfaces = {}
    for entry in found:
        before = saved.get(entry.structure.key, {})
        unchanged = (before.get("voxels"), before.get("box_index")) == (
            entry.voxels,
            as_strict_json(_box_record(entry)),
        )
        if unchanged and (folder / before["surface"]["file"]).is_file():
            surfaces[entry.structure.key] = read_surface(folder / before["surface"]["file"])
    return surfaces


def _map_file(entry: SurfaceMap) -> str:
    return f"{MAPS_NAME}/{entry.structure.key}_{entry.name}.vtp"


def _box_record(found: FoundStructure) -> dict[str, Extent]:
    return {"first": found.extent[0::2], "last": found.extent[1::2]}


def _cartilage_record(entry: CartilageMeasurement) -> dict[str, Any]:
    return {"bone": entry.bone.key, "cartilage": entry.cartilage.key, "regions": entry.regions}


def _structure_record(found: FoundStructure, surface: vtkPolyData, quality: SurfaceQuality) -> dict[str, Any]:
    from KneeSegLib.surfaces import movement_of, surface_file_name

    structure = found.structure
    return {
        "key": structure.key,
        "name": structure.name,
        "side": structure.side,
        "kind": structure.tissue.kind,
        "label_value": structure.label_value,
        "code": dataclasses.asdict(structure.code),
        "side_code": dataclasses.asdict(structure.side_code),
        "color_srgb": structure.color,
        "volume_mm3": found.volume_mm3,
        "voxels": found.voxels,
        "touches_border": found.touches_border,
        "box_index": _box_record(found),
        "surface": {
            "file": f"{SURFACES_NAME}/{surface_file_name(structure)}",
            "coordinate_system": "LPS",
            "unit": "mm",
            "movement": movement_of(surface),
            "quality": quality,
            "problems": quality.problems,
        },
        "quality": found.quality,
        "warnings": found.warnings,
    }


def software_versions() -> dict[str, str]:
    """Return the versions of what computes: Python, system and the packages that decide the numbers."""
    versions = {"python": platform.python_version(), "system": f"{platform.system()} {platform.machine()}"}
    for package in ("numpy", "scipy", "SimpleITK", "vtk", "torch"):
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            versions[package] = "not installed"
    return versions
