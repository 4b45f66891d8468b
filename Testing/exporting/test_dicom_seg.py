"""DICOM segmentation objects, read back by highdicom and by dcmqi, voxel for voxel in the patient's coordinates."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk

from KneeSegLib.exporting.dicom_seg import build_segmentation
from KneeSegLib.exporting.grids import find_turn
from KneeSegLib.exporting.headers import write_object
from Testing.exporting.conftest import corrected

pytest.importorskip("highdicom")


def read_by_highdicom(path: Path, scan) -> sitk.Image:
    from highdicom.seg import segread

    segmentation = segread(path)
    volume = segmentation.get_volume(combine_segments=True, relabel=False)
    by_key = {item.TrackingID: int(item.SegmentNumber) for item in segmentation.SegmentSequence if "TrackingID" in item}
    table = np.zeros(256, np.uint8)
    for found in scan.found:
        table[by_key[found.structure.key]] = found.structure.label_value
    image = sitk.GetImageFromArray(table[volume.array])
    matrix = volume.affine[:, [2, 1, 0, 3]]
    spacing = np.linalg.norm(matrix[:3, :3], axis=0)
    image.SetSpacing(spacing)
    image.SetOrigin(matrix[:3, 3])
    image.SetDirection((matrix[:3, :3] / spacing).ravel())
    return image


def assert_same_voxels(image: sitk.Image, labels: sitk.Image) -> None:
    """Every voxel of ``labels`` has its value in ``image`` at the same place, and nothing else is in ``image``."""
    there = sitk.Resample(image, labels, sitk.Transform(), sitk.sitkNearestNeighbor, 0.0)
    assert np.array_equal(sitk.GetArrayViewFromImage(there), sitk.GetArrayViewFromImage(labels))
    assert (sitk.GetArrayViewFromImage(image) != 0).sum() == (sitk.GetArrayViewFromImage(labels) != 0).sum()


@pytest.mark.parametrize("kind", ["binary", "labelmap"])
def test_voxels_lie_where_the_label_map_has_them(export, tmp_path, kind):
    made = build_segmentation(export.case, export.scan, export.source, kind, onto_source=False)
    write_object(made, tmp_path / "seg.dcm")
    assert_same_voxels(read_by_highdicom(tmp_path / "seg.dcm", export.scan), export.scan.labels)


DCMQI = Path(sys.executable).with_name("segimage2itkimage")


@pytest.mark.skipif(not DCMQI.exists() and not shutil.which(DCMQI.name), reason="dcmqi is not installed")
@pytest.mark.parametrize("kind", ["binary", "labelmap"])
def test_dcmqi_reads_the_same_voxels(export, tmp_path, kind):
    write_object(build_segmentation(export.case, export.scan, export.source, kind, False), tmp_path / "seg.dcm")
    command = [DCMQI, "--inputDICOM", tmp_path / "seg.dcm", "--outputDirectory", tmp_path, "--outputType", "nrrd"]
    subprocess.run([*map(str, command), "--mergeSegments"], check=True, capture_output=True, timeout=60)
    image = sitk.ReadImage(str(tmp_path / "1.nrrd"))
    if kind == "binary":  # numbered as they are listed
        values = np.array([0, *(found.structure.label_value for found in export.scan.found)], np.uint8)
        numbered = image
        image = sitk.GetImageFromArray(values[sitk.GetArrayFromImage(numbered)])
        image.CopyInformation(numbered)
    assert_same_voxels(image, export.scan.labels)


def test_frames_refer_to_their_images_where_the_voxels_are_theirs(export):
    made = build_segmentation(export.case, export.scan, export.source, "binary", onto_source=False)
    assert made.FrameOfReferenceUID == export.source.header.FrameOfReferenceUID
    assert made.ReferencedSeriesSequence[0].SeriesInstanceUID == export.source.header.SeriesInstanceUID
    positions = {header.SOPInstanceUID: header.ImagePositionPatient for header in export.source.headers}
    if find_turn(export.scan.labels, export.source.grid) is None:
        return
    for frame in made.PerFrameFunctionalGroupsSequence:
        (derived,) = frame.DerivationImageSequence
        uid = derived.SourceImageSequence[0].ReferencedSOPInstanceUID
        assert np.allclose(frame.PlanePositionSequence[0].ImagePositionPatient, positions[uid], atol=1e-3)


def test_labels_with_other_voxels_are_brought_onto_the_images_when_asked(export, tmp_path):
    write_object(build_segmentation(export.case, export.scan, export.source, "labelmap", True), tmp_path / "seg.dcm")
    expected = sitk.Resample(
        export.scan.labels, export.source.grid, sitk.Transform(), sitk.sitkNearestNeighbor, 0.0, sitk.sitkUInt8
    )
    images = [header.SOPInstanceUID for header in export.source.headers]
    found = np.zeros(expected.GetSize()[::-1], np.uint8)
    made = pydicom.dcmread(tmp_path / "seg.dcm")
    for frame, group in zip(made.pixel_array, made.PerFrameFunctionalGroupsSequence, strict=True):
        uid = group.DerivationImageSequence[0].SourceImageSequence[0].ReferencedSOPInstanceUID
        found[images.index(uid)] = frame
    assert np.array_equal(found, sitk.GetArrayViewFromImage(expected))


def test_segments_are_named_in_codes_with_their_side_and_tell_what_made_them(saved):
    from KneeSegLib.exporting.saved_case import read_saved_case
    from KneeSegLib.exporting.source import find_source

    case = read_saved_case(saved)
    scan = corrected(case.scans[0])
    made = build_segmentation(case, scan, find_source(scan, None), "binary", False)
    segments = {item.TrackingID: item for item in made.SegmentSequence}
    assert list(segments) == ["femur_right", "patella_right", "medial_meniscus_left"]
    femur, meniscus = segments["femur_right"], segments["medial_meniscus_left"]
    assert (femur.SegmentLabel, femur.SegmentedPropertyTypeCodeSequence[0].CodeValue) == ("Right femur", "71341001")
    side = femur.SegmentedPropertyTypeCodeSequence[0].SegmentedPropertyTypeModifierCodeSequence[0]
    assert (side.CodingSchemeDesignator, side.CodeMeaning) == ("SCT", "Right")
    region = meniscus.AnatomicRegionSequence[0]
    assert region.CodeMeaning == "Knee"
    assert [item.CodeMeaning for item in region.AnatomicRegionModifierSequence] == ["Medial", "Left"]
    assert (femur.SegmentAlgorithmType, meniscus.SegmentAlgorithmType) == ("SEMIAUTOMATIC", "AUTOMATIC")
    algorithm = meniscus.SegmentationAlgorithmIdentificationSequence[0]
    assert (algorithm.AlgorithmName, algorithm.AlgorithmVersion) == ("KneeSeg ct-knee", "0.1.0")
    assert algorithm.AlgorithmParameters == "quality=high,edge=cortex"
    again = build_segmentation(case, scan, find_source(scan, None), "labelmap", False)
    assert [item.TrackingUID for item in again.SegmentSequence[1:]] == [
        item.TrackingUID for item in made.SegmentSequence
    ]
    assert (made.PatientName, made.StudyInstanceUID) == ("Doe^Jane", find_source(scan, None).header.StudyInstanceUID)
