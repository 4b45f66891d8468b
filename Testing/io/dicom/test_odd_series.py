"""Series as scanners of other kinds, anonymisers and viewers leave them."""

from __future__ import annotations

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from pydicom.dataset import Dataset

from KneeSegLib.errors import InputError
from KneeSegLib.io.dicom_series import list_series
from KneeSegLib.io.volume import read_volume
from Testing.io.dicom.conftest import save

NINE = range(0, 27, 3)


def test_slices_that_all_name_one_position_are_called_so(dicom_slice, tmp_path):
    for k in range(9):
        dicom_slice(tmp_path / f"{k}.dcm", np.full((32, 32), k, np.uint16), (0, 0, 5), InstanceNumber=k + 1)
    assert [series.slices for series in list_series(tmp_path)] == [9]
    with pytest.raises(InputError, match="All 9 slices of 'CT series' name the same position .ImagePositionPatient."):
        read_volume(tmp_path)


def test_passes_with_the_same_instance_numbers_are_told_by_their_times(dicom_slice, tmp_path):
    for phase, minute in enumerate((5, 7)):
        for k in range(9):
            time, stored = f"10{minute:02d}{k:02d}.5", np.full((32, 32), 1000 * (phase + 1), np.uint16)
            tags = {"InstanceNumber": k + 1, "AcquisitionTime": time}
            dicom_slice(tmp_path / f"{phase}{k}.dcm", stored, (0, 0, 3 * k), **tags)
    found = list_series(tmp_path)
    assert [(series.slices, series.told_by) for series in found] == [
        (9, "pass 1 of 2 by acquisition time"),
        (9, "pass 2 of 2 by acquisition time"),
    ]
    assert [int(sitk.GetArrayFromImage(read_volume(tmp_path, n).image).max()) for n in "12"] == [-24, 976]


@pytest.mark.parametrize("modality", ["XA", "OT", "DX"])
def test_a_ct_by_its_class_is_read_whatever_a_loose_modality_says(modality, dicom_series, tmp_path):
    volume = read_volume(dicom_series(tmp_path, NINE, Modality=modality))
    assert volume.modality == "CT"
    assert volume.notes[0].startswith(f"The header calls the modality {modality}; it was read as CT")


def test_images_of_other_modalities_stay_left_out(dicom_series, tmp_path):
    with pytest.raises(InputError, match="9 PT images"):
        read_volume(dicom_series(tmp_path, NINE, Modality="PT"))


@pytest.mark.parametrize(
    "tags, what",
    [
        ({"PhotometricInterpretation": "PALETTE COLOR"}, "9 colour images"),
        ({"ImageType": ["ORIGINAL", "PRIMARY", "M", "MOSAIC"]}, "9 mosaics of several slices in one image"),
    ],
)
def test_images_that_are_no_plain_slices_are_called_what_they_are(tags, what, dicom_series, tmp_path):
    with pytest.raises(InputError, match=what):
        read_volume(dicom_series(tmp_path, NINE, **tags))


def test_a_tilt_that_the_positions_do_not_show_is_told(dicom_series, tmp_path):
    (note,) = read_volume(dicom_series(tmp_path / "a", NINE, GantryDetectorTilt="-15")).notes
    assert "tilted by -15 degrees" in note and "straightened already" in note
    assert read_volume(dicom_series(tmp_path / "b", NINE, GantryDetectorTilt="0.2")).notes == ()


def test_frames_may_have_rescale_values_of_their_own(enhanced_ct, tmp_path):
    stored = np.full((9, 32, 32), 1000, np.uint16)
    path = enhanced_ct(tmp_path / "a.dcm", stored, NINE)
    dataset = pydicom.dcmread(path)
    del dataset.SharedFunctionalGroupsSequence[0].PixelValueTransformationSequence
    for number, group in enumerate(dataset.PerFrameFunctionalGroupsSequence):
        rescale = Dataset()
        rescale.RescaleSlope, rescale.RescaleIntercept = 1 + number / 4, -1024
        group.PixelValueTransformationSequence = [rescale]
    save(dataset, path)
    values = sitk.GetArrayFromImage(read_volume(path).image)
    assert values[:, 0, 0].tolist() == [1000 * (1 + number / 4) - 1024 for number in range(9)]


def test_frames_without_positions_are_called_so(enhanced_ct, tmp_path):
    path = enhanced_ct(tmp_path / "a.dcm", np.full((9, 32, 32), 1000, np.uint16), NINE)
    dataset = pydicom.dcmread(path)
    for group in dataset.PerFrameFunctionalGroupsSequence:
        del group.PlanePositionSequence
    save(dataset, path)
    with pytest.raises(InputError, match="1 CT images without ImagePositionPatient.*or export the images with what"):
        read_volume(tmp_path)


def test_slices_with_a_uid_and_a_number_each_are_one_series(dicom_series, tmp_path):
    for number, z in enumerate(NINE, start=1):
        dicom_series(tmp_path, (z,), SeriesInstanceUID=f"1.2.3.{100 + number}", SeriesNumber=number)
    dicom_series(tmp_path, (100,), SeriesInstanceUID="1.2.3.200", SeriesNumber=50, SeriesDescription="Other")
    assert sorted(series.slices for series in list_series(tmp_path)) == [1, 9]
    assert read_volume(tmp_path).image.GetSize() == (32, 32, 9)


def test_slices_without_a_position_are_told(dicom_series, tmp_path):
    dicom_series(tmp_path / "end", NINE)
    dicom_series(tmp_path / "end" / "last", (27,), ImagePositionPatient=None)
    (note,) = read_volume(tmp_path / "end").notes
    assert note == "Images that do not say where they lie were left out: 1 CT images without ImagePositionPatient."
    dicom_series(tmp_path / "middle", [z for z in NINE if z != 12])
    dicom_series(tmp_path / "middle" / "fifth", (12,), ImagePositionPatient=None)
    with pytest.raises(InputError, match="lacks 1 of 9 slices, those at 12.00 mm.*complete series. Images that do not"):
        read_volume(tmp_path / "middle")


def test_a_folder_of_hidden_files_is_not_called_empty(dicom_series, tmp_path):
    dicom_series(tmp_path / ".hidden", NINE)
    with pytest.raises(InputError, match="holds nothing but empty folders or names that begin with a dot"):
        read_volume(tmp_path)
