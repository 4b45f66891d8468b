"""Folders that are called as the header calls the patient are not told."""

from __future__ import annotations

from unicodedata import normalize

import pytest

from KneeSegLib.io.dicom_folder import read_folder
from KneeSegLib.io.dicom_place import locate_series
from KneeSegLib.io.dicom_series import group_series
from KneeSegLib.io.volume import read_volume
from Testing.io.dicom.conftest import write_series


@pytest.mark.parametrize(
    "name, folder, is_told",
    [
        ("Li^Yu", "scans_li", False),
        ("Li^Yu", "clips", True),
        ("\u5c71\u7530", "CT\u5c71\u7530\u69d8", False),
        ("\u738b^X", "\u738b-1", False),
        ("M\u00fcller", normalize("NFD", "M\u00fcller_knee"), False),
        ("M\u00fcller", "knee", True),
    ],
)
def test_place_is_told_only_where_it_does_not_repeat_the_patients_name(name, folder, is_told, tmp_path):
    path = write_series(tmp_path / folder, range(0, 27, 3), SpecificCharacterSet="ISO_IR 192", PatientName=name)
    content = read_folder(path)
    (series,) = group_series(content)
    assert locate_series(content, series) == (path if is_told else None)


def test_place_is_what_the_user_gave_and_not_a_folder_below_that_is_called_like_the_patient(tmp_path):
    write_series(tmp_path / "scans" / "Mueller", range(0, 27, 3), PatientName="Mueller")
    assert read_volume(tmp_path / "scans").path == tmp_path / "scans"
    assert read_volume(tmp_path / "scans" / "Mueller").path is None
