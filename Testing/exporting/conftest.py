"""Small label maps on grids of every kind, and the DICOM series that they were made from."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from pydicom.uid import generate_uid

from KneeSegLib.anatomy import structure
from KneeSegLib.case_record import CASE_FORMAT, CASE_FORMAT_VERSION, describe_box
from KneeSegLib.exporting.saved_case import SavedCase, SavedScan, read_saved_case
from KneeSegLib.exporting.source import SourceSeries, find_source
from KneeSegLib.io.dicom_series import list_series
from KneeSegLib.io.segmentation_file import write_segmentation
from KneeSegLib.measurements.structures import measure_structures
from Testing.io.dicom.conftest import new_dataset, save, set_pixels

SIZE, SPACING_MM, ORIGIN_MM = (40, 36, 18), (1.5, 1.5, 2.0), (-31.25, 12.5, 400.0)
_EULER = sitk.Euler3DTransform((0.0, 0.0, 0.0), 0.3, -0.2, 0.4)
OBLIQUE = tuple(_EULER.GetMatrix())
AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)


@dataclass(frozen=True)
class Grid:
    """How the slices of a source lie, and how the label map lies against them."""

    direction: tuple[float, ...] = AXIAL
    lean_mm: tuple[float, float, float] = (0.0, 0.0, 0.0)
    stored: str = "as the images"


GRIDS = {
    "axial": Grid(),
    "oblique": Grid(OBLIQUE),
    "left-handed": Grid(OBLIQUE, stored="mirrored"),
    "other axis order": Grid(OBLIQUE, stored="permuted"),
    "part": Grid(OBLIQUE, stored="part"),
    "transformed": Grid(OBLIQUE, stored="turned"),
    "transformed, left-handed": Grid(AXIAL, stored="turned and mirrored"),
    "leaning slices": Grid(AXIAL, lean_mm=(0.0, 0.7, 0.0)),
}


def make_labels(direction: Sequence[float] = AXIAL) -> sitk.Image:
    """Return a femur with a hole and an island in it, a meniscus of the other side and a patella of one voxel."""
    k, j, i = np.indices(SIZE[::-1])
    array = np.zeros(k.shape, np.uint8)

    def ball(center: tuple[float, float, float], radius_mm: float) -> np.ndarray:
        z, y, x = ((axis - at) * step for axis, at, step in zip((k, j, i), center, SPACING_MM[::-1]))
        return z * z + y * y + x * x < radius_mm * radius_mm

    array[ball((9, 16, 15), 14.0)] = structure("femur_right").label_value
    array[ball((9, 16, 15), 6.0)] = 0
    array[ball((9, 16, 15), 2.5)] = structure("femur_right").label_value
    array[ball((8, 20, 32), 7.0)] = structure("medial_meniscus_left").label_value
    array[3, 30, 30] = structure("patella_right").label_value
    image = sitk.GetImageFromArray(array)
    image.SetSpacing(SPACING_MM)
    image.SetOrigin(ORIGIN_MM)
    image.SetDirection(direction)
    return image


def store(labels: sitk.Image, how: str) -> sitk.Image:
    """Return the same labels as another program may have stored them."""
    if how == "mirrored":
        return sitk.Flip(labels, (False, False, True))
    if how == "permuted":
        return sitk.Flip(sitk.PermuteAxes(labels, (2, 0, 1)), (True, False, False))
    if how == "part":
        return sitk.RegionOfInterest(labels, [count - 3 for count in labels.GetSize()], (2, 2, 2))
    if how.startswith("turned"):
        turned = sitk.Image(labels)
        small = sitk.Euler3DTransform((0.0, 0.0, 0.0), 0.05, 0.04, -0.1)
        direction = np.reshape(small.GetMatrix(), (3, 3)) @ np.reshape(labels.GetDirection(), (3, 3))
        center = np.array(labels.TransformContinuousIndexToPhysicalPoint([(n - 1) / 2 for n in labels.GetSize()]))
        turned.SetDirection(direction.ravel())
        turned.SetOrigin(center + np.reshape(small.GetMatrix(), (3, 3)) @ (np.array(labels.GetOrigin()) - center))
        return sitk.Flip(turned, (False, True, False)) if "mirrored" in how else turned
    return labels


def write_source(
    folder: Path,
    grid: Grid = GRIDS["axial"],
    size: Sequence[int] = SIZE,
    spacing_mm: Sequence[float] = SPACING_MM,
    origin_mm: Sequence[float] = ORIGIN_MM,
    **tags: object,
) -> Path:
    """Write a CT series of empty slices and return its folder."""
    direction = np.reshape(grid.direction, (3, 3))
    common = {
        "SeriesInstanceUID": generate_uid(), "StudyInstanceUID": generate_uid(), "FrameOfReferenceUID": generate_uid(),
        "PatientName": "Doe^Jane", "PatientID": "P-1", "PatientBirthDate": "19700203", "PatientSex": "F",
        "StudyDate": "20240506", "AccessionNumber": "A-7", "SeriesNumber": 4, "Modality": "CT",
        "ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"], "RescaleIntercept": "0", "RescaleSlope": "1", **tags,
    }  # fmt: skip
    for number in range(size[2]):
        path = folder / f"{number:03}.dcm"
        dataset = new_dataset(path)
        set_pixels(dataset, np.full((size[1], size[0]), 100 + number, np.int16))
        step = direction[:, 2] * spacing_mm[2] + np.array(grid.lean_mm)
        dataset.ImagePositionPatient = [f"{value:.10g}" for value in np.array(origin_mm) + number * step]
        dataset.ImageOrientationPatient = [f"{value:.12g}" for value in [*direction[:, 0], *direction[:, 1]]]
        dataset.PixelSpacing = [str(spacing_mm[1]), str(spacing_mm[0])]
        dataset.InstanceNumber = number + 1
        for keyword, value in common.items():
            if value is not None:
                setattr(dataset, keyword, value)
        save(dataset, path)
    return folder


def save_small(folder: Path, labels: sitk.Image, source: Path, modality: str = "CT") -> Path:
    """Write what of a case's folder exporting reads: label map and record."""
    found = measure_structures(labels)
    folder.mkdir(parents=True)
    write_segmentation(labels, {entry.structure: entry.box for entry in found}, folder / "segmentation.seg.nrrd")
    structures = [
        {
            "key": entry.structure.key,
            "voxels": entry.voxels,
            "box_index": describe_box(entry.box),
            "voxels_sha256": entry.digest,
            "surface": {"file": f"surfaces/{entry.structure.key}.stl"},
        }
        for entry in found
    ]
    (series,) = list_series(source)
    record = {
        "format": CASE_FORMAT,
        "format_version": CASE_FORMAT_VERSION,
        "input": {"modality": modality, "path": str(source), "series_key": series.key},
        "structures": structures,
        "provenance": {"version": "0.1.0", "pipeline": "ct-knee", "edge": "cortex", "options": {"quality": "high"}},
    }
    (folder / "case.json").write_text(json.dumps(record), encoding="utf-8")
    return folder


@dataclass(frozen=True)
class Export:
    """What builders of objects are given."""

    case: SavedCase
    scan: SavedScan
    source: SourceSeries
    folder: Path


@pytest.fixture(scope="session", params=GRIDS)
def export(request, tmp_path_factory) -> Export:
    """A case on each of GRIDS with its source."""
    home = tmp_path_factory.mktemp("export")
    grid = GRIDS[request.param]
    source = write_source(home / "source", grid)
    case = read_saved_case(save_small(home / "case", store(make_labels(grid.direction), grid.stored), source))
    return Export(case, case.scans[0], find_source(case.scans[0], None), home)


@pytest.fixture
def saved(tmp_path) -> Path:
    """The folder of a case on the grid of its source, which lies beside it in ``source``."""
    source = write_source(tmp_path / "source", GRIDS["oblique"])
    return save_small(tmp_path / "case", make_labels(OBLIQUE), source)


def corrected(scan: SavedScan) -> SavedScan:
    """Return a scan of which someone has taken a voxel away."""
    array = sitk.GetArrayFromImage(scan.labels)
    value = scan.found[0].structure.label_value
    array[tuple(np.argwhere(array == value)[0])] = 0
    labels = sitk.GetImageFromArray(array)
    labels.CopyInformation(scan.labels)
    return replace(scan, labels=labels, found=measure_structures(labels))
