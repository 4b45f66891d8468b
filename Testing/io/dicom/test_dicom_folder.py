"""What lies in a folder of DICOM files beside plain slices, and how headers are written that bend the standard."""

from __future__ import annotations

import gzip
import os
import sys

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from pydicom.fileset import FileSet
from pydicom.uid import DeflatedExplicitVRLittleEndian

from KneeSegLib.errors import InputError
from KneeSegLib.io import dicom_folder
from KneeSegLib.io.dicom_folder import read_folder
from KneeSegLib.io.dicom_series import list_series
from KneeSegLib.io.volume import read_volume

NINE = range(0, 27, 3)


def replace_bytes(folder, old: bytes, new: bytes) -> None:
    for path in folder.iterdir():
        changed = path.read_bytes().replace(old, new)
        assert changed != path.read_bytes()
        path.write_bytes(changed)


def write_multi_frame(path, dicom_slice, **tags) -> np.ndarray:
    """One file of nine frames whose only position is that of the first."""
    stored = np.stack([np.full((32, 32), 1000 + z, np.uint16) for z in NINE])
    dicom_slice(path, stored, (-30.0, -40.0, 5.0), NumberOfFrames=9, **tags)
    return stored


@pytest.mark.parametrize("as_folder", [True, False])
def test_frames_without_positions_lie_as_far_apart_as_the_file_says(as_folder, dicom_slice, tmp_path):
    stored = write_multi_frame(tmp_path / "v.dcm", dicom_slice, SpacingBetweenSlices="3")
    volume = read_volume(tmp_path if as_folder else tmp_path / "v.dcm")
    assert (volume.image.GetOrigin(), volume.image.GetSpacing()) == ((-30, -40, 5), (2, 2, 3))
    assert np.array_equal(sitk.GetArrayFromImage(volume.image), stored.astype(int) - 1024)
    assert "were derived from SpacingBetweenSlices" in volume.notes[0]


def test_frames_without_distance_are_refused_with_what_is_missing(dicom_slice, tmp_path):
    write_multi_frame(tmp_path / "v.dcm", dicom_slice, SliceThickness="3")
    missing = "1 CT images without SpacingBetweenSlices or a position for each frame"
    with pytest.raises(InputError, match=f"holds no volume \\({missing}\\)"):
        read_volume(tmp_path)
    with pytest.raises(InputError, match=f"v.dcm is DICOM but no volume \\({missing}\\)"):
        read_volume(tmp_path / "v.dcm")


def test_tag_that_an_image_lacks_is_named(dicom_slice, tmp_path):
    dicom_slice(tmp_path / "a.dcm", np.zeros((32, 32), np.uint16), (0, 0, 0), PixelSpacing=None)
    with pytest.raises(InputError, match="1 CT images without PixelSpacing"):
        read_volume(tmp_path)


@pytest.mark.parametrize(
    ("tags", "found"),
    [
        ({"PixelSpacing": ["0", "0"]}, r"9 CT images whose PixelSpacing is 0\\0\)"),
        ({"ImageOrientationPatient": ["1", "0", "0", "1", "0", "0"]}, r"ImageOrientationPatient is 1\\0\\0\\1\\0\\0"),
        ({"RescaleSlope": "nan"}, "RescaleSlope is nan"),
        ({"Columns": 31}, r"Rows, Columns and BitsAllocated say \(2048 bytes for 1984\)"),
    ],
)
def test_tag_that_cannot_be_true_is_named_with_its_value(tags, found, dicom_series, tmp_path):
    dicom_series(tmp_path, NINE, **tags)
    with pytest.raises(InputError, match=found):
        read_volume(tmp_path)


def test_modality_that_is_missing_is_that_of_the_kind_of_image(dicom_series, tmp_path):
    dicom_series(tmp_path, NINE, Modality=None)
    assert read_volume(tmp_path).modality == "CT"


def test_compressed_slices_are_said_to_be_compressed(dicom_series, tmp_path):
    for path in dicom_series(tmp_path / "plain", NINE).iterdir():
        (tmp_path / "packed").mkdir(exist_ok=True)
        (tmp_path / "packed" / f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes()))
    with pytest.raises(InputError, match=r"holds 9 archives \(.gz\) and no image beside.*unpack them"):
        read_volume(tmp_path / "packed")


def test_decimal_commas_are_points(dicom_series, tmp_path):
    dicom_series(tmp_path, NINE, PixelSpacing=["2.5", "1.5"], RescaleSlope="0.5", RescaleIntercept="-10.5")
    expected = read_volume(tmp_path).image
    replace_bytes(tmp_path, b"2.5\\1.5", b"2,5\\1,5")
    replace_bytes(tmp_path, b"-10.5", b"-10,5")
    replace_bytes(tmp_path, b"0.5 ", b"0,5 ")
    image = read_volume(tmp_path).image
    assert image.GetSpacing() == (1.5, 2.5, 3.0)
    assert np.array_equal(sitk.GetArrayFromImage(image), sitk.GetArrayFromImage(expected))


def test_number_that_is_none_is_named_with_its_value(dicom_series, tmp_path):
    dicom_series(tmp_path, NINE, PixelSpacing=["2.5", "1.5"])
    replace_bytes(tmp_path, b"2.5\\1.5", b"2x5\\1.5")
    with pytest.raises(InputError, match=r"9 DICOM files .*PixelSpacing is '2x5\\1.5', expected a number"):
        read_volume(tmp_path)


@pytest.mark.parametrize("name", ["DICOMDIR", "DICOMDIR;1", "dicomdir.dcm"])
def test_directory_of_a_disc_is_no_damaged_image_and_stands_for_its_folder(name, dicom_series, tmp_path):
    files = FileSet()
    for number, path in enumerate(dicom_series(tmp_path / "raw", NINE).iterdir()):
        dataset = pydicom.dcmread(path)
        dataset.PatientID, dataset.PatientName, dataset.StudyInstanceUID = "1", "A", "1.2"
        dataset.InstanceNumber = number
        dataset.StudyDate, dataset.StudyTime, dataset.StudyID, dataset.AccessionNumber = "20200101", "120000", "1", ""
        files.add(dataset)
    files.write(tmp_path / "cd")
    (tmp_path / "cd" / "DICOMDIR").rename(tmp_path / "cd" / name)
    for path in (tmp_path / "cd", tmp_path / "cd" / name):
        volume = read_volume(path)
        assert (volume.image.GetSize(), volume.notes) == ((32, 32, 9), ())
        assert [series.slices for series in list_series(path)] == [9]
    (tmp_path / "alone").mkdir()
    (tmp_path / "cd" / name).rename(tmp_path / "alone" / name)
    with pytest.raises(InputError, match="holds a DICOMDIR and none of the images that it lists"):
        read_volume(tmp_path / "alone")


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
def test_links_are_followed_once(dicom_series, tmp_path):
    slices = dicom_series(tmp_path / "archive" / "s1", NINE)
    study = tmp_path / "study"
    study.mkdir()
    (study / "s1").symlink_to(slices)
    (study / "again").symlink_to(slices)
    (study / "loop").symlink_to(study)
    (study / "one").symlink_to(sorted(slices.iterdir())[0])
    assert [series.slices for series in list_series(study)] == [9]


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
def test_links_to_nothing_are_told(dicom_series, tmp_path):
    (tmp_path / "a.dcm").symlink_to(tmp_path / "gone.dcm")
    with pytest.raises(InputError, match="1 links to files that are not there .*file 1 of 1.*fetch those files"):
        read_volume(tmp_path)
    dicom_series(tmp_path, NINE)
    assert read_volume(tmp_path).notes == ("Links to files that are not there were left out: 1.",)


@pytest.mark.skipif(sys.platform == "win32", reason="no pipes in folders there")
def test_pipe_in_a_folder_is_not_waited_for(dicom_series, tmp_path):
    dicom_series(tmp_path, NINE)
    os.mkfifo(tmp_path / "pipe.dcm")
    assert [series.slices for series in list_series(tmp_path)] == [9]


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no names that are not Unicode")
@pytest.mark.parametrize("multi_frame", [False, True])
def test_folder_whose_name_is_not_utf8_is_read(multi_frame, dicom_series, enhanced_ct, tmp_path):
    plain = tmp_path / "plain"
    if multi_frame:
        enhanced_ct(plain / "\udce4.dcm", np.full((9, 32, 32), 1000, np.uint16), NINE)
    else:
        dicom_series(plain, NINE)
    odd = os.fsdecode(os.fsencode(tmp_path) + b"/Sch\xe4del")
    os.rename(plain, odd)
    assert read_volume(odd).image.GetSize() == (32, 32, 9)


def test_numbers_that_only_tell_slices_apart_may_be_anything(dicom_series, tmp_path):
    dicom_series(tmp_path, NINE, InstanceNumber="1234", FlipAngle=["15", "20"])
    replace_bytes(tmp_path, b"1234", b"ANON")
    content = read_folder(tmp_path)
    assert (len(content.slices), content.unreadable) == (9, {})
    assert {(plane.instance_number, plane.variant["flip angle"]) for plane in content.slices} == {(0, 0.0)}


def deflate(path, filling: int) -> None:
    """Deflate a file as a whole, with an element of so many zeros before its pixels."""
    dataset = pydicom.dcmread(path)
    dataset.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    dataset.add_new((0x0009, 0x0010), "LO", "OURS")
    dataset.add_new((0x0009, 0x1001), "OB", bytes(filling))
    dataset.save_as(path)


def test_slices_that_are_deflated_are_read(dicom_series, tmp_path):
    for path in dicom_series(tmp_path, NINE).iterdir():
        deflate(path, 10)
    assert read_volume(tmp_path).image.GetSize() == (32, 32, 9)


def test_a_file_that_inflates_without_end_is_left_out_with_a_note(dicom_series, monkeypatch, tmp_path):
    monkeypatch.setattr(dicom_folder, "LARGEST_INFLATED", 2**20)
    deflate(sorted(dicom_series(tmp_path, [*NINE, 27]).iterdir())[-1], 2**21)
    (note,) = read_volume(tmp_path).notes
    assert note.startswith("1 damaged file was left out; the first of them is file 10 of 10: it inflates to more than")
