"""Exporting whole cases: what is written for whom, and what is said where it cannot be."""

from __future__ import annotations

import csv
import io
import json
import shutil
from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from pydicom.uid import generate_uid
from scipy.spatial import cKDTree

from KneeSegLib.anatomy import structure
from KneeSegLib.errors import InputError, OutputError
from KneeSegLib.exporting.export import ExportRequest, export_cases
from KneeSegLib.exporting.saved_case import read_saved_case
from KneeSegLib.exporting.source import find_source
from KneeSegLib.io.dicom_series import list_series
from KneeSegLib.io.label_meaning import LabelMeaning
from KneeSegLib.measurements.structures import measure_structures
from Testing.exporting.conftest import GRIDS, OBLIQUE, make_labels, save_small, store, write_source

pytest.importorskip("highdicom")


def test_a_surface_is_wrapped_as_it_is_and_names_its_source(saved, tmp_path):
    from KneeSegLib.geometry.mesh import points_of
    from KneeSegLib.surfaces import read_surface

    written = export_cases([saved], tmp_path / "out", ExportRequest("encapsulated-stl"))
    assert written.files == ("femur_right.dcm", "patella_right.dcm", "medial_meniscus_left.dcm")
    objects = [pydicom.dcmread(tmp_path / "out" / name) for name in written.files]
    assert len({entry.SeriesInstanceUID for entry in objects}) == 1
    assert [entry.InstanceNumber for entry in objects] == [1, 2, 3]
    femur = objects[0]
    assert (femur.Modality, femur.MIMETypeOfEncapsulatedDocument, femur.DocumentTitle) == (
        "M3D",
        "model/stl",
        "Right femur",
    )
    assert femur.MeasurementUnitsCodeSequence[0].CodeValue == "mm"
    assert len(femur.SourceInstanceSequence) == 18
    (tmp_path / "femur.stl").write_bytes(femur.EncapsulatedDocument[: femur.EncapsulatedDocumentLength])
    expected = read_saved_case(saved).scans[0].surfaces()["femur_right"]
    points = points_of(read_surface(tmp_path / "femur.stl"))
    assert len(points) == expected.GetNumberOfPoints()
    assert cKDTree(points_of(expected)).query(points)[0].max() < 1e-3


@pytest.mark.parametrize(("name", "ending"), [("nifti", ".nii.gz"), ("nrrd", ".nrrd")])
def test_plain_label_maps_have_the_grid_and_a_table_of_their_values(saved, tmp_path, name, ending):
    export_cases([saved], tmp_path / "out", ExportRequest(name))
    image, labels = sitk.ReadImage(str(tmp_path / "out" / f"segmentation{ending}")), make_labels(OBLIQUE)
    assert np.array_equal(sitk.GetArrayFromImage(image), sitk.GetArrayFromImage(labels))
    assert np.allclose(image.GetDirection(), labels.GetDirection(), atol=1e-5)
    assert np.allclose(image.GetOrigin(), labels.GetOrigin(), atol=1e-3)
    rows = list(csv.DictReader(io.StringIO((tmp_path / "out" / "labels.csv").read_text(encoding="utf-8"))))
    assert [(row["value"], row["key"]) for row in rows][:2] == [("2", "femur_right"), ("3", "patella_right")]


def test_corrected_cases_become_a_data_set_for_nnunet(saved, tmp_path):
    other = save_small(tmp_path / "other", store(make_labels(OBLIQUE), "as the images"), tmp_path / "source")
    folder = tmp_path / "Dataset007_Knee"
    export_cases([saved, other], folder, ExportRequest("nnunet"))
    description = json.loads((folder / "dataset.json").read_text(encoding="utf-8"))
    assert (description["numTraining"], description["channel_names"]) == (2, {"0": "CT"})
    image, labels = (
        sitk.ReadImage(str(folder / part)) for part in ("imagesTr/case_0000.nii.gz", "labelsTr/case.nii.gz")
    )
    assert image.GetSize() == labels.GetSize()
    assert sitk.GetArrayViewFromImage(image).min() >= 100, "the pixels of the source"
    with pytest.raises(InputError, match="nnU-Net takes folders called"):
        export_cases([saved], tmp_path / "knees", ExportRequest("nnunet"))


def test_a_voxel_that_moved_within_a_structure_tells_of_a_hand_in_it(saved):
    scan = read_saved_case(saved).scans[0]
    femur, *others = scan.found
    array = sitk.GetArrayFromImage(scan.labels)
    array[9, 16, 18], array[9, 16, 20] = femur.structure.label_value, 0  # from its wall into its hole
    labels = sitk.GetImageFromArray(array)
    labels.CopyInformation(scan.labels)
    edited = measure_structures(labels)
    assert (edited[0].voxels, edited[0].box) == (femur.voxels, femur.box)
    assert [scan.making_of(found) for found in edited] == ["SEMIAUTOMATIC", *["AUTOMATIC"] * len(others)]


@pytest.mark.parametrize("number", [0, 1])
def test_a_case_of_one_echo_leads_back_to_that_echo(tmp_path, number):
    common = {"Modality": "MR", **{f"{what}UID": generate_uid() for what in ("SeriesInstance", "StudyInstance")}}
    echoes = [
        write_source(tmp_path / f"scan/{time}", EchoTime=time, FrameOfReferenceUID="1.2.3", **common)
        for time in ("5.0", "15.0")
    ]
    case = save_small(tmp_path / "case", make_labels(), echoes[number], "MR")
    record = json.loads((case / "case.json").read_text(encoding="utf-8"))
    record["input"] |= {"path": str(tmp_path / "scan"), "source": list_series(tmp_path / "scan")[number].name}
    (case / "case.json").write_text(json.dumps(record), encoding="utf-8")
    source = find_source(read_saved_case(case).scans[0], None)
    assert {str(header.EchoTime) for header in source.headers} == {("5.0", "15.0")[number]}


def test_files_of_one_case_in_parts_keep_names_of_their_own(tmp_path):
    for part in ("left", "right"):
        sitk.WriteImage(make_labels(), str(tmp_path / f"P1.{part}.nii.gz"))
    places = [tmp_path / f"P1.{part}.nii.gz" for part in ("left", "right")]
    written = export_cases(places, tmp_path / "out", ExportRequest("nrrd"))
    assert {name.split("/")[0] for name in written.files} == {"P1.left", "P1.right"}


def test_several_scans_in_frames_of_their_own_become_an_object_each(tmp_path):
    home = tmp_path / "case"
    records = []
    for name, grid in (("hip", GRIDS["axial"]), ("knee", GRIDS["oblique"])):
        source = write_source(tmp_path / name, grid)
        save_small(home / name, make_labels(grid.direction), source)
        record = json.loads((home / name / "case.json").read_text(encoding="utf-8"))
        for entry in record["structures"]:
            entry["surface"]["file"] = f"{name}/{entry['surface']['file']}"
        records.append({"name": name, "input": record["input"], "structures": record["structures"]})
    record.update(scans=records)
    (home / "case.json").write_text(json.dumps(record), encoding="utf-8")
    written = export_cases([home], tmp_path / "out", ExportRequest("dicom-seg"))
    assert written.files == ("hip/segmentation.dcm", "knee/segmentation.dcm")
    frames = {pydicom.dcmread(tmp_path / "out" / name).FrameOfReferenceUID for name in written.files}
    sources = {pydicom.dcmread(tmp_path / name / "000.dcm").FrameOfReferenceUID for name in ("hip", "knee")}
    assert frames == sources and len(frames) == 2


def test_a_note_says_that_the_patient_is_named_and_that_the_grid_is_another(tmp_path):
    source = write_source(tmp_path / "source")
    case = save_small(tmp_path / "case", store(make_labels(), "turned"), source)
    notes = export_cases([case], tmp_path / "out", ExportRequest("dicom-seg")).notes
    assert len(notes) == 2 and "names the patient" in notes[0] and "--onto-source" in notes[1]


def test_anonymised_objects_name_nobody_and_hold_the_same_voxels(saved, tmp_path):
    named, nameless = (ExportRequest("dicom-seg", anonymise=anonymise) for anonymise in (False, True))
    export_cases([saved], tmp_path / "named", named)
    assert export_cases([saved], tmp_path / "nameless", nameless).notes == ()
    before, after = (pydicom.dcmread(tmp_path / name / "segmentation.dcm") for name in ("named", "nameless"))
    assert (after.PatientName, after.PatientID, after.PatientIdentityRemoved) == ("", "", "YES")
    assert after.StudyInstanceUID != before.StudyInstanceUID and after.PixelData == before.PixelData
    content = (tmp_path / "nameless" / "segmentation.dcm").read_bytes()
    known = (b"Doe", b"Jane", b"P-1", b"A-7", b"19700203", before.StudyInstanceUID.encode())
    assert [word for word in known if word in content] == []


def test_a_source_that_is_gone_is_one_sentence_and_is_found_where_it_went(saved, tmp_path):
    shutil.move(tmp_path / "source", tmp_path / "archive")
    request = ExportRequest("dicom-seg")
    with pytest.raises(InputError, match=r"is no longer at .*source; give the folder where it lies now with --source"):
        export_cases([saved], tmp_path / "out", request)
    assert not (tmp_path / "out").exists()
    export_cases([saved], tmp_path / "out", ExportRequest("dicom-seg", tmp_path / "archive"))
    assert (tmp_path / "out" / "segmentation.dcm").is_file()
    with pytest.raises(OutputError, match="exists already"):
        export_cases([saved], tmp_path / "out", ExportRequest("dicom-seg", tmp_path / "archive"))


def test_a_source_of_another_scan_is_refused(saved, tmp_path):
    other = write_source(tmp_path / "other")
    with pytest.raises(InputError, match="is not in .*other, which holds 1 others"):
        export_cases([saved], tmp_path / "out", ExportRequest("rtstruct", other))
    record = json.loads((saved / "case.json").read_text(encoding="utf-8"))
    record["input"]["series_key"] = None  # of an older case, or one made from NRRD
    (saved / "case.json").write_text(json.dumps(record), encoding="utf-8")
    with pytest.raises(InputError, match="names no DICOM series"):
        export_cases([saved], tmp_path / "out", ExportRequest("rtstruct"))
    moved = sitk.Image(make_labels(OBLIQUE))
    moved.SetOrigin((500.0, 0.0, 0.0))
    apart = save_small(tmp_path / "apart", moved, tmp_path / "source")
    with pytest.raises(InputError, match="do not lie within a CT or MR series"):
        export_cases([apart], tmp_path / "out", ExportRequest("rtstruct"))
    with pytest.raises(InputError, match="holds 1 file but no image|no image|is empty"):
        (tmp_path / "nothing").mkdir()
        export_cases([saved], tmp_path / "out", ExportRequest("rtstruct", tmp_path / "nothing"))


def test_headers_that_lack_what_an_object_needs_are_one_sentence(tmp_path):
    source = write_source(tmp_path / "source", FrameOfReferenceUID=None)
    case = save_small(tmp_path / "case", make_labels(), source)
    for name in ("dicom-seg", "rtstruct", "encapsulated-stl"):
        with pytest.raises(InputError, match="has no FrameOfReferenceUID"):
            export_cases([case], tmp_path / "out", ExportRequest(name))


def test_a_header_that_cannot_be_taken_over_is_told_without_what_it_says(tmp_path):
    source = write_source(tmp_path / "source", PatientBirthDate="DOE")
    case = save_small(tmp_path / "case", make_labels(), source)
    for name in ("dicom-seg", "rtstruct"):
        with pytest.raises(InputError, match=r"cannot be taken over \(ValueError\); export the series again") as told:
            export_cases([case], tmp_path / "out", ExportRequest(name))
        assert "DOE" not in str(told.value)


def test_anonymised_sources_without_patient_tags_serve(tmp_path):
    tags = dict.fromkeys(("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "AccessionNumber", "StudyDate"))
    source = write_source(tmp_path / "source", **tags)
    case = save_small(tmp_path / "case", make_labels(), source)
    for name in ("dicom-seg", "rtstruct"):
        assert export_cases([case], tmp_path / name, ExportRequest(name)).notes == ()


@pytest.mark.parametrize(
    ("request_of", "option"),
    [
        (ExportRequest("rtstruct", segments="labelmap"), "--segments labelmap is for dicom-seg alone"),
        (ExportRequest("nrrd", onto_source=True), "--onto-source is for dicom-seg alone"),
        (ExportRequest("nnunet", anonymise=True), "--anonymise is for dicom-seg, rtstruct and encapsulated-stl alone"),
        (ExportRequest("nifti", source=Path("source")), "--source is for .* and nnunet alone"),
    ],
)
def test_an_option_that_the_format_has_no_use_for_is_refused(saved, tmp_path, request_of, option):
    with pytest.raises(InputError, match=f"^{option}; leave it out"):
        export_cases([saved], tmp_path / "out", request_of)


def test_one_image_is_not_taken_for_that_of_several_cases(saved, tmp_path):
    other = save_small(tmp_path / "other", make_labels(OBLIQUE), tmp_path / "source")
    image = tmp_path / "scan.nrrd"
    sitk.WriteImage(make_labels(OBLIQUE), str(image))
    with pytest.raises(InputError, match="is one image, which cannot be that of 2 cases"):
        export_cases([saved, other], tmp_path / "Dataset007_Knee", ExportRequest("nnunet", image))


def test_cases_of_one_name_and_cases_without_structures_are_refused(saved, tmp_path):
    with pytest.raises(InputError, match="are called case, and each case is written under its name"):
        export_cases([saved, saved], tmp_path / "out", ExportRequest("nrrd"))
    sitk.WriteImage(make_labels() * 0, str(tmp_path / "empty.nrrd"))
    with pytest.raises(InputError, match="holds no structure"):
        export_cases([tmp_path / "empty.nrrd"], tmp_path / "out", ExportRequest("nrrd"))


def test_values_of_other_programs_are_given_a_meaning(tmp_path):
    mask = np.zeros((8, 9, 10), np.uint8)
    mask[2:6, 2:6, 2:6] = 255
    sitk.WriteImage(sitk.GetImageFromArray(mask), str(tmp_path / "mask.nrrd"))
    with pytest.raises(InputError, match='the value 255, .* with --labels "255=femur_right"'):
        export_cases([tmp_path / "mask.nrrd"], tmp_path / "out", ExportRequest("nrrd"))
    request = ExportRequest("nrrd", labels=LabelMeaning.parse("255=femur_right"))
    export_cases([tmp_path / "mask.nrrd"], tmp_path / "out", request)
    written = sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "out" / "segmentation.nrrd")))
    assert np.array_equal(written == structure("femur_right").label_value, mask == 255)


def test_numbers_that_were_taken_for_ours_are_told(tmp_path):
    values = np.zeros((8, 9, 10), np.uint8)
    values[2:6, 2:6, 2:6] = structure("femur_right").label_value
    sitk.WriteImage(sitk.GetImageFromArray(values), str(tmp_path / "labels.nrrd"))
    (note,) = export_cases([tmp_path / "labels.nrrd"], tmp_path / "out", ExportRequest("nrrd")).notes
    assert "KneeSeg's own numbers were taken (2 Right femur)" in note
