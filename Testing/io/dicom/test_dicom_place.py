"""Folders that are called as the header calls the patient are not told."""

from __future__ import annotations

from unicodedata import normalize

import pytest

from KneeSegLib.io.dicom_place import locate_series
from KneeSegLib.io.dicom_series import list_series
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
    (series,) = list_series(path)
    assert locate_series(series) == (path if is_told else None)
