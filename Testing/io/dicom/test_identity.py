"""What is left of a DICOM header when the patient is taken out of it."""

from __future__ import annotations

import re
from pathlib import Path

import pydicom
import pytest

from KneeSegLib.io.identity import Anonymiser, names_patient

pytestmark = pytest.mark.filterwarnings("ignore:Invalid value")

PATIENT = {
    "PatientName": "Zyxwell^Quentin",
    "PatientID": "83914477",
    "PatientBirthDate": "19700131",
    "SeriesDescription": "knee of Zyxwell",
    "InstitutionName": "Zyxwell clinic",
    "ProtocolName": "Zyxwell",
    "ImageComments": "Zyxwell",
    "StudyInstanceUID": "1.2.83914477",
    "AccessionNumber": "83914477",
    "FrameOfReferenceUID": "1.2.83914477.5",
}


@pytest.fixture
def headers(dicom_series, tmp_path) -> list[pydicom.Dataset]:
    folder = dicom_series(tmp_path, range(0, 9, 3), **PATIENT, SeriesInstanceUID="1.2.83914477.6")
    found = [pydicom.dcmread(path) for path in sorted(Path(folder).iterdir())]
    for header in found:
        header.private_block(0x0009, "ZYXWELL", create=True).add_new(0x01, "LO", "Zyxwell")
    return found


def test_no_word_of_the_patient_is_left_and_the_grid_is(headers):
    copies = Anonymiser().copy_all(headers)
    for header, copy in zip(headers, copies, strict=True):
        assert not re.search("zyxwell|83914477|19700131", f"{copy} {copy.file_meta}", re.IGNORECASE)
        for keyword in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "Rows", "RescaleIntercept"):
            assert copy[keyword].value == header[keyword].value
        assert copy.PatientIdentityRemoved == "YES" and not names_patient(copy) and names_patient(header)


def test_slices_stay_one_series_and_get_uids_of_their_own(headers):
    copies = Anonymiser().copy_all(headers)
    for keyword in ("SeriesInstanceUID", "StudyInstanceUID", "FrameOfReferenceUID"):
        assert len({copy[keyword].value for copy in copies}) == 1
    assert len({copy.SOPInstanceUID for copy in copies}) == len(headers)
    assert Anonymiser().copy(headers[0]).SeriesInstanceUID != copies[0].SeriesInstanceUID


def test_sequences_are_copied_by_the_same_rule(enhanced_ct, tmp_path):
    import numpy as np

    path = enhanced_ct(tmp_path / "enhanced.dcm", np.zeros((3, 8, 8), np.uint16), (0.0, 3.0, 6.0))
    header = pydicom.dcmread(path)
    header.PerFrameFunctionalGroupsSequence[1].FrameContentSequence = [pydicom.Dataset()]
    header.PerFrameFunctionalGroupsSequence[1].FrameContentSequence[0].FrameComments = "Zyxwell"
    copy = Anonymiser().copy(header)
    assert "Zyxwell" not in str(copy)
    places = [group.PlanePositionSequence[0].ImagePositionPatient[2] for group in copy.PerFrameFunctionalGroupsSequence]
    assert places == [0.0, 3.0, 6.0]
    assert copy.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0].PixelSpacing == [2.0, 2.0]
