"""``case.json``: everything about a case for programs.

Format version 2. Of one scan the record holds ``input``, ``structures``, ``cartilage_thickness`` and, in ``files``,
``segmentation``, ``surfaces`` and ``maps`` beside ``report``. Of several scans these stand in ``scans`` instead, a list
with one entry per scan, each with its ``name`` and the number of its ``frame_of_reference`` (scans with the same number
share one coordinate system); what concerns the whole case (``statement``, ``warnings``, ``provenance``, the report) is
where it is for one scan, and ``provenance.scans`` holds what is of each scan alone. Files are named relative to the
record.

Version 2 differs from 1 in ``scans`` and in the names within a structure's ``quality``.
"""

from __future__ import annotations

import dataclasses
import importlib.metadata
import platform
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from KneeSegLib.io.segmentation_file import SEGMENTATION_NAME

if TYPE_CHECKING:
    from KneeSegLib.case import Case, ScanResult
    from KneeSegLib.geometry.boxes import ArrayBox
    from KneeSegLib.measurements.structures import FoundStructure
    from KneeSegLib.measurements.surface_map import SurfaceMap
    from KneeSegLib.surfaces import SurfaceQuality

CASE_FORMAT = "KneeSeg case"
CASE_FORMAT_VERSION = 2
"""Raised when a field of ``case.json`` changes its meaning or disappears; new fields do not raise it."""

SCAN_NAME = re.compile(r"[a-z0-9][a-z0-9-]*")
"""What the scans of a case are called, and their folders."""

SURFACES_NAME = "surfaces"
MAPS_NAME = "maps"
REPORT_NAME = "report.html"
RECORD_NAME = "case.json"

_PACKAGES = ("numpy", "scipy", "SimpleITK", "vtk", "torch")
"""Those that decide the numbers."""


def describe_case(
    case: Case, provenance: Mapping[str, Any], qualities: Sequence[Mapping[str, SurfaceQuality]]
) -> dict[str, Any]:
    """Return the record of a case.

    Args:
        provenance: as :class:`~KneeSegLib.case.Case` describes it, with ``statement`` and ``software``.
        qualities: for each scan, of its surfaces, by structure key.
    """
    scans = [
        _describe_scan(scan, case.prefix_of(scan), of_scan) for scan, of_scan in zip(case.scans, qualities, strict=True)
    ]
    files = {"report": REPORT_NAME}
    if len(scans) == 1:
        files = {**scans[0].pop("files"), **files}
        fields = scans[0]
    else:
        frames = list(dict.fromkeys(scan.volume.frame_of_reference for scan in case.scans))
        fields = {
            "scans": [
                {"name": scan.name, "frame_of_reference": 1 + frames.index(scan.volume.frame_of_reference), **fields}
                for scan, fields in zip(case.scans, scans)
            ]
        }
    return {
        "format": CASE_FORMAT,
        "format_version": CASE_FORMAT_VERSION,
        "statement": provenance["statement"],
        **fields,
        "warnings": case.warnings,
        **_describe_second_opinion(case),
        "files": files,
        "provenance": provenance,
    }


def describe_box(box: ArrayBox) -> dict[str, list[int]]:
    """Return first and last voxel of a box of an array ``[k, j, i]`` as indices i, j, k."""
    return {"first": [bounds.start for bounds in reversed(box)], "last": [bounds.stop - 1 for bounds in reversed(box)]}


def describe_software() -> dict[str, str]:
    """Return the versions of what computes: Python, system and the packages that decide the numbers."""
    versions = {"python": platform.python_version(), "system": f"{platform.system()} {platform.machine()}"}
    for package in _PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            versions[package] = "not installed"
    return versions


def map_file_name(entry: SurfaceMap) -> str:
    """Return the file name of a surface with values, for example ``femur_right_shape.vtp``."""
    return f"{entry.structure.key}_{entry.name}.vtp"


def _describe_scan(scan: ScanResult, prefix: str, qualities: Mapping[str, SurfaceQuality]) -> dict[str, Any]:
    files: dict[str, Any] = {"segmentation": prefix + SEGMENTATION_NAME, "surfaces": prefix + SURFACES_NAME}
    if scan.maps:
        files["maps"] = [f"{prefix}{MAPS_NAME}/{map_file_name(entry)}" for entry in scan.maps]
    return {
        "input": {
            "source": scan.volume.source,
            "path": str(scan.volume.path) if scan.volume.path is not None else None,
            "series_key": scan.volume.series_key or None,
            "modality": scan.volume.modality,
            "size": scan.labels.GetSize(),
            "spacing_mm": scan.labels.GetSpacing(),
            "origin_lps_mm": scan.labels.GetOrigin(),
            "direction_lps": scan.labels.GetDirection(),
            "notes": scan.volume.notes,
        },
        "structures": [
            _describe_structure(found, _describe_surface(scan, found, prefix, qualities[found.structure.key]))
            for found in scan.structures
        ],
        "cartilage_thickness": [
            {"bone": entry.bone.key, "cartilage": entry.cartilage.key, "regions": entry.regions}
            for entry in scan.cartilage
        ],
        "files": files,
    }


def _describe_second_opinion(case: Case) -> dict[str, Any]:
    opinion = case.second_opinion
    if opinion is None:
        return {}
    structures = [
        {
            "key": entry.structure.key,
            **({"scan": entry.scan} if entry.scan else {}),
            "found_by": entry.found_by,
            "looked_for_by_both": entry.looked_for,
            "volume_mm3": entry.first_mm3,
            "second_volume_mm3": entry.second_mm3,
            "dice": entry.dice,
            "largest_distance_mm": entry.largest_mm,
            "at_lps_mm": entry.largest_at_mm,
            "at": entry.largest_at,
            "limit_mm": entry.limit_mm,
            "flagged": entry.disagrees,
        }
        for entry in opinion.agreements
    ]
    return {
        "second_opinion": {
            "pipeline": opinion.pipeline,
            "structures": structures,
            "provenance": opinion.provenance,
        }
    }


def _describe_structure(found: FoundStructure, surface: Mapping[str, Any]) -> dict[str, Any]:
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
        "box_index": describe_box(found.box),
        "voxels_sha256": found.digest,
        "surface": surface,
        "quality": found.quality,
        "edge": found.edge,
        "warnings": found.warnings,
    }


def _describe_surface(scan: ScanResult, found: FoundStructure, prefix: str, quality: SurfaceQuality) -> dict[str, Any]:
    from KneeSegLib.surfaces import movement_of, surface_file_name

    return {
        "file": f"{prefix}{SURFACES_NAME}/{surface_file_name(found.structure)}",
        "coordinate_system": "LPS",
        "unit": "mm",
        "movement": movement_of(scan.surfaces()[found.structure.key]),
        "quality": quality,
        "problems": quality.problems,
    }
