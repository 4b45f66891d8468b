"""Voxel values: how they are kept, and which of them can be a CT."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import SimpleITK as sitk

from KneeSegLib.errors import InputError
from KneeSegLib.io.intensities import (
    check_hounsfield,
    convert_to_compact_type,
    describe_replaced_values,
    guess_modality,
    replace_padding_values,
)


def image_of(*values, dtype=np.float64) -> sitk.Image:
    return sitk.GetImageFromArray(np.array(values, dtype).reshape(1, 1, -1))


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16, np.int32, np.float32, np.float64])
def test_whole_numbers_become_int16_from_any_type(dtype):
    compact = convert_to_compact_type(image_of(0, 7, 255, dtype=dtype), "it")
    assert compact.GetPixelID() == sitk.sitkInt16
    assert sitk.GetArrayFromImage(compact).ravel().tolist() == [0, 7, 255]


@pytest.mark.parametrize("values", [(0.5, 1.0), (0.0, 40000.0)])
def test_what_int16_cannot_hold_becomes_float32(values):
    compact = convert_to_compact_type(image_of(*values), "it")
    assert compact.GetPixelID() == sitk.sitkFloat32
    assert tuple(sitk.GetArrayFromImage(compact).ravel()) == values


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_values_that_are_no_numbers_are_counted_in_the_error(bad):
    with pytest.raises(InputError, match="knee.nii holds 2 voxels that are not numbers"):
        convert_to_compact_type(image_of(0, bad, 3, bad), "knee.nii")


def test_padding_below_air_is_clipped_and_metal_is_kept():
    clean = replace_padding_values(image_of(-3024, -1207, -1024, 40, 30000, dtype=np.int32))
    assert sitk.GetArrayFromImage(clean).ravel().tolist() == [-1024, -1024, -1024, 40, 30000]


@pytest.mark.parametrize(
    "low, high, expected",
    [
        (-1024, 1500, "CT"),
        (-900, 300, "CT"),
        (-600, 300, None),
        (0, 4095, None),
        (-100, 900, None),
        (-1024, 100, None),
        (-1, 1, None),
    ],
)
def test_ct_is_guessed_only_from_air_and_bone_together(low, high, expected):
    assert guess_modality(image_of(low, 0, high)) == expected


def test_dark_values_that_thin_out_are_not_air():
    overshoot = image_of(*[-520] * 4, *[-700] * 2, -900, -1000, *[0] * 30, 9000)
    assert guess_modality(overshoot) is None
    assert guess_modality(image_of(*[-520] * 2, -900, *[-1000] * 5, *[0] * 30, 2000)) == "CT"


@pytest.mark.parametrize(
    "low, high, reason",
    [
        (0, 255, "8-bit picture"),
        (0, 4095, "none of them negative"),
        (-3.1, 9.8, "normalisation"),
        (-1000, 90, "normalisation"),
    ],
)
def test_values_that_are_not_hounsfield_units_are_refused(low, high, reason):
    with pytest.raises(InputError, match=reason):
        check_hounsfield(image_of(low, 0, high), "it")


def test_ct_cut_out_within_the_limb_has_no_air_and_passes():
    check_hounsfield(image_of(-110, 40, 1400), "it")


def test_negative_numbers_that_were_read_as_positive_are_restored():
    wrapped = image_of(*np.array([-1000, -100, -2000, 0, 40, 800], np.int16).view(np.uint16))
    clean = replace_padding_values(wrapped)
    assert sitk.GetArrayFromImage(clean).ravel().tolist() == [-1000, -100, -1024, 0, 40, 800]
    (note,) = describe_replaced_values(wrapped, "it")
    assert note.startswith("Negative numbers of it are stored as if 16 bits had no sign") and "2 voxels" in note
    assert guess_modality(wrapped) == "CT"


def test_large_numbers_are_not_taken_for_negative_ones():
    assert describe_replaced_values(image_of(0, 63536, 800), "it") == []  # padding alone
    assert guess_modality(image_of(0, 20000, 40000, 64000, 65000, 65000)) is None  # an MR in 16 bits
    clean = replace_padding_values(image_of(-1000, 800, 70000, 1e30))
    assert sitk.GetArrayFromImage(clean).ravel().tolist() == [-1000, 800, -1024, -1024]


@pytest.mark.parametrize(("corners", "high", "is_padding"), [(8, 3071, True), (3, 3071, False), (8, 1200, False)])
def test_a_highest_value_in_the_corners_is_padding(corners, high, is_padding):
    values = np.full((4, 5, 6), -1000, np.int16)
    values[1:3, 1:4, 1:5] = 700
    places = list(itertools.product((0, -1), repeat=3))
    for place in places[:corners]:
        values[place] = high
    values[2, 2, 2] = high
    image = sitk.GetImageFromArray(values)
    clean = sitk.GetArrayFromImage(replace_padding_values(image))
    assert (clean[0, 0, 0] == -1024) == is_padding == bool(describe_replaced_values(image, "it"))
