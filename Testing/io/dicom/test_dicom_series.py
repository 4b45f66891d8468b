"""Which series a folder holds and which of them is read."""

from __future__ import annotations

import numpy as np
import pytest

from KneeSegLib.errors import InputError
from KneeSegLib.io.dicom_series import choose_series, list_series
from KneeSegLib.io.stated_geometry import StatedGeometry
from KneeSegLib.io.volume import read_volume

SIX = range(0, 18, 3)
NINE = range(0, 27, 3)


def test_series_of_sub_folders_are_listed_with_size_and_spacing(dicom_series, tmp_path):
    dicom_series(tmp_path / "a", SIX)
    dicom_series(
        tmp_path / "b" / "deeper", NINE, SeriesInstanceUID="1.2.3.5", SeriesDescription="Leg soft", SeriesNumber=1
    )
    soft, bone = list_series(tmp_path)
    assert (soft.number, soft.name, soft.slices, soft.size, soft.spacing) == (
        1,
        "CT series",
        9,
        (32, 32, 9),
        (2, 2, 3),
    )
    assert (bone.number, bone.uid, bone.modality, bone.slices) == (2, "1.2.3.4", "CT", 6)


@pytest.mark.parametrize("wanted", ["2", "1.2.3.4", "4", "...3.4", "leg BONE", "bone"])
def test_series_is_chosen_by_number_uid_or_description(wanted, dicom_series, tmp_path):
    dicom_series(tmp_path, SIX)
    dicom_series(tmp_path, NINE, SeriesInstanceUID="1.2.3.5", SeriesDescription="Leg soft", SeriesNumber=1)
    assert choose_series(list_series(tmp_path), wanted).uid == "1.2.3.4"
    assert choose_series(list_series(tmp_path, keep_description=True), wanted).name == "Leg bone"


@pytest.mark.parametrize("wanted", ["leg", "1.2.9"])
def test_ambiguous_or_unknown_series_lists_what_there_is(wanted, dicom_series, tmp_path):
    dicom_series(tmp_path, SIX)
    dicom_series(tmp_path, NINE, SeriesInstanceUID="1.2.3.5", SeriesDescription="Leg soft", SeriesNumber=1)
    with pytest.raises(InputError, match=rf"'{wanted}'.*1: CT series \(CT, 9 slices.*2: CT series \(CT, 6 slices"):
        choose_series(list_series(tmp_path), wanted)


def test_largest_ct_is_read_before_a_larger_mr_and_a_note_tells_which(dicom_series, tmp_path):
    dicom_series(tmp_path, SIX)
    dicom_series(tmp_path, NINE, SeriesInstanceUID="1.2.3.5", SeriesDescription="Leg soft")
    dicom_series(tmp_path, range(0, 90, 3), SeriesInstanceUID="1.2.3.6", SeriesDescription="PD", Modality="MR")
    volume = read_volume(tmp_path)
    assert (volume.source, volume.modality, volume.image.GetSize()[2]) == ("CT series", "CT", 9)
    assert "Of 3 series the largest CT was read" in volume.notes[0]


def test_projections_are_read_last_and_with_a_warning(dicom_series, tmp_path):
    mip = {"SeriesInstanceUID": "1.2.3.5", "ImageType": ["DERIVED", "SECONDARY", "MIP"]}
    dicom_series(tmp_path, NINE, **mip)
    (told,) = read_volume(tmp_path).notes
    assert "projections of thick slabs" in told
    dicom_series(tmp_path, SIX)
    volume = read_volume(tmp_path)
    assert volume.image.GetSize()[2] == 6
    assert len(volume.notes) == 1 and "the largest CT that is no projection was read" in volume.notes[0]


def test_largest_mr_is_read_where_there_is_no_ct(dicom_series, tmp_path):
    dicom_series(tmp_path, SIX, Modality="MR")
    dicom_series(tmp_path, NINE, SeriesInstanceUID="1.2.3.5", SeriesDescription="PD", Modality="MR")
    volume = read_volume(tmp_path, keep_description=True)
    assert (volume.source, volume.modality) == ("PD", "MR")


def test_echoes_of_one_series_become_separate_and_the_first_is_read(dicom_series, tmp_path):
    for echo_time_ms in (10.5, 2.5, 31.5):
        dicom_series(tmp_path, SIX, Modality="MR", EchoTime=echo_time_ms)
    found = list_series(tmp_path)
    assert [series.description for series in found] == [f"echo time {t} ms" for t in ("2.5", "10.5", "31.5")]
    assert read_volume(tmp_path).source == "MR series, echo time 2.5 ms"
    assert read_volume(tmp_path, "1.2.3.4").source == "MR series, echo time 2.5 ms"
    assert read_volume(tmp_path, "echo time 31.5").source == "MR series, echo time 31.5 ms"


def test_echo_times_that_differ_without_repeated_positions_stay_together(dicom_series, tmp_path):
    dicom_series(tmp_path, (0, 6, 12), Modality="MR", EchoTime=10.0)
    dicom_series(tmp_path, (3, 9, 15), Modality="MR", EchoTime=10.01)
    assert [series.slices for series in list_series(tmp_path)] == [6]


def test_orientations_within_one_series_are_told_apart(dicom_slice, dicom_series, tmp_path):
    dicom_series(tmp_path, SIX)
    for y in range(3):
        dicom_slice(tmp_path / f"c{y}.dcm", np.zeros((32, 32), np.uint16), (0, 3 * y, 0), (1, 0, 0, 0, 0, -1))
    assert sorted(series.slices for series in list_series(tmp_path)) == [3, 6]


def test_localisers_colour_other_modalities_and_pictures_without_position_are_left_out(
    dicom_slice, dicom_series, tmp_path
):
    dicom_series(tmp_path, SIX)
    blank = np.zeros((32, 32), np.uint16)
    dicom_slice(tmp_path / "scout.dcm", blank, (0, 0, 0), ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
    dicom_slice(tmp_path / "pet.dcm", blank, (0, 0, 0), Modality="PT")
    dicom_slice(tmp_path / "screenshot.dcm", blank, (0, 0, 0), ImagePositionPatient=None)
    dicom_slice(tmp_path / "dose.dcm", np.zeros((32, 96), np.uint16), (0, 0, 0), SamplesPerPixel=3)
    (tmp_path / "readme.txt").write_text("not an image")
    assert [series.slices for series in list_series(tmp_path)] == [6]


def test_folder_of_localisers_is_refused_with_what_it_holds(dicom_series, tmp_path):
    dicom_series(tmp_path, (0, 3), ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
    with pytest.raises(InputError, match="no volume \\(2 localisers\\)"):
        list_series(tmp_path)


def test_empty_folder_is_called_empty(tmp_path):
    with pytest.raises(InputError, match="is empty, expected the slices"):
        read_volume(tmp_path)


def test_folder_without_images_is_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("no image here" * 20)
    with pytest.raises(InputError, match="holds 1 file but no image"):
        read_volume(tmp_path)


def test_folder_with_one_volume_file_points_to_that_file(tmp_path):
    (tmp_path / "knee.nrrd").write_bytes(b"NRRD0004\n" + bytes(200))
    with pytest.raises(InputError, match="an image file .file 1 of 1.; give that file"):
        read_volume(tmp_path)


def test_folder_of_damaged_dicom_says_where_the_first_file_is(tmp_path):
    (tmp_path / "a.dcm").write_bytes(b"")
    (tmp_path / "b.dcm").write_bytes(bytes(128) + b"DICM" + b"\x02\x00\x10")
    with pytest.raises(InputError, match="holds 2 DICOM files that cannot be read .the first is file 1 of 2"):
        read_volume(tmp_path)


def test_damaged_file_beside_a_whole_series_is_noted(dicom_series, tmp_path):
    dicom_series(tmp_path, SIX)
    (tmp_path / "zero.dcm").write_bytes(b"")
    assert (
        "1 damaged file was left out; the first of them is file 7 of 7: it is empty." in read_volume(tmp_path).notes[0]
    )


def test_missing_folder_is_named(tmp_path):
    with pytest.raises(InputError, match="There is no file or folder .*nowhere"):
        list_series(tmp_path / "nowhere")


def test_slices_without_preamble_are_found(dicom_series, tmp_path):
    dicom_series(tmp_path, SIX)
    for path in tmp_path.iterdir():
        whole = path.read_bytes()
        path.write_bytes(whole[132:])
    assert [series.slices for series in list_series(tmp_path)] == [6]
    assert read_volume(tmp_path).image.GetSize() == (32, 32, 6)


def test_what_the_user_says_goes_before_the_header_with_warnings(dicom_series, tmp_path):
    dicom_series(tmp_path, SIX)
    stated = StatedGeometry((2.0, 2.0, 4.0), "LPI")
    volume = read_volume(tmp_path, modality="MR", stated=stated)
    assert volume.modality == "MR" and volume.image.GetSpacing() == (2.0, 2.0, 4.0)
    assert volume.image.GetDirection() == (1, 0, 0, 0, 1, 0, 0, 0, -1)
    assert "taken for an MR, as you said; its header says CT" in volume.notes[0]
    assert "measure 2 x 2 x 4 mm, as you said; the file says 2 x 2 x 3 mm" in volume.notes[1]
    assert "lead to LPI, as you said; the file says LPS" in volume.notes[2]
    agreeing = read_volume(tmp_path, modality="CT", stated=StatedGeometry((2.0, 2.0, 3.0), "LPS"))
    assert agreeing.notes == ()
