"""Series are told apart by what their slices are, and fall into blocks where nothing lies between."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk

from KneeSegLib.errors import InputError
from KneeSegLib.io.dicom_series import list_series
from KneeSegLib.io.volume import read_volume

NINE = range(0, 27, 3)


def described(folder) -> list[tuple[int, str, int, float]]:
    return [(found.number, found.description, found.slices, found.spacing[2]) for found in list_series(folder)]


def test_series_without_uid_are_told_apart_and_chosen_by_their_numbers(dicom_series, tmp_path):
    dicom_series(tmp_path / "a", NINE, SeriesInstanceUID="", SeriesNumber=2)
    dicom_series(tmp_path / "b", range(0, 48, 6), SeriesInstanceUID="", SeriesNumber=3)
    assert described(tmp_path) == [(2, "", 9, 3.0), (3, "", 8, 6.0)]
    for number, spacing_mm in (("2", 3.0), ("3", 6.0)):
        assert read_volume(tmp_path, number).image.GetSpacing()[2] == spacing_mm


@pytest.mark.parametrize(
    "one, other",
    [
        ({"SeriesNumber": 2}, {"SeriesNumber": 3}),
        ({"SeriesDescription": "Bone"}, {"SeriesDescription": "Soft"}),
        ({"ConvolutionKernel": "B70"}, {"ConvolutionKernel": "B30"}),
        ({"SliceThickness": "3"}, {"SliceThickness": "6"}),
    ],
)
@pytest.mark.parametrize("start_mm", [0, 1])
def test_series_with_one_uid_are_told_apart_by_other_tags(start_mm, one, other, dicom_series, tmp_path):
    dicom_series(tmp_path / "a", NINE, **one)
    dicom_series(tmp_path / "b", range(start_mm, start_mm + 60, 6), **other)
    assert sorted(series.slices for series in list_series(tmp_path)) == [9, 10]
    assert [read_volume(tmp_path, number).image.GetSize()[2] for number in described_numbers(tmp_path)] == [
        series.slices for series in list_series(tmp_path)
    ]


def described_numbers(folder) -> list[str]:
    return [str(series.number) for series in list_series(folder)]


def test_slices_with_a_uid_each_are_one_series(dicom_series, tmp_path):
    for z in NINE:
        dicom_series(tmp_path, (z,), SeriesInstanceUID=f"1.2.3.{100 + z}")
    assert described(tmp_path) == [(2, "", 9, 3.0)]
    assert read_volume(tmp_path).image.GetSize() == (32, 32, 9)


def test_frames_of_reference_are_never_read_as_one_volume(dicom_series, tmp_path):
    dicom_series(tmp_path / "before", range(0, 30, 3), FrameOfReferenceUID="1.2.3.81")
    dicom_series(tmp_path / "after", range(30, 54, 3), FrameOfReferenceUID="1.2.3.82")
    assert described(tmp_path) == [
        (1, "frame of reference 1 of 2", 8, 3.0),
        (2, "frame of reference 2 of 2", 10, 3.0),
    ]
    assert read_volume(tmp_path).image.GetSize()[2] == 10


def test_frames_of_reference_of_single_slices_are_one_volume_with_a_warning(dicom_series, tmp_path):
    for z in NINE:
        dicom_series(tmp_path, (z,), FrameOfReferenceUID=f"1.2.3.{100 + z}")
    volume = read_volume(tmp_path)
    assert volume.image.GetSize()[2] == 9
    assert "The 9 slices name 9 frames of reference" in volume.notes[0]


def test_reconstructions_that_lie_between_each_other_are_no_finer_volume(dicom_series, tmp_path):
    dicom_series(tmp_path / "a", range(0, 60, 6), ConvolutionKernel="B30")
    dicom_series(tmp_path / "b", range(3, 60, 6), ConvolutionKernel="B70")
    assert [entry[1:] for entry in described(tmp_path)] == [
        ("kernel B30", 10, 6.0),
        ("kernel B70", 10, 6.0),
    ]


HIP, KNEE, ANKLE = range(300, 330, 3), range(150, 186, 3), range(0, 24, 3)


def test_blocks_of_one_series_are_listed_and_each_can_be_read(dicom_series, tmp_path):
    dicom_series(tmp_path, [*HIP, *KNEE, *ANKLE])
    assert described(tmp_path) == [
        (1, "block 1 of 3 at 0 to 21 mm", 8, 3.0),
        (2, "block 2 of 3 at 150 to 183 mm", 12, 3.0),
        (3, "block 3 of 3 at 300 to 327 mm", 10, 3.0),
    ]
    for number, heights in (("1", ANKLE), ("2", KNEE), ("3", HIP)):
        image = read_volume(tmp_path, number).image
        assert sitk.GetArrayViewFromImage(image)[:, 0, 0].tolist() == [z - 24 for z in heights]
    volume = read_volume(tmp_path)
    assert volume.image.GetSize()[2] == 12
    assert any("3 blocks of slices" in note and "--series" in note for note in volume.notes)
    with pytest.raises(InputError, match="fits 3 series; name one by its number: 1: CT series, block 1 of 3"):
        read_volume(tmp_path, "1.2.3.4")


def test_blocks_may_have_distances_of_their_own(dicom_series, tmp_path):
    dicom_series(tmp_path, [*HIP, *range(150, 171), *range(0, 40, 5)])
    assert [(slices, gap) for _, _, slices, gap in described(tmp_path)] == [(8, 5.0), (21, 1.0), (10, 3.0)]


def test_distance_that_changes_parts_blocks_and_the_finer_keeps_the_slice_between(dicom_series, tmp_path):
    dicom_series(tmp_path, [*range(0, 30, 3), *range(30, 120, 10), *range(120, 150, 2)])
    assert [(slices, gap) for _, _, slices, gap in described(tmp_path)] == [(11, 3.0), (8, 10.0), (15, 2.0)]


def test_a_few_slices_apart_are_no_block(dicom_series, tmp_path):
    dicom_series(tmp_path, [*range(0, 60, 3), 300, 303])
    with pytest.raises(InputError, match="lacks 80 of 102 slices"):
        read_volume(tmp_path)


@pytest.mark.parametrize("distance_mm, decimals", [(0.625, 1), (1.25, 1), (0.625, 2), (2.5, 0)])
def test_rounded_positions_are_placed_evenly(distance_mm, decimals, dicom_series, tmp_path):
    true = 5.0 + distance_mm * np.arange(24)
    dicom_series(tmp_path, np.round(true, decimals))
    volume = read_volume(tmp_path)
    assert volume.image.GetSpacing()[2] == pytest.approx(distance_mm, abs=0.006)
    assert volume.image.GetOrigin()[2] == pytest.approx(5.0, abs=0.6 * 10.0**-decimals)
    assert described(tmp_path)[0][3] == pytest.approx(distance_mm, abs=0.006)


def test_rounding_that_is_needed_is_told(dicom_series, tmp_path):
    dicom_series(tmp_path, np.round(5.0 + 0.625 * np.arange(24), 1))
    assert "positions are rounded or drift; they were placed evenly, 0.62" in read_volume(tmp_path).notes[0]


@pytest.mark.parametrize("missing", [(60,), (60, 63, 66)])
def test_slices_missing_from_a_long_series_make_no_blocks(missing, dicom_series, tmp_path):
    dicom_series(tmp_path, [z for z in range(0, 120, 3) if z not in missing])
    with pytest.raises(InputError, match=f"lacks {len(missing)} of 40 slices, those at 60.00"):
        read_volume(tmp_path)


def test_distances_that_drift_are_told(dicom_series, tmp_path):
    volume = read_volume(dicom_series(tmp_path, np.cumsum([0.0, *np.linspace(2.95, 3.05, 120)])))
    assert volume.image.GetSpacing()[2] == pytest.approx(3.0, abs=1e-3)
    assert "rounded or drift" in volume.notes[0]
