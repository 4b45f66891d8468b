"""DICOM segmentations are label maps: told by codes or names, on the grid of their scan."""

from __future__ import annotations

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from highdicom.seg import SegmentAlgorithmTypeValues, Segmentation, SegmentationTypeValues, SegmentDescription
from highdicom.sr import CodedConcept
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    JPEGLSLossless,
    RLELossless,
    generate_uid,
)

from KneeSegLib.anatomy import structure
from KneeSegLib.errors import InputError
from KneeSegLib.io import dicom_segmentation
from KneeSegLib.io.dicom_segmentation import read_dicom_segmentation
from KneeSegLib.io.label_maps import read_label_map
from KneeSegLib.io.label_meaning import LabelMeaning
from KneeSegLib.io.volume import read_volume
from KneeSegLib.measurements.pair_reading import read_pair
from KneeSegLib.measurements.pairs import Pair
from Testing.io.dicom.conftest import write_series

FEMUR, TIBIA = structure("femur_right"), structure("tibia_left")
HEIGHTS_MM = range(0, 30, 3)


@pytest.fixture(scope="module")
def scan(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scan")
    tags = {"StudyInstanceUID": "1.2.3", "FrameOfReferenceUID": "1.2.4", "PatientID": "", "PatientName": ""}
    tags |= {"StudyID": "", "StudyDate": "", "StudyTime": "", "PatientBirthDate": "", "PatientSex": ""}
    return write_series(folder, HEIGHTS_MM, SliceThickness="3", AccessionNumber="", ReferringPhysicianName="", **tags)


def describe(number: int, label: str, bone=None) -> SegmentDescription:
    """A segment with the codes of a bone and its side, or with codes that say nothing."""
    region = CodedConcept("123037004", "SCT", "Anatomical Structure")
    kind = CodedConcept(bone.code.value, "SCT", bone.code.meaning) if bone else region
    found = SegmentDescription(number, label, region, kind, SegmentAlgorithmTypeValues.MANUAL)
    if bone:
        side = CodedConcept(bone.side_code.value, "SCT", bone.side_code.meaning)
        found.SegmentedPropertyTypeCodeSequence[0].SegmentedPropertyTypeModifierCodeSequence = [side]
    return found


def write_seg(path, scan, masks, descriptions, kind=SegmentationTypeValues.BINARY, **options):
    """Write masks ``[slice, row, column, segment]``; slices from below."""
    images = sorted((pydicom.dcmread(file) for file in scan.iterdir()), key=lambda image: image.ImagePositionPatient[2])
    made = Segmentation(
        images, masks, kind, descriptions, generate_uid(), 5, generate_uid(), 1, "nobody", "none", "0", "0", **options
    )
    made.save_as(path)
    return path


def two_boxes() -> np.ndarray:
    masks = np.zeros((len(HEIGHTS_MM), 32, 32, 2), np.uint8)
    masks[3:6, 5:12, 8:20, 0] = 1
    masks[6:9, 15:25, 8:14, 1] = 1
    return masks


DESCRIPTIONS = (describe(1, "thigh", FEMUR), describe(2, "Left tibia"))


KINDS = [
    (SegmentationTypeValues.BINARY, ExplicitVRLittleEndian),
    (SegmentationTypeValues.FRACTIONAL, ExplicitVRLittleEndian),
    (SegmentationTypeValues.FRACTIONAL, JPEGLSLossless),
    (SegmentationTypeValues.LABELMAP, RLELossless),
]


@pytest.mark.parametrize(("kind", "syntax"), KINDS)
def test_segments_are_known_by_codes_or_names_and_lie_where_the_scan_does(kind, syntax, scan, tmp_path):
    masks = two_boxes()
    stored = masks.astype(float) if kind is SegmentationTypeValues.FRACTIONAL else masks
    path = write_seg(tmp_path / "seg.dcm", scan, stored, DESCRIPTIONS, kind, transfer_syntax_uid=syntax)
    labels = read_label_map(path)
    reference = read_volume(scan).image
    expected, predicted = reference, sitk.Cast(labels, sitk.sitkUInt8)
    for value, segment in ((FEMUR.label_value, 0), (TIBIA.label_value, 1)):
        voxels = np.argwhere(sitk.GetArrayFromImage(predicted) == value)
        true = np.argwhere(masks[..., segment])
        assert len(voxels) == len(true)
        found = {tuple(np.round(predicted.TransformIndexToPhysicalPoint(v[::-1].tolist()), 3)) for v in voxels}
        assert found == {tuple(np.round(expected.TransformIndexToPhysicalPoint(v[::-1].tolist()), 3)) for v in true}


def test_overlapping_segments_are_layers(scan, tmp_path):
    masks = two_boxes()
    masks[3:6, 5:8, 8:20, 1] = 1
    image, segments = read_dicom_segmentation(write_seg(tmp_path / "seg.dcm", scan, masks, DESCRIPTIONS))
    assert image.GetNumberOfComponentsPerPixel() == 2
    assert [(segment.layer, segment.value, segment.number) for segment in segments] == [(0, 1, 1), (1, 1, 2)]
    counted = [np.count_nonzero(sitk.GetArrayFromImage(image)[..., layer]) for layer in (0, 1)]
    assert counted == [masks[..., segment].sum() for segment in (0, 1)]


def test_a_cut_segmentation_is_compared_on_the_grid_of_the_reference(scan, tmp_path):
    masks = two_boxes()
    path = write_seg(tmp_path / "seg.dcm", scan, masks, DESCRIPTIONS)
    reference = read_volume(scan).image
    true = np.where(masks[..., 0] > 0, FEMUR.label_value, 0) + np.where(masks[..., 1] > 0, TIBIA.label_value, 0)
    labels = sitk.GetImageFromArray(true.astype(np.uint8))
    labels.CopyInformation(reference)
    sitk.WriteImage(labels, str(tmp_path / "ref.nrrd"))
    expected, predicted, _ = read_pair(Pair("a", tmp_path / "ref.nrrd", path), LabelMeaning(), LabelMeaning())
    assert np.array_equal(sitk.GetArrayFromImage(expected), sitk.GetArrayFromImage(predicted))
    assert predicted.GetOrigin() == pytest.approx(expected.GetOrigin())


def test_segments_that_are_no_structure_are_named_by_the_user(scan, tmp_path):
    path = write_seg(tmp_path / "seg.dcm", scan, two_boxes(), (describe(1, "A"), describe(2, "B")))
    with pytest.raises(InputError, match="no structure of KneeSeg: the values 1, 2\\. Name them"):
        read_label_map(path)
    labels, _ = LabelMeaning.parse("1=femur_right,2=tibia_left").read(path)
    assert set(np.unique(sitk.GetArrayFromImage(labels))) == {0, FEMUR.label_value, TIBIA.label_value}


def test_folder_of_one_segmentation_stands_for_it(scan, tmp_path):
    write_seg(tmp_path / "IM0001", scan, two_boxes(), DESCRIPTIONS)
    assert np.count_nonzero(sitk.GetArrayFromImage(read_label_map(tmp_path))) == two_boxes().sum()


def test_other_dicom_is_no_label_map(scan):
    with pytest.raises(InputError, match="is DICOM but no segmentation"):
        read_label_map(next(iter(scan.iterdir())))


@pytest.mark.parametrize("keep", [400, 1500])
def test_damaged_segmentation_is_refused_in_a_sentence(keep, scan, tmp_path):
    path = write_seg(tmp_path / "seg.dcm", scan, two_boxes(), DESCRIPTIONS)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(InputError, match="seg.dcm is (a DICOM segmentation that cannot|DICOM but no seg)"):
        read_label_map(path)


def test_compressed_frames_that_end_their_decoder_are_refused_in_a_sentence(scan, tmp_path):
    masks = two_boxes().astype(float)
    syntax = {"transfer_syntax_uid": JPEGLSLossless}
    path = write_seg(tmp_path / "seg.dcm", scan, masks, DESCRIPTIONS, SegmentationTypeValues.FRACTIONAL, **syntax)
    start_of_frame = b"\xff\xf7\x00\x0b\x08\x00\x20\x00\x20"
    assert start_of_frame in path.read_bytes()
    path.write_bytes(path.read_bytes().replace(start_of_frame, b"\xff\xf7\x00\x0b\x08\xff\xf0\xff\xf0"))
    with pytest.raises(InputError, match="The frames of seg.dcm, a DICOM segmentation, cannot be decoded"):
        read_label_map(path)


def test_a_segmentation_that_inflates_without_end_is_refused(monkeypatch, scan, tmp_path):
    monkeypatch.setattr(dicom_segmentation, "LARGEST_INFLATED_SEGMENTATION", 2**20)
    path = write_seg(tmp_path / "seg.dcm", scan, two_boxes(), DESCRIPTIONS)
    dataset = pydicom.dcmread(path)
    dataset.PixelData = bytes(2**21)
    dataset.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    dataset.save_as(path)
    assert path.stat().st_size < 2**15
    with pytest.raises(InputError, match="deflated as a whole and takes more than 1 MB"):
        read_label_map(path)


def test_a_deflated_segmentation_that_is_damaged_is_one_sentence(scan, tmp_path):
    path = write_seg(tmp_path / "seg.dcm", scan, two_boxes(), DESCRIPTIONS)
    dataset = pydicom.dcmread(path)
    dataset.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    dataset.save_as(path)
    content = path.read_bytes()
    path.write_bytes(content[:400] + bytes([255] * 40) + content[440:])
    with pytest.raises(InputError, match="seg.dcm"):
        read_label_map(path)


def test_codes_of_the_older_scheme_are_known(scan, tmp_path):
    path = write_seg(tmp_path / "seg.dcm", scan, two_boxes(), DESCRIPTIONS)
    dataset = pydicom.dcmread(path)
    kind = dataset.SegmentSequence[0].SegmentedPropertyTypeCodeSequence[0]
    kind.CodeValue, kind.CodingSchemeDesignator = "T-12710", "SRT"
    side = kind.SegmentedPropertyTypeModifierCodeSequence[0]
    side.CodeValue, side.CodingSchemeDesignator, side.CodingSchemeVersion = "G-A100", "SRT", "1.1"
    dataset.save_as(path)
    _, (thigh, _) = read_dicom_segmentation(path)
    assert thigh.identity == FEMUR.key
