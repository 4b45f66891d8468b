"""Hounsfield units are told by rescale tags, or by where air lies; otherwise a CT is refused."""

from __future__ import annotations

import numpy as np
import pytest

from KneeSegLib.errors import InputError
from KneeSegLib.io.volume import read_volume

NO_RESCALE = {"RescaleIntercept": None, "RescaleSlope": None}


def write(dicom_slice, folder, values: dict[tuple[int, int], int], **tags):
    stored = np.zeros((32, 32), np.int16)
    for (first, end), value in values.items():
        stored[first:end] = value
    for k in range(9):
        dicom_slice(folder / f"{k}.dcm", stored, (0, 0, 3 * k), **tags)
    return folder


def test_ct_without_rescale_tags_is_read_with_a_warning_where_air_has_its_value(dicom_slice, tmp_path):
    values = {(0, 12): -1000, (12, 28): 40, (28, 32): 900}
    volume = read_volume(write(dicom_slice, tmp_path, values, **NO_RESCALE))
    assert "does not say how its values become Hounsfield units" in volume.notes[0]
    assert "air lies at -1000" in volume.notes[0]


def test_ct_without_rescale_tags_and_air_is_read_with_a_warning(dicom_slice, tmp_path):
    volume = read_volume(write(dicom_slice, tmp_path, {(0, 4): -100, (4, 30): 40}, **NO_RESCALE))
    assert "no air by which to check" in volume.notes[0]


@pytest.mark.parametrize(
    ("values", "found"),
    [
        ({(0, 12): 0, (12, 32): 1040}, "from 0 to 1040"),
        ({(0, 12): -2000, (12, 32): -960}, "rest about"),
        ({(0, 12): -600, (12, 32): 40}, "dark part lies about -600"),
    ],
)
def test_ct_without_rescale_tags_is_refused_where_air_lies_elsewhere(values, found, dicom_slice, tmp_path):
    with pytest.raises(InputError, match=f"no RescaleIntercept.*cannot be such.*{found}"):
        read_volume(write(dicom_slice, tmp_path, values, **NO_RESCALE))


def test_slices_of_which_some_lack_rescale_tags_are_refused(dicom_slice, tmp_path):
    write(dicom_slice, tmp_path, {(0, 32): 1040})
    dicom_slice(tmp_path / "3.dcm", np.full((32, 32), 1040, np.int16), (0, 0, 9), **NO_RESCALE)
    with pytest.raises(InputError, match="1 of the 9 slices of 'CT series' lack RescaleIntercept"):
        read_volume(tmp_path)


def test_values_that_the_header_calls_something_else_are_told(dicom_slice, tmp_path):
    volume = read_volume(write(dicom_slice, tmp_path, {(0, 32): 1064}, RescaleType="US"))
    assert "calls its values 'US' (RescaleType) and not HU" in volume.notes[0]
