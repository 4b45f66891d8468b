"""Reads what ``exports.py`` wrote, by programs of others, and compares: see there. Imports nothing of KneeSeg.

===================  ==================  =======================================================================
segmentation         binary              dcmqi (DCMTK), pydicom-seg
segmentation         label map           dcmqi (DCMTK), pixels and positions of frames by pydicom
structure set                            dcmrtstruct2nii (scikit-image), rt-utils (OpenCV, rounds to pixels)
encapsulated STL                         pydicom and trimesh, GDCM and numpy-stl
===================  ==================  =======================================================================
"""

from __future__ import annotations

import io
import json
import logging
import subprocess
import sys
import tempfile
import types
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import SimpleITK as sitk

pydicom.read_file = pydicom.dcmread  # what the readers call it, which pydicom 3 has renamed
_moved = types.ModuleType("pydicom._storage_sopclass_uids")
_moved.SegmentationStorage = pydicom.uid.SegmentationStorage
sys.modules["pydicom._storage_sopclass_uids"] = _moved

LEAST_DICE = 0.995
Labels = dict[str, np.ndarray]
"""By key, the voxels of a label map that a reader found a structure in."""


class Case:
    """A case's folder and what should be found in it."""

    def __init__(self, home: Path) -> None:
        self.home = home
        expected = json.loads((home / "expected.json").read_text(encoding="utf-8"))
        self.kind: str = expected["kind"]
        self.values: dict[str, int] = {key: value for key, (value, _) in expected["structures"].items()}
        self.keys_by_name: dict[str, str] = {name: key for key, (_, name) in expected["structures"].items()}
        self.labels = sitk.ReadImage(str(home / "labels.nrrd"))
        self.on_images = sitk.ReadImage(str(home / "on_images.nrrd"))

    def onto_labels(self, image: sitk.Image) -> np.ndarray:
        """Return an image on the voxels of the label map, without a change of value; what it has elsewhere is kept."""
        placed = sitk.Resample(image, self.labels, sitk.Transform(), sitk.sitkNearestNeighbor, 0.0)
        array = sitk.GetArrayFromImage(placed)
        lost = int((sitk.GetArrayViewFromImage(image) != 0).sum()) - int((array != 0).sum())
        if lost:
            raise AssertionError(f"{lost} voxels lie beside those of the label map")
        return array


def read_by_dcmqi(case: Case, kind: str) -> Labels:
    with tempfile.TemporaryDirectory() as folder:
        program = str(Path(sys.executable).with_name("segimage2itkimage"))
        path = str(case.home / kind / "segmentation.dcm")
        command = [program, "--inputDICOM", path, "--outputDirectory", folder, "--outputType", "nrrd"]
        subprocess.run([*command, "--mergeSegments"], check=True, capture_output=True)
        array = case.onto_labels(sitk.ReadImage(f"{folder}/1.nrrd"))
        meta = json.loads(Path(folder, "meta.json").read_text(encoding="utf-8"))
    described = [entry for group in meta["segmentAttributes"] for entry in group]
    keys = {entry["labelID"]: entry["TrackingIdentifier"] for entry in described if "TrackingIdentifier" in entry}
    return {key: array == number for number, key in keys.items()}


def read_by_pydicom_seg(case: Case, kind: str) -> Labels:
    import pydicom_seg

    dataset = pydicom.dcmread(case.home / kind / "segmentation.dcm")
    read = pydicom_seg.SegmentReader().read(dataset)
    keys = {item.SegmentNumber: item.TrackingID for item in dataset.SegmentSequence}
    return {keys[number]: case.onto_labels(read.segment_image(number)) != 0 for number in read.available_segments}


def read_by_pydicom(case: Case, kind: str) -> Labels:
    """Place each pixel of each frame by the position, orientation and spacing of the frame."""
    dataset = pydicom.dcmread(case.home / kind / "segmentation.dcm")
    frames = dataset.pixel_array.reshape(-1, dataset.Rows, dataset.Columns)
    array = np.zeros(case.labels.GetSize()[::-1], np.uint8)
    (shared,) = dataset.SharedFunctionalGroupsSequence
    down_mm, across_mm = map(float, shared.PixelMeasuresSequence[0].PixelSpacing)
    cosines = np.array(shared.PlaneOrientationSequence[0].ImageOrientationPatient, float)
    for frame, group in zip(frames, dataset.PerFrameFunctionalGroupsSequence, strict=True):
        first = np.array(group.PlanePositionSequence[0].ImagePositionPatient, float)
        for row, column in np.argwhere(frame):
            place = first + cosines[:3] * across_mm * column + cosines[3:] * down_mm * row
            array[case.labels.TransformPhysicalPointToIndex(place)[::-1]] = frame[row, column]
    keys = {item.SegmentNumber: item.TrackingID for item in dataset.SegmentSequence if "TrackingID" in item}
    return {key: array == number for number, key in keys.items()}


def read_by_dcmrtstruct2nii(case: Case) -> Labels:
    from dcmrtstruct2nii import dcmrtstruct2nii

    with tempfile.TemporaryDirectory() as folder:
        dcmrtstruct2nii(str(case.home / "rtstruct" / "structures.dcm"), str(case.home / "source"), folder)
        masks = {path.name: sitk.ReadImage(str(path)) for path in Path(folder).glob("mask_*.nii.gz")}
    found = {}
    for name, key in case.keys_by_name.items():
        mask = masks[f"mask_{name.replace(' ', '-')}.nii.gz"]
        placed = sitk.Resample(mask, case.on_images, sitk.Transform(), sitk.sitkNearestNeighbor, 0.0)
        found[key] = sitk.GetArrayFromImage(placed) != 0
    return found


def read_by_rt_utils(case: Case) -> Labels:
    from rt_utils import RTStructBuilder

    path = str(case.home / "rtstruct" / "structures.dcm")
    read = RTStructBuilder.create_from(dicom_series_path=str(case.home / "source"), rt_struct_path=path)
    # Its masks are [row, column, slice] of square images.
    masks = {name: np.moveaxis(read.get_roi_mask_by_name(name), 2, 0) for name in read.get_roi_names()}
    positions = [np.array(header.ImagePositionPatient, float) for header in read.series_data]
    order = [case.on_images.TransformPhysicalPointToIndex(position)[2] for position in positions]
    return {case.keys_by_name[name]: mask[np.argsort(order)] for name, mask in masks.items()}


def points_by_pydicom_and_trimesh(path: Path) -> np.ndarray:
    import trimesh

    dataset = pydicom.dcmread(path)
    stl = dataset.EncapsulatedDocument[: dataset.EncapsulatedDocumentLength]
    mesh = trimesh.load(io.BytesIO(stl), file_type="stl")
    if not mesh.is_watertight or mesh.volume <= 0:
        raise AssertionError("it is not closed, or faces inwards")
    return mesh.triangles.reshape(-1, 9)


def points_by_gdcm_and_numpy_stl(path: Path) -> np.ndarray:
    import gdcm
    from stl import mesh

    reader = gdcm.Reader()
    reader.SetFileName(str(path))
    if not reader.Read():
        raise AssertionError("GDCM does not read it")
    value = reader.GetFile().GetDataSet().GetDataElement(gdcm.Tag(0x0042, 0x0011)).GetByteValue()
    content = value.GetBuffer().encode("utf-8", "surrogateescape")[: int(str(value.GetLength()))]
    return mesh.Mesh.from_file("", fh=io.BytesIO(content)).vectors.reshape(-1, 9)


def dice(one: np.ndarray, other: np.ndarray) -> float:
    return 2.0 * float((one & other).sum()) / float(one.sum() + other.sum())


def compare_voxels(case: Case, found: Labels) -> str:
    array = sitk.GetArrayViewFromImage(case.labels)
    wrong = {key: int((found[key] != (array == value)).sum()) for key, value in case.values.items()}
    return ", ".join(f"{count} voxels of {key}" for key, count in wrong.items() if count)


def compare_dice(case: Case, found: Labels, lowest: list[float]) -> str:
    array = sitk.GetArrayViewFromImage(case.on_images)
    values = {key: dice(found[key], array == value) for key, value in case.values.items()}
    lowest.append(min(values.values()))
    return ", ".join(f"Dice {value:.4f} of {key}" for key, value in values.items() if value < LEAST_DICE)


def compare_surfaces(case: Case, read: Callable[[Path], np.ndarray]) -> str:
    import trimesh

    wrong = []
    for key in case.values:
        expected = trimesh.load(case.home / f"{key}.stl").triangles.reshape(-1, 9)
        found = read(case.home / "stl" / f"{key}.dcm")
        if found.shape != expected.shape or np.abs(found - expected).max() > 1e-3:
            wrong.append(key)
    return ", ".join(wrong)


def list_checks(case: Case, lowest: dict[str, list[float]]) -> dict[str, tuple[int, Callable[[], str]]]:
    """Return by name how many objects a check is of, and what returns in a clause what was wrong."""
    surfaces = len(case.values)
    checks: dict[str, tuple[int, Callable[[], str]]] = {
        "binary segmentation, dcmqi": (1, lambda: compare_voxels(case, read_by_dcmqi(case, "binary"))),
        "binary segmentation, pydicom-seg": (1, lambda: compare_voxels(case, read_by_pydicom_seg(case, "binary"))),
        "label map, dcmqi": (1, lambda: compare_voxels(case, read_by_dcmqi(case, "labelmap"))),
        "label map, pydicom": (1, lambda: compare_voxels(case, read_by_pydicom(case, "labelmap"))),
        "surfaces, trimesh": (surfaces, lambda: compare_surfaces(case, points_by_pydicom_and_trimesh)),
        "surfaces, GDCM": (surfaces, lambda: compare_surfaces(case, points_by_gdcm_and_numpy_stl)),
    }
    if case.kind != "leaning slices":  # neither reader of structure sets knows such series
        checks |= {
            "structure set, dcmrtstruct2nii": (
                1,
                lambda: compare_dice(case, read_by_dcmrtstruct2nii(case), lowest["dcmrtstruct2nii"]),
            ),
            "structure set, rt-utils": (1, lambda: compare_dice(case, read_by_rt_utils(case), lowest["rt-utils"])),
        }
    return checks


def main() -> int:
    logging.disable(logging.WARNING)
    lowest: dict[str, list[float]] = defaultdict(list)
    checked: dict[str, int] = defaultdict(int)
    failed: list[str] = []
    cases = [Case(path.parent) for path in sorted(Path(sys.argv[1]).glob("*/expected.json"))]
    for case in cases:
        for name, (objects, check) in list_checks(case, lowest).items():
            try:
                wrong = check()
            except Exception as error:  # whatever a reader stumbles over is a finding
                wrong = f"{type(error).__name__}: {error}"
            checked[name] += objects
            if wrong:
                failed.append(f"{case.home.name} ({case.kind}), {name}: {wrong}")
    for name, count in sorted(checked.items()):
        print(f"{count:4} objects: {name}")
    for name, values in lowest.items():
        print(f"lowest Dice of a structure by {name}: {min(values):.5f}")
    kinds = ", ".join(sorted({case.kind for case in cases}))
    print(f"{len(cases)} cases, each in a frame of reference of its own ({kinds}); {len(failed)} checks failed")
    print("\n".join(failed))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
