"""Slices become a volume by their positions; what cannot be placed is named."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk

from KneeSegLib.errors import InputError
from KneeSegLib.io.dicom_series import list_series
from KneeSegLib.io.volume import read_volume

NINE = range(0, 27, 3)


def test_slices_are_sorted_by_position_whatever_their_names(dicom_series, tmp_path):
    # The factory names files so that their order is the reverse of their positions.
    image = read_volume(dicom_series(tmp_path, NINE)).image
    assert sitk.GetArrayFromImage(image)[:, 0, 0].tolist() == [1000 + z - 1024 for z in NINE]
    assert (image.GetOrigin(), image.GetSpacing()) == ((-30, -40, 0), (2, 2, 3))
    assert image.GetPixelID() == sitk.sitkInt16


def test_sagittal_slices_lie_where_their_positions_say(dicom_slice, tmp_path):
    for k in range(9):
        stored = np.zeros((32, 32), np.int16)
        stored[5, 7] = 100 + k
        dicom_slice(
            tmp_path / f"{k}.dcm", stored, (4 * k, 0, 50), (0, 1, 0, 0, 0, -1), Modality="MR", RescaleIntercept="0"
        )
    image = read_volume(tmp_path).image
    # column 7 (2 mm towards posterior each), row 5 (2 mm towards the feet each), slice at x = 12
    index = image.TransformPhysicalPointToIndex((12, 14, 40))
    assert image[index] == 103


@pytest.mark.parametrize("multi_frame", [False, True])
def test_rows_and_columns_have_distances_of_their_own(multi_frame, dicom_slice, enhanced_ct, tmp_path):
    """DICOM gives the distance between rows first, then that between columns; images count columns first."""
    between_rows_mm, between_columns_mm = 1.5, 0.5
    stored = np.zeros((9, 20, 44), np.uint16)
    stored[2, 5, 30] = 3000
    if multi_frame:
        enhanced_ct(tmp_path / "enhanced.dcm", stored, NINE, (between_rows_mm, between_columns_mm))
    else:
        for z, pixels in zip(NINE, stored):
            spacing = [str(between_rows_mm), str(between_columns_mm)]
            dicom_slice(tmp_path / f"{z:02}.dcm", pixels, (-30, -40, z), PixelSpacing=spacing)
    image = read_volume(tmp_path).image
    assert (image.GetSize(), image.GetSpacing()) == ((44, 20, 9), (between_columns_mm, between_rows_mm, 3))
    lps_mm = (-30 + 30 * between_columns_mm, -40 + 5 * between_rows_mm, 6)
    assert image[image.TransformPhysicalPointToIndex(lps_mm)] == 3000 - 1024
    assert list_series(tmp_path)[0].spacing == (between_columns_mm, between_rows_mm, 3)


def test_missing_slice_is_named_in_the_error(dicom_series, tmp_path):
    with pytest.raises(InputError, match="lacks 1 of 9 slices, those at 12.00 mm, expected one every 3.00 mm"):
        read_volume(dicom_series(tmp_path, [z for z in NINE if z != 12]))


def test_several_missing_slices_are_named_as_a_range(dicom_series, tmp_path):
    with pytest.raises(InputError, match="lacks 3 of 21 slices, those at 12.00 to 15.00 mm, 48.00 mm"):
        read_volume(dicom_series(tmp_path, [z for z in range(0, 63, 3) if z not in (12, 15, 48)]))


def test_missing_slice_is_named_by_the_patients_axis(dicom_slice, tmp_path):
    # The normal of these slices points to the patient's right, so positions along it fall while x grows.
    for k in (0, 1, 2, 4, 5, 6):
        dicom_slice(tmp_path / f"{k}.dcm", np.zeros((32, 32), np.uint16), (4 * k, 0, 50), (0, 1, 0, 0, 0, -1))
    with pytest.raises(InputError, match="those at 12.00 mm"):
        read_volume(tmp_path)


def test_copies_of_slices_are_left_out_with_a_note(dicom_series, tmp_path):
    dicom_series(tmp_path, NINE)
    dicom_series(tmp_path / "copy", (6, 21), SOPInstanceUID="1.2.3.77")
    volume = read_volume(tmp_path)
    assert sitk.GetArrayViewFromImage(volume.image)[:, 0, 0].tolist() == [z - 24 for z in NINE]
    assert volume.notes[0].startswith("2 slices that were there twice were left out: copies equal another one")


def test_a_copy_that_is_cut_short_gives_way_to_the_whole_one(dicom_series, tmp_path):
    dicom_series(tmp_path, NINE)
    whole = sorted(tmp_path.iterdir())[4]
    (tmp_path / "again.dcm").write_bytes(whole.read_bytes()[:-700])
    assert read_volume(tmp_path).image.GetSize()[2] == 9


def test_slices_at_one_position_that_differ_are_named_in_the_error(dicom_series, dicom_slice, tmp_path):
    dicom_series(tmp_path, NINE)
    for k, z in enumerate((6, 21)):
        dicom_slice(tmp_path / f"other{k}.dcm", np.full((32, 32), 7, np.uint16), (-30, -40, z))
    with pytest.raises(InputError, match="slice at 6.00 mm, 21.00 mm, which differ in their pixels and in no tag"):
        read_volume(tmp_path)


def test_passes_that_no_tag_tells_apart_are_told_by_their_instance_numbers(dicom_slice, tmp_path):
    for k in range(18):
        stored = np.full((32, 32), 1000 + k, np.uint16)
        dicom_slice(tmp_path / f"{k}.dcm", stored, (-30, -40, 3 * (k % 9)), InstanceNumber=k + 1)
    assert [found.description for found in list_series(tmp_path)] == [
        "images 1 to 9",
        "images 10 to 18",
    ]
    assert sitk.GetArrayFromImage(read_volume(tmp_path, "2").image)[:, 0, 0].tolist() == list(range(-15, -6))


def test_irregular_spacing_is_refused_with_its_range(dicom_series, tmp_path):
    with pytest.raises(InputError, match="varies from 3.00 to 4.20 mm \\(at 9.00 mm\\), expected 3.00 mm"):
        read_volume(dicom_series(tmp_path, (0, 3, 6, 9, 13.2, 16.2, 19.2)))


def test_rounded_positions_count_as_even(dicom_series, tmp_path):
    image = read_volume(dicom_series(tmp_path, [round(k / 3, 2) for k in range(31)])).image
    assert image.GetSpacing()[2] == pytest.approx(1 / 3)


def test_single_slice_is_refused(dicom_series, tmp_path):
    with pytest.raises(InputError, match="'CT series' is a single slice"):
        read_volume(dicom_series(tmp_path, (0,)))


def test_one_file_of_a_series_is_refused_with_the_way_out(dicom_series, tmp_path):
    dicom_series(tmp_path, NINE)
    with pytest.raises(InputError, match="is one slice of a DICOM series.*folder with all its slices"):
        read_volume(next(tmp_path.iterdir()))


def test_slice_shifted_sideways_is_named(dicom_series, dicom_slice, tmp_path):
    dicom_series(tmp_path, [z for z in NINE if z != 12])
    dicom_slice(tmp_path / "x.dcm", np.zeros((32, 32), np.uint16), (-20, -40, 12))
    with pytest.raises(InputError, match="shifted sideways.*up to 10.0 mm \\(at 12.00 mm\\)"):
        read_volume(tmp_path)


@pytest.mark.parametrize("lean_degrees", [-20.0, 12.0])
def test_tilted_gantry_leaves_every_point_where_it_is_in_the_patient(lean_degrees, dicom_slice, tmp_path):
    """A ball is drawn into tilted slices by physical position; straightened, its centre and radius must be the same."""
    center, radius_mm, lean = np.array([2.0, -3.0, 31.0]), 16.0, np.radians(lean_degrees)
    down = np.array([0.0, np.cos(lean), np.sin(lean)])
    rows, columns = np.mgrid[:48, :48]
    for k in range(24):
        position = np.array([-46.0, -46.0, 3.0 * k])
        points = position + 2 * columns[..., None] * np.array([1.0, 0, 0]) + 2 * rows[..., None] * down
        depth_mm = radius_mm - np.linalg.norm(points - center, axis=-1)
        stored = np.clip(1024 + 250 * depth_mm, 24, 2024).astype(
            np.uint16
        )  # -1000 outside, 1000 inside, 0 HU on the surface
        dicom_slice(tmp_path / f"{k:02}.dcm", stored, position, (1, 0, 0, *down))
    volume = read_volume(tmp_path)
    image = volume.image
    axes = np.array(image.GetDirection()).reshape(3, 3)
    assert np.allclose(axes.T @ axes, np.eye(3), atol=1e-9)
    assert image.GetSpacing() == pytest.approx((2, 2, 3 * np.cos(lean)), abs=1e-5)
    assert image.GetSize()[1] > 48  # grown, so that no slice loses a part
    inside = np.argwhere(sitk.GetArrayFromImage(image) > 0)[:, ::-1]
    points = np.array([image.TransformIndexToPhysicalPoint(index.tolist()) for index in inside])
    assert points.mean(axis=0) == pytest.approx(center, abs=0.15)
    assert len(inside) * np.prod(image.GetSpacing()) == pytest.approx(4 / 3 * np.pi * radius_mm**3, rel=0.02)
    assert f"lean by {abs(lean_degrees):.1f} degrees" in volume.notes[0]
    assert sitk.GetArrayFromImage(image).min() == -1024  # what no slice covers is air


def test_padding_outside_the_field_of_view_becomes_air(dicom_slice, tmp_path):
    for k in range(9):
        stored = np.full((32, 32), 1064, np.int16)
        stored[:4], stored[4:8] = -2000, -976
        dicom_slice(tmp_path / f"{k}.dcm", stored, (0, 0, 3 * k))
    values = sitk.GetArrayFromImage(read_volume(tmp_path).image)
    assert (values[:, :8] == -1024).all() and (values[:, 8:] == 40).all()


def test_padding_read_as_a_positive_number_becomes_air(dicom_slice, tmp_path):
    for k in range(9):
        stored = np.full((32, 32), 1064, np.uint16)
        stored[:4] = 63536  # -2000 in 16 bits
        dicom_slice(tmp_path / f"{k}.dcm", stored, (0, 0, 3 * k))
    image = read_volume(tmp_path).image
    values = sitk.GetArrayFromImage(image)
    assert (values[:, :4] == -1024).all() and (values[:, 4:] == 40).all()
    assert image.GetPixelID() == sitk.sitkInt16


@pytest.mark.parametrize("dtype", [np.int16, np.uint16])
@pytest.mark.parametrize("white", [1, 9])
def test_ct_to_be_shown_inverted_keeps_its_hounsfield_units(white, dtype, dicom_slice, tmp_path):
    stored = np.full((32, 32), 1064, dtype)
    stored[:4], stored[4:8] = 24, 2024
    for k in range(9):
        shown = "MONOCHROME1" if k < white else "MONOCHROME2"
        dicom_slice(tmp_path / f"{k}.dcm", stored, (0, 0, 3 * k), PhotometricInterpretation=shown)
    volume = read_volume(tmp_path)
    values = sitk.GetArrayFromImage(volume.image)
    assert (values[:, :4] == -1000).all() and (values[:, 4:8] == 1000).all() and (values[:, 8:] == 40).all()
    assert f"{white} of 9 slices are to be shown with small values white (MONOCHROME1)" in volume.notes[0]
    assert "as they are stored" in volume.notes[0]


def test_ct_known_by_its_class_alone_is_read_where_its_files_have_to_be_repaired(dicom_slice, tmp_path):
    stored = np.full((32, 32), 1064, np.uint16)
    for k in range(9):
        tags = {"Modality": None, "PhotometricInterpretation": "MONOCHROME1"}
        dicom_slice(tmp_path / f"{k}.dcm", stored, (0, 0, 3 * k), **tags)
    assert (sitk.GetArrayFromImage(read_volume(tmp_path).image) == 40).all()


def test_mr_to_be_shown_inverted_is_inverted_with_a_note(dicom_slice, tmp_path):
    stored = np.full((32, 32), 65535 - 300, np.uint16)
    stored[:4] = 65535 - 20
    tags = {"Modality": "MR", "RescaleIntercept": "0", "PhotometricInterpretation": "MONOCHROME1"}
    for k in range(9):
        dicom_slice(tmp_path / f"{k}.dcm", stored, (0, 0, 3 * k), **tags)
    volume = read_volume(tmp_path)
    values = sitk.GetArrayFromImage(volume.image)
    assert (values[:, :4] == 20).all() and (values[:, 4:] == 300).all()
    assert "the values were inverted" in volume.notes[0]


def test_rescale_that_changes_from_slice_to_slice_is_applied_to_each(dicom_slice, tmp_path):
    for k in range(9):
        slope = 1 if k == 0 else 0.5
        stored = np.full((32, 32), 101, np.uint16)
        dicom_slice(
            tmp_path / f"{k}.dcm", stored, (0, 0, 3 * k), Modality="MR", RescaleSlope=str(slope), RescaleIntercept="0"
        )
    assert sitk.GetArrayFromImage(read_volume(tmp_path).image)[:2, 0, 0].tolist() == [101, 50.5]


def test_slice_cut_short_is_named(dicom_series, tmp_path):
    dicom_series(tmp_path, NINE)
    victim = sorted(tmp_path.iterdir())[4]
    victim.write_bytes(victim.read_bytes()[:-700])
    with pytest.raises(InputError, match="pixels of file 5 of 9 cannot be read: the file is cut short"):
        read_volume(tmp_path)


@pytest.mark.parametrize("as_folder", [True, False])
def test_enhanced_multi_frame_file_is_sorted_by_frame_positions(as_folder, enhanced_ct, tmp_path):
    heights_mm = [6.0, 0.0, 9.0, 3.0, 15.0, 12.0, 21.0, 18.0]
    stored = np.stack([np.full((32, 32), 1000 + z, np.uint16) for z in heights_mm])
    path = enhanced_ct(tmp_path / "enhanced.dcm", stored, heights_mm)
    volume = read_volume(tmp_path if as_folder else path)
    assert sitk.GetArrayFromImage(volume.image)[:, 0, 0].tolist() == [z - 24 for z in sorted(heights_mm)]
    assert (volume.image.GetOrigin(), volume.image.GetSpacing()) == ((-30, -40, 0), (2, 2, 3))
    assert (volume.modality, volume.source) == ("CT", "CT series")


def test_signed_pixels_that_are_called_unsigned_keep_their_hounsfield_units(dicom_slice, tmp_path):
    for k in range(9):
        stored = np.full((32, 32), -1000, np.int16)
        stored[8:16], stored[16:] = -100, 800
        dicom_slice(tmp_path / f"{k}.dcm", stored.view(np.uint16), (0, 0, 3 * k), RescaleIntercept="0")
    volume = read_volume(tmp_path)
    values = sitk.GetArrayFromImage(volume.image)
    assert (values[:, 8:16] == -100).all() and values.min() == -1000 and values.max() == 800
    assert "stored as if 16 bits had no sign" in volume.notes[0]
