"""What a DICOM header says of a patient is in no output, however it is spelled and wherever it was typed."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from KneeSegLib.anatomy import structure
from KneeSegLib.case import Case, ScanResult
from KneeSegLib.io.dicom_series import list_series
from KneeSegLib.io.volume import read_volume
from KneeSegLib.measurements.structures import measure_structures
from Testing.io.dicom.conftest import write_slice

pytestmark = pytest.mark.filterwarnings("ignore:Invalid value")  # of what is written here

SPELLINGS = (
    *("Zyxwell^Quentin", "ZYXWELL QUENTIN", "zyxwell, quentin", "Zyxwell-Quorn^Ana", "O'Zyxwell^Pat", "de Zyxwell"),
    *("Qz^Xu", "Vy^Ng", "Jürgen^Größl", "Nuñez^Zoë", "Łukaszczyk^Żaneta", "Çelikoğlu", "Ødegård^Åse", "Dvořáček"),
    *(
        "山田^太郎",
        "Yamada^Tarou=山田^太郎=やまだ^たろう",
        "김^희중",
        "Nguyễn^Thị Hường",
        "Вишневская^Ольга",
        "مريم^حداد",
    ),
    *("Quux geb. Xyzzyk", "Xyzzyk née Quux", "Zyx.Q.", "ZYXQ01011970", "1970-02-31", "31.02.1970", "19700231"),
    *("ACC-0047-1199", "MRN 83914477", "83914477"),
)
NAMES = ("PatientName", "OtherPatientNames", "PatientBirthName", "PatientMotherBirthName", "ReferringPhysicianName")
TYPED = (
    *("PatientID", "OtherPatientIDs", "PatientAddress", "PatientComments", "StudyDescription", "SeriesDescription"),
    *("ProtocolName", "PerformedProcedureStepDescription", "RequestedProcedureDescription", "ImageComments"),
    *("InstitutionName", "AdmissionID", "ContrastBolusAgent"),
)
SHORT = ("AccessionNumber", "StudyID", "StationName", "ConvolutionKernel")
CODES = ("ScanOptions", "BodyPartExamined", "AcquisitionType")
DATES = ("PatientBirthDate", "StudyDate", "ContentDate")
UID = "1.2.840.83914477.19700231"
SIZE = 40


def identifying_tags(spelling: str) -> dict[str, object]:
    """Return the tags of a file in which a spelling stands wherever it can."""
    return {
        "SpecificCharacterSet": "ISO_IR 192",
        **dict.fromkeys((*NAMES, *TYPED), spelling),
        **dict.fromkeys(SHORT, spelling[:16]),
        **dict.fromkeys(CODES, (code := spelling.encode("latin-1", "replace").decode("latin-1")[:16])),
        **dict.fromkeys(DATES, "19700231"),
        "ImageType": ["ORIGINAL", "PRIMARY", code],
        "SeriesInstanceUID": UID,
        "SeriesNumber": "83914477",
        "EchoTime": "8.25",
    }


def find_identity(text: bytes, spellings=SPELLINGS) -> list[str]:
    """Return what of a person stands in an output: whole spellings, and their parts of five letters and more."""
    shown = text.decode("utf-8", "replace").casefold()
    parts = {part for spelling in spellings for part in [spelling, *re.split(r"[\W_]+", spelling)] if len(part) > 4}
    return [part for part in parts | {UID} if part.casefold() in shown]


def write_scan(folder: Path, spellings: tuple[str, ...], slices: int = 6) -> Path:
    """Write a series whose files have names and tags that say who the patient is, and a damaged file among them."""
    for k in range(slices):
        spelling = spellings[k % len(spellings)]
        stored = np.full((SIZE, SIZE), 24, np.uint16)
        stored[10:30, 10:30] = 2000
        write_slice(
            folder / f"{_as_file_name(spelling)}_{k}.dcm", stored, (0, 0, 2.0 * k), **identifying_tags(spelling)
        )
    (folder / f"{_as_file_name(spellings[0])}.dcm").write_bytes(b"damaged")
    return folder


def _as_file_name(spelling: str) -> str:
    return re.sub(r"[^-^ .\w]", "", spelling)


@pytest.fixture
def without_networks(monkeypatch) -> None:
    """Put a box in the place of what networks find; reading and writing are the real ones."""

    def run(request, info, volume, progress, load) -> Case:
        array = np.zeros(volume.image.GetSize()[::-1], np.uint8)
        array[3:-3, 11:29, 11:29] = structure("femur_right").label_value
        labels = sitk.GetImageFromArray(array)
        labels.CopyInformation(volume.image)
        provenance = {
            "version": "0",
            "pipeline": request.pipeline,
            "pipeline_title": info.title,
            "options": {"series": request.recorded_series},
            "bundles": [],
            "device": "cpu",
            "timings": {"run": 1.0},
            "date": "2026-01-01T00:00:00+00:00",
        }
        return Case([ScanResult(volume, labels, {}, measure_structures(labels))], [], provenance)

    monkeypatch.setattr("KneeSegLib.scan_run.run_pipeline", run)


def test_of_a_place_only_what_the_user_named_is_kept(tmp_path):
    scan = write_scan(tmp_path / "scan" / "Xyzzyk (born Quux)", ("Zyxwell^Quentin",))
    volume = read_volume(tmp_path / "scan")
    assert (volume.path, scan.parent) == (tmp_path / "scan", tmp_path / "scan")


def test_no_spelling_in_no_tag_reaches_an_output(kneeseg, without_networks, tmp_path):
    scan = write_scan(tmp_path / "scan", SPELLINGS, len(SPELLINGS))
    outcome = kneeseg("segment", scan, "-o", tmp_path / "out", "--pipeline", "ct-knee", "--series", UID)
    assert outcome.status == 0, outcome.err
    assert "1 damaged file was left out; the first of them is file" in outcome.err
    written = [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
    assert {"case.json", "report.html", "segmentation.seg.nrrd", "femur_right.stl"} <= {path.name for path in written}
    outputs = {path.name: path.read_bytes() for path in written}
    outputs["terminal"] = (outcome.out + outcome.err).encode()
    assert {name: found for name, text in outputs.items() if (found := find_identity(text))} == {}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_no_spelling_is_in_a_list_of_series_or_in_a_volume(spelling, tmp_path, capfd):
    scan = write_scan(tmp_path / "scan", (spelling,), 4)
    capfd.readouterr()
    volume = read_volume(scan)
    shown = f"{list_series(scan)} {list(map(str, list_series(scan)))} {volume} {volume.image.GetMetaDataKeys()}"
    assert find_identity((shown + "".join(capfd.readouterr())).encode(), (spelling,)) == []


@pytest.mark.parametrize("command", [("--list-series",), ("--list-series", "--progress", "json")])
def test_descriptions_are_shown_to_who_asks_for_them(command, kneeseg, tmp_path):
    scan = write_scan(tmp_path / "scan", ("PD sagittal Zyxwell",))
    assert find_identity(kneeseg("segment", scan, *command).out.encode()) == []
    assert "PD sagittal Zyxwell" in kneeseg("segment", scan, *command, "--keep-description").out


def test_an_archive_of_other_objects_is_described_without_what_they_say(kneeseg, tmp_path):
    blank = np.zeros((8, 8), np.uint16)
    write_slice(tmp_path / "scan" / "a.dcm", blank, (0, 0, 0), Modality="ZYXWELL")
    write_slice(tmp_path / "scan" / "b.dcm", blank, (0, 0, 0), Modality="US")
    assert "holds no volume (1 other images, 1 US images)" in kneeseg("segment", tmp_path / "scan", "-o", "x").err


def test_what_cannot_be_read_is_told_without_names_and_values(kneeseg, tmp_path):
    scan = write_scan(tmp_path / "scan", ("Zyxwell^Quentin",))
    for path in scan.glob("*_*.dcm"):
        path.write_bytes(b"Zyxwell^Quentin" * 100)
    outcome = kneeseg("segment", scan, "-o", tmp_path / "out")
    assert "7 DICOM files that cannot be read (the first is file 1 of 7: it does not begin like DICOM)" in outcome.err
    assert find_identity(outcome.err.encode()) == []


def test_a_number_that_is_none_is_told_without_what_stands_there(kneeseg, tmp_path):
    scan = write_scan(tmp_path / "scan", ("Zyxwell^Quentin",))
    for path in scan.glob("*_*.dcm"):
        spacing, text = b"DS\x04\x002\\2 ", b"DS\x08\x00Zyxwell "
        path.write_bytes(path.read_bytes().replace(spacing, text))
    outcome = kneeseg("segment", scan, "-o", tmp_path / "out")
    assert "pixel spacing cannot be used" in outcome.err
    assert find_identity(outcome.err.encode()) == []
