"""A planning CT of hip, knee and ankle in one DICOM series becomes one case of three scans."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

import KneeSegLib as ks
from KneeSegLib import block_runs, scan_run
from KneeSegLib.errors import AnatomyNotFoundError, InputError
from KneeSegLib.geometry.mesh import points_of
from KneeSegLib.io.volume import read_scans, read_volume
from KneeSegLib.io.volume_type import make_volume
from KneeSegLib.pipelines.request import Request
from KneeSegLib.progress import no_progress
from Testing.phantoms.legs import OracleModels, leg_phantom

HEIGHTS_MM = {"hip": (800.0, 990.0), "knee": (390.0, 600.0), "ankle": (0.0, 160.0)}
SPACING_MM = (4.0, 4.0, 6.0)


def write_block(folder, image: sitk.Image, shift_mm=(0.0, 0.0), **tags) -> None:
    """Write transverse slices of one series; ``shift_mm`` moves them to the patient's left and back."""
    folder.mkdir(parents=True, exist_ok=True)
    values = sitk.GetArrayFromImage(image)
    origin, spacing = image.GetOrigin(), image.GetSpacing()
    for k, plane in enumerate(values):
        dataset = pydicom.Dataset()
        dataset.file_meta = pydicom.dataset.FileMetaDataset()
        dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        dataset.SOPClassUID, dataset.SOPInstanceUID = CTImageStorage, generate_uid()
        dataset.file_meta.MediaStorageSOPClassUID = CTImageStorage
        dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
        dataset.Modality, dataset.SeriesInstanceUID, dataset.SeriesNumber = "CT", "1.2.3.5", 4
        dataset.SeriesDescription, dataset.FrameOfReferenceUID = "Torsion", "1.2.3.6"
        dataset.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
        position = (origin[0] + shift_mm[0], origin[1] + shift_mm[1], origin[2] + k * spacing[2])
        dataset.ImagePositionPatient = [f"{value:.6g}" for value in position]
        dataset.ImageOrientationPatient, dataset.PixelSpacing = [1, 0, 0, 0, 1, 0], [spacing[1], spacing[0]]
        dataset.Rows, dataset.Columns = plane.shape
        dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
        dataset.BitsAllocated = dataset.BitsStored = 16
        dataset.HighBit, dataset.PixelRepresentation = 15, 1
        dataset.RescaleIntercept, dataset.RescaleSlope = 0, 1
        dataset.PixelData = plane.astype(np.int16).tobytes()
        for keyword, value in tags.items():
            setattr(dataset, keyword, value)
        dataset.save_as(folder / f"{k}.dcm", enforce_file_format=True)


@pytest.fixture(scope="module")
def phantoms():
    return {name: leg_phantom(("right",), heights, spacing_mm=SPACING_MM) for name, heights in HEIGHTS_MM.items()}


@pytest.fixture(scope="module")
def planning_ct(phantoms, tmp_path_factory):
    folder = tmp_path_factory.mktemp("planning")
    for name, phantom in phantoms.items():
        write_block(folder / name, phantom.image)
    return folder


@pytest.fixture(scope="module")
def case(planning_ct):
    return ks.segment(planning_ct, load=OracleModels(), device="cpu")


def test_blocks_are_read_from_head_to_foot_each_on_its_grid(planning_ct, phantoms):
    volumes = read_scans(planning_ct)
    assert [volume.image.GetSize() for volume in volumes] == [p.image.GetSize() for p in phantoms.values()]
    assert [volume.image.GetOrigin() for volume in volumes] == [p.image.GetOrigin() for p in phantoms.values()]
    assert all(volume.frame_of_reference == "1.2.3.6" for volume in volumes)
    assert len(read_scans(planning_ct, "1.2.3.5")) == len(read_scans(planning_ct, "Torsion")) == 3
    (knee,) = read_scans(planning_ct, "2")
    assert knee.image.GetOrigin() == read_volume(planning_ct, "2").image.GetOrigin() == volumes[1].image.GetOrigin()


def test_blocks_are_one_case_of_scans_named_after_their_joints(case, phantoms):
    assert [scan.name for scan in case.scans] == ["hip", "knee", "ankle"]
    for scan, phantom in zip(case.scans, phantoms.values(), strict=True):
        found, truth = (sitk.GetArrayFromImage(image) for image in (scan.labels, phantom.truth))
        assert (found == truth).mean() > 0.99
        assert {entry.structure.side for entry in scan.structures} == {"right"}
    assert [w for w in case.warnings if "between the blocks" in w or "frame of reference" in w] == []
    shaft = points_of(case.surfaces()["knee/femur_right"])
    assert np.median(shaft[:, 2]) == pytest.approx(540.0, abs=60.0)


def test_slices_that_are_there_twice_are_told_once(phantoms, tmp_path):
    for name in ("hip", "knee"):
        for copy in ("", "again"):
            write_block(tmp_path / copy / name, phantoms[name].image)
    volumes = read_scans(tmp_path)
    count = sum(phantoms[name].image.GetSize()[2] for name in ("hip", "knee"))
    assert [note.split(" that")[0] for volume in volumes for note in volume.notes if "twice" in note] == [
        f"{count} slices"
    ]


def test_case_is_saved_with_what_concerns_each_scan(case, tmp_path):
    case.save(tmp_path / "out")
    record = json.loads((tmp_path / "out" / "case.json").read_text(encoding="utf-8"))
    assert [(scan["name"], scan["frame_of_reference"]) for scan in record["scans"]] == [
        ("hip", 1),
        ("knee", 1),
        ("ankle", 1),
    ]
    assert set(record["provenance"]["scans"]) == {"hip", "knee", "ankle"}
    assert record["provenance"]["pipeline"] == "ct-leg"


def test_frames_of_reference_that_differ_and_a_patient_who_moved_are_told(phantoms, tmp_path):
    write_block(tmp_path / "hip", phantoms["hip"].image)
    write_block(tmp_path / "knee", phantoms["knee"].image, shift_mm=(60.0, 0.0), FrameOfReferenceUID="1.2.3.7")
    case = ks.segment(tmp_path, load=OracleModels(), device="cpu")
    assert [scan.name for scan in case.scans] == ["hip", "knee"]
    assert any("do not share one frame of reference" in warning for warning in case.warnings)
    assert any("right femur does not go on in the knee scan" in warning for warning in case.warnings)


def test_block_without_a_bone_is_said_and_the_others_are_kept(phantoms, tmp_path):
    write_block(tmp_path / "knee", phantoms["knee"].image)
    empty = phantoms["ankle"].image * 0 - 1000
    empty[0, 0, 0] = 900
    write_block(tmp_path / "ankle", sitk.Cast(empty, sitk.sitkInt16))
    case = ks.segment(tmp_path, load=OracleModels(), device="cpu")
    assert [scan.name for scan in case.scans] == ["knee"]
    assert any("block 1 of 2" in warning for warning in case.warnings), case.warnings


def test_block_with_a_damaged_slice_or_unusable_values_is_said_and_the_others_are_kept(phantoms, tmp_path):
    for name in ("hip", "knee"):
        write_block(tmp_path / name, phantoms[name].image)
    write_block(tmp_path / "ankle", phantoms["ankle"].image * 0 + 7)
    damaged = tmp_path / "hip" / "3.dcm"
    damaged.write_bytes(damaged.read_bytes()[:-500])
    case = ks.segment(tmp_path, load=OracleModels(), device="cpu")
    assert [scan.name for scan in case.scans] == ["knee"]
    assert any("was left out. The pixels of file" in note for note in case.scans[0].volume.notes)
    assert any("has the value 7" in warning for warning in case.warnings), case.warnings
    write_block(tmp_path / "knee", phantoms["knee"].image * 0 + 7)
    with pytest.raises(InputError, match="block 2 of 3.*has the value 7"):
        ks.segment(tmp_path, load=OracleModels(), device="cpu")


@pytest.mark.parametrize("second_finds", [True, False])
def test_block_of_the_other_side_is_segmented_anew_and_never_lost(second_finds, phantoms, monkeypatch):
    request, other = Request(device="cpu"), Request(pipeline="ct-femur-vnet", device="cpu")
    volumes = [make_volume(phantoms[name].image, "CT", name, []) for name in ("hip", "knee")]
    runs, _ = block_runs.prepare_blocks(volumes, request, other, OracleModels())
    run, opinions = scan_run.run_pipeline, []

    def refuse_left(request, *rest):
        if request.side == "left" and not second_finds:
            raise AnatomyNotFoundError("No left leg was found.")
        return run(replace(request, side="auto"), *rest)  # the phantom has no left leg

    monkeypatch.setattr(scan_run, "run_pipeline", refuse_left)
    monkeypatch.setattr(scan_run, "add_opinion", lambda case, first, other, *rest: opinions.append(other.side))
    monkeypatch.setattr("KneeSegLib.joining.find_odd_sides", lambda cases: ("left", [1]))
    case = block_runs.segment_blocks(runs, [], no_progress)
    assert len(case.scans) == 2 and "taken for the left one" in case.warnings[-1]
    assert ("kept its side" in case.warnings[-1]) is not second_finds
    assert opinions == ["auto", "auto", *(["left"] if second_finds else [])]
