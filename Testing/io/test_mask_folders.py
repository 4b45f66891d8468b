"""A folder of masks, a file for each structure, is a label map."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk

from KneeSegLib.anatomy import structure
from KneeSegLib.errors import InputError
from KneeSegLib.io.label_maps import read_label_map, read_noted_label_map
from KneeSegLib.io.label_meaning import LabelMeaning
from KneeSegLib.measurements.pairs import pairs_of


def write_mask(folder, name: str, where: slice, value: int = 1, size: int = 12) -> None:
    mask = np.zeros((size, 8, 8), np.uint8)
    mask[where, 2:5, 2:5] = value
    image = sitk.GetImageFromArray(mask)
    image.SetSpacing((0.8, 0.8, 2.0))
    sitk.WriteImage(image, str(folder / name))


@pytest.fixture
def masks(tmp_path):
    """Of TotalSegmentator: also one of no structure of ours, and one of nothing."""
    folder = tmp_path / "segmentations"
    folder.mkdir()
    write_mask(folder, "femur_left.nii.gz", slice(6, 9))
    write_mask(folder, "hip_left.nii.gz", slice(9, 11), value=255)
    write_mask(folder, "patella_left.nii.gz", slice(0, 0))
    write_mask(folder, "spleen.nii.gz", slice(2, 4))
    return folder


def test_masks_are_known_by_the_names_of_their_files(masks):
    labels, notes = read_noted_label_map(masks)
    values = sitk.GetArrayFromImage(labels)
    expected = {structure("femur_left").label_value: 27, structure("hip_bone_left").label_value: 18}
    assert {int(value): int((values == value).sum()) for value in np.unique(values) if value} == expected
    assert labels.GetSpacing() == pytest.approx((0.8, 0.8, 2.0))
    assert notes == ["1 file is called after no structure of KneeSeg and left out."]


def test_a_mapping_says_the_same_of_them(masks):
    labels, _ = LabelMeaning.parse("totalsegmentator-bones").read(masks)
    assert np.array_equal(sitk.GetArrayFromImage(labels), sitk.GetArrayFromImage(read_label_map(masks)))


def test_where_masks_overlap_nothing_is_lost_of_the_later_one(masks):
    write_mask(masks, "tibia_left.nii.gz", slice(5, 7))
    values = sitk.GetArrayFromImage(read_label_map(masks))
    assert (values == structure("tibia_left").label_value).sum() == 18


def test_a_folder_of_masks_is_one_case_of_an_evaluation(masks, tmp_path):
    sitk.WriteImage(read_label_map(masks), str(tmp_path / "reference.nrrd"))
    (pair,) = pairs_of(tmp_path / "reference.nrrd", masks)
    assert pair.prediction == masks


def test_masks_of_two_images_and_label_maps_are_refused(masks):
    write_mask(masks, "tibia_left.nii.gz", slice(0, 3), size=13)
    with pytest.raises(InputError, match=r"tibia_left.nii.gz has another grid than the other masks"):
        read_label_map(masks)
    values = np.zeros((12, 8, 8), np.uint8)
    values[2:4], values[5:7] = 1, 2
    sitk.WriteImage(sitk.GetImageFromArray(values), str(masks / "femur_left.nii.gz"))
    with pytest.raises(InputError, match=r"femur_left.nii.gz is called after one structure and holds several values"):
        read_label_map(masks)


def test_two_masks_of_one_name_are_refused(masks):
    write_mask(masks, "femur_left.nrrd", slice(1, 3))
    with pytest.raises(InputError, match=r"2 files of the folder are called like femur_left"):
        read_label_map(masks)
