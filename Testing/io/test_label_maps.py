"""Label maps from elsewhere: other numbers, segmentations saved by 3D Slicer, files that are none."""

from __future__ import annotations

import re

import numpy as np
import pytest
import SimpleITK as sitk

from KneeSegLib.anatomy import structure
from KneeSegLib.errors import InputError
from KneeSegLib.io.label_maps import parse_labels, read_label_map

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
    with pytest.raises(InputError, match="no label map: it holds fractions"):
        read_label_map(write(tmp_path / "probabilities.nrrd", two_blocks(0.5, 1, np.float32)))


def test_missing_damaged_and_flat_files_are_refused_in_a_sentence(tmp_path):
    with pytest.raises(InputError, match="no file or folder"):
        read_label_map(tmp_path / "nowhere.nrrd")
    (tmp_path / "damaged.nrrd").write_bytes(b"NRRD0004\ntype: short\n")
    with pytest.raises(InputError, match="cannot be read"):
        read_label_map(tmp_path / "damaged.nrrd")
    with pytest.raises(InputError, match="holds no segmentation.seg.nrrd"):
        read_label_map(tmp_path)
    with pytest.raises(InputError, match="2 dimensions"):
        read_label_map(write(tmp_path / "flat.nrrd", np.zeros((4, 4), np.uint8)))


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
