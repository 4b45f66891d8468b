"""Label maps from elsewhere: other numbers, segmentations saved by 3D Slicer, files that are none."""

from __future__ import annotations

import re

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk

from KneeSegLib.anatomy import structure
from KneeSegLib.errors import InputError
from KneeSegLib.io.label_maps import parse_labels, read_label_map, read_noted_label_map

FEMUR, TIBIA = structure("femur_right"), structure("tibia_right")


def write(path, voxels: np.ndarray, fields: dict[str, str] | None = None, is_vector: bool = False):
    image = sitk.GetImageFromArray(voxels, isVector=is_vector)
    image.SetSpacing((0.5, 0.6, 0.7))
    for key, value in (fields or {}).items():
        image.SetMetaData(key, value)
    sitk.WriteImage(image, str(path))
    return path


def two_blocks(first: float, second: float, dtype: type = np.uint8) -> np.ndarray:
    voxels = np.zeros((4, 5, 6), dtype)
    voxels[1], voxels[2] = first, second
    return voxels


def values_by_slice(image: sitk.Image) -> list[int]:
    return [int(plane.max()) for plane in sitk.GetArrayViewFromImage(image)]


@pytest.mark.parametrize("ending", [".nrrd", ".nii.gz", ".mha"])
def test_our_own_values_are_read_from_any_format(tmp_path, ending):
    path = write(tmp_path / f"labels{ending}", two_blocks(FEMUR.label_value, TIBIA.label_value))
    image = read_label_map(path)
    assert values_by_slice(image) == [0, FEMUR.label_value, TIBIA.label_value, 0]
    assert image.GetSpacing() == pytest.approx((0.5, 0.6, 0.7))


def test_result_folder_stands_for_its_segmentation(tmp_path):
    write(tmp_path / "segmentation.seg.nrrd", two_blocks(FEMUR.label_value, 0))
    assert values_by_slice(read_label_map(tmp_path)) == [0, FEMUR.label_value, 0, 0]


def test_other_values_are_translated_and_the_rest_is_background(tmp_path):
    path = write(tmp_path / "labels.nii.gz", two_blocks(5, 900, np.float32))
    image = read_label_map(path, parse_labels("5=femur_right"))
    assert values_by_slice(image) == [0, FEMUR.label_value, 0, 0]


def test_values_without_a_meaning_are_listed_in_the_error(tmp_path):
    path = write(tmp_path / "labels.nrrd", two_blocks(200, 201))
    with pytest.raises(InputError, match=r"values 200, 201.*--labels"):
        read_label_map(path)


def test_segments_renumbered_by_slicer_are_recognised_by_name_or_identifier(tmp_path):
    fields = {
        "Segment0_LabelValue": "1",
        "Segment0_ID": "Segment_1",
        "Segment0_Name": "right femur",
        "Segment1_LabelValue": "2",
        "Segment1_ID": "tibia_right",
        "Segment1_Name": "Shin",
    }
    path = write(tmp_path / "saved.seg.nrrd", two_blocks(1, 2), fields)
    assert values_by_slice(read_label_map(path)) == [0, FEMUR.label_value, TIBIA.label_value, 0]


def test_overlapping_segments_in_several_layers_are_read(tmp_path):
    layers = np.stack([two_blocks(1, 0), two_blocks(0, 1)], axis=-1)
    fields = {
        "Segment0_LabelValue": "1",
        "Segment0_Layer": "0",
        "Segment0_Name": "Right femur",
        "Segment1_LabelValue": "1",
        "Segment1_Layer": "1",
        "Segment1_Name": "Right tibia",
    }
    path = write(tmp_path / "layers.seg.nrrd", layers, fields, is_vector=True)
    assert values_by_slice(read_label_map(path)) == [0, FEMUR.label_value, TIBIA.label_value, 0]


def test_segment_of_another_organ_is_named_in_the_error(tmp_path):
    fields = {"Segment0_LabelValue": "1", "Segment0_Name": "Liver"}
    path = write(tmp_path / "liver.seg.nrrd", two_blocks(1, 0), fields)
    with pytest.raises(InputError, match="Liver"):
        read_label_map(path)


def test_a_ct_is_no_label_map(tmp_path):
    with pytest.raises(InputError, match="no label map: it holds values from -1000 to 700"):
        read_label_map(write(tmp_path / "ct.nrrd", two_blocks(-1000, 700, np.int16)))


def test_probabilities_are_no_label_map(tmp_path):
    with pytest.raises(InputError, match="no label map: it holds fractions such as 0.5"):
        read_label_map(write(tmp_path / "probabilities.nrrd", two_blocks(0.5, 1, np.float32)))


def test_missing_damaged_and_flat_files_are_refused_in_a_sentence(tmp_path):
    with pytest.raises(InputError, match="no file or folder"):
        read_label_map(tmp_path / "nowhere.nrrd")
    (tmp_path / "damaged.nrrd").write_bytes(b"NRRD0004\ntype: short\n")
    with pytest.raises(InputError, match="its header does not end"):
        read_label_map(tmp_path / "damaged.nrrd")
    with pytest.raises(InputError, match="holds no segmentation.seg.nrrd"):
        read_label_map(tmp_path)
    with pytest.raises(InputError, match="2 dimensions"):
        read_label_map(write(tmp_path / "flat.nrrd", np.zeros((4, 4), np.uint8)))


def old_slicer(path, names: tuple[str, ...], layers: int = 2):
    """Write a segmentation as 3D Slicer 4.10 did: a component of zeros and ones for each segment, and no values."""
    voxels = np.stack([two_blocks(1, 0), two_blocks(0, 1), two_blocks(0, 0)][:layers], axis=-1)
    fields = {f"Segment{number}_Name": name for number, name in enumerate(names)}
    fields |= {f"Segment{number}_ID": f"Segment_{number + 1}" for number in range(len(names))}
    return write(path, voxels, fields, is_vector=True)


def test_segments_without_values_are_told_apart_by_their_layers(tmp_path):
    path = old_slicer(tmp_path / "old.seg.nrrd", ("Right femur", "Right tibia"))
    assert values_by_slice(read_label_map(path)) == [0, FEMUR.label_value, TIBIA.label_value, 0]
    assert read_noted_label_map(path)[1] == []


def test_segments_without_values_are_numbered_by_their_order(tmp_path):
    path = old_slicer(tmp_path / "old.seg.nrrd", ("Segment_1", "Segment_2"))
    with pytest.raises(InputError, match=re.escape('the values 1 ("Segment_1"), 2 ("Segment_2")')):
        read_label_map(path)
    image = read_label_map(path, parse_labels("1=tibia_right,2=femur_right"))
    assert values_by_slice(image) == [0, TIBIA.label_value, FEMUR.label_value, 0]


def test_one_segment_without_a_value_is_the_ones(tmp_path):
    path = write(tmp_path / "old.seg.nrrd", two_blocks(1, 1), {"Segment0_Name": "Right tibia"})
    assert values_by_slice(read_label_map(path)) == [0, TIBIA.label_value, TIBIA.label_value, 0]


@pytest.mark.parametrize("names, layers", [(("Right femur",), 2), (("Right femur", "Right tibia"), 3)])
def test_segments_without_values_that_do_not_match_the_layers_are_refused(names, layers, tmp_path):
    with pytest.raises(InputError, match=f"lists {len(names)} segments without label values for {layers} layers"):
        read_label_map(old_slicer(tmp_path / "old.seg.nrrd", names, layers))


@pytest.mark.parametrize("labels", [None, {1: FEMUR}])
def test_layers_without_names_are_refused(labels, tmp_path):
    with pytest.raises(InputError, match="has 2 layers and does not say what they are"):
        read_label_map(old_slicer(tmp_path / "nameless.seg.nrrd", ()), labels)


def test_value_of_several_segments_is_not_given_one_meaning(tmp_path):
    fields = {
        "Segment0_LabelValue": "1", "Segment0_Layer": "0", "Segment0_Name": "Femur",
        "Segment1_LabelValue": "1", "Segment1_Layer": "1", "Segment1_Name": "Tibia",
    }  # fmt: skip
    path = write(tmp_path / "a.seg.nrrd", np.stack([two_blocks(1, 0), two_blocks(0, 1)], -1), fields, is_vector=True)
    with pytest.raises(InputError, match='value 1 of a.seg.nrrd stands for several segments .*"Femur".* and .*"Tibia"'):
        read_label_map(path, {1: FEMUR})


@pytest.mark.parametrize("field, value", [("LabelValue", "one"), ("Layer", "-1"), ("Layer", "1")])
def test_odd_fields_of_segments_are_refused(field, value, tmp_path):
    fields = {"Segment0_LabelValue": "1", "Segment0_Layer": "0", "Segment0_Name": "Right femur"}
    path = write(tmp_path / "odd.seg.nrrd", two_blocks(1, 0), fields | {f"Segment0_{field}": value})
    with pytest.raises(InputError, match="open it in 3D Slicer and save it again"):
        read_label_map(path)


@pytest.mark.parametrize("dtype", [np.int16, np.uint8])
def test_labels_scaled_by_nibabel_are_whole_numbers(dtype, tmp_path):
    scaled = nib.Nifti1Image(two_blocks(FEMUR.label_value, TIBIA.label_value, np.float64).T, np.eye(4))
    scaled.header.set_data_dtype(dtype)
    nib.save(scaled, tmp_path / "scaled.nii.gz")
    image = read_label_map(tmp_path / "scaled.nii.gz")
    assert values_by_slice(image) == [0, FEMUR.label_value, TIBIA.label_value, 0]


def test_numbers_taken_for_ours_and_values_that_nothing_names_are_noted(tmp_path):
    path = write(tmp_path / "mask.nrrd", two_blocks(1, 1))
    (note,) = read_noted_label_map(path)[1]
    assert "KneeSeg's own numbers were taken (1 Right hip bone)" in note
    (note,) = read_noted_label_map(path, {5: FEMUR})[1]
    assert note == "mask.nrrd holds none of the values that --labels names; it holds the value 1."


@pytest.mark.parametrize(
    "text, complaint",
    [
        ("5", '"5" is not of that form'),
        ("femur_right=5", '"femur_right=5" is not of that form'),
        ("5=femur_right,", '"" is not of that form'),
        ("0=femur_right", "is not of that form"),
        ("5=femur_rihgt", 'No structure is called "femur_rihgt"; did you mean femur_right'),
    ],
)
def test_wrongly_written_labels_are_explained(text, complaint):
    with pytest.raises(InputError, match=re.escape(complaint)):
        parse_labels(text)


def test_a_segment_that_was_renamed_is_what_its_name_says(tmp_path):
    fields = {"Segment0_LabelValue": "1", "Segment0_ID": "femur_left", "Segment0_Name": "Right femur"}
    image, notes = read_noted_label_map(write(tmp_path / "a.seg.nrrd", two_blocks(1, 1), fields))
    assert values_by_slice(image) == [0, FEMUR.label_value, FEMUR.label_value, 0]
    assert notes == [
        'Segments of a.seg.nrrd are named otherwise than their identifiers say, "Right femur" (femur_left): the names '
        "were taken."
    ]


def test_a_value_that_two_segments_claim_is_refused(tmp_path):
    fields = {
        "Segment0_LabelValue": "1", "Segment0_Name": "Right femur",
        "Segment1_LabelValue": "1", "Segment1_Name": "Right tibia",
    }  # fmt: skip
    with pytest.raises(InputError, match="value 1 of a.seg.nrrd stands for two segments, Right femur and Right tibia"):
        read_label_map(write(tmp_path / "a.seg.nrrd", two_blocks(1, 1), fields))
