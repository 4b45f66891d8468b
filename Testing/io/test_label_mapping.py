"""Mapping files: labels of other networks and data sets become structures of KneeSeg, or are said to be left out."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from KneeSegLib.anatomy import TISSUES, structure
from KneeSegLib.errors import InputError
from KneeSegLib.io.label_mapping import (
    Target,
    describe_mapping,
    find_label_mapping,
    map_own_names,
    read_label_mapping,
    shipped_mappings,
)


def written(tmp_path, content):
    path = tmp_path / "mine.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


def test_labels_are_found_by_value_or_by_name_with_side_or_without(tmp_path):
    labels = {"1": "femur_right", "2": "tibia", "Medial-tibial cartilage": "tibial_cartilage"}
    mapping = read_label_mapping(written(tmp_path, describe_mapping(labels, left_out={"7": "skin"})))
    names = {1: "thigh bone", 2: "", 3: "medial tibial_cartilage", 7: "", 8: "muscle", 9: ""}
    targets, left_out = mapping.resolve(names)
    assert targets == {1: Target("femur", "right"), 2: Target("tibia", None), 3: Target("tibial_cartilage", None)}
    assert left_out == {7: "skin", 8: "muscle", 9: "label 9"}
    assert mapping.structures([1, 2, 7], "left") == {1: structure("femur_right"), 2: structure("tibia_left")}


def test_every_shipped_mapping_can_be_read_and_says_where_its_data_are_had():
    for name, path in shipped_mappings().items():
        assert read_label_mapping(name).labels
        content = json.loads(path.read_text(encoding="utf-8"))
        assert content["license"] and content["source"].startswith("https://"), name


def test_moose_numbers_left_before_right_in_alphabetical_order():
    mapping = find_label_mapping("Dataset666_Peripheral-Bones")
    pairs = {"femur": (5, 6), "fibula": (7, 8), "patella": (17, 18), "tibia": (26, 27)}
    expected = {
        pair[at]: Target(bone, side) for bone, pair in pairs.items() for at, side in enumerate(("left", "right"))
    }
    assert dict(mapping.labels) == expected
    assert (mapping.left_out[24], mapping.left_out[25]) == ("left tarsal bones", "right tarsal bones")


def test_openmsk_knee_has_one_tibial_cartilage_of_two_labels():
    mapping = find_label_mapping("Dataset500_KneeMRI")
    tissues = [mapping.labels[value].tissue for value in range(1, 10)]
    assert tissues == ["patellar_cartilage", "femoral_cartilage", "tibial_cartilage", "tibial_cartilage",
                       "medial_meniscus", "lateral_meniscus", "femur", "tibia", "patella"]  # fmt: skip
    assert {target.side for target in mapping.labels.values()} == {None}


def test_totalsegmentator_bones_are_found_by_name_in_each_of_its_parts():
    mapping = find_label_mapping("Dataset294_TotalSegmentator_part4_muscles_1559subj")
    targets, rest = mapping.resolve({7: "femur_left", 8: "femur_right", 9: "hip_left", 10: "hip_right", 23: "skull"})
    assert targets[9] == Target("hip_bone", "left") and targets[8] == Target("femur", "right")
    assert rest == {23: "skull"}
    assert mapping.resolve({1: "patella", 4: "tarsal"}) == ({1: Target("patella", None)}, {4: "tarsal bones"})
    assert find_label_mapping("Dataset001_Liver") is None


def test_labels_called_as_ours_need_no_mapping():
    mapping = map_own_names({1: "Right femur", 2: "tibia", 3: "skin"}, "dataset.json")
    assert mapping.resolve({1: "Right femur", 2: "tibia", 3: "skin"})[0] == {
        1: Target("femur", "right"), 2: Target("tibia", None)
    }  # fmt: skip
    assert map_own_names({1: "liver"}, "dataset.json") is None


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("no JSON", "cannot be read as JSON"),
        ({"labels": {"1": "femur"}}, "is no label mapping"),
        (describe_mapping({"1": "femur"}) | {"format_version": 9}, "has format version 9, expected 1"),
        (describe_mapping({"1": "femur"}, labells={}), 'has a field "labells" that nobody knows'),
        (describe_mapping({"1": "femurr"}), "did you mean femur"),
        (describe_mapping({"1": "Xylophon"}), "which is no structure of KneeSeg"),
        (describe_mapping({}), 'has no "labels"'),
        (describe_mapping({"1": "femur"}) | {"labels": [1]}, '"labels" of the label mapping mine.json is no table'),
        (describe_mapping({"1": "femur"}, datasets="Dataset001"), "is no list of names"),
        (describe_mapping({"1": "femur"}, modality="PET"), "expected CT or MR"),
    ],
)
def test_each_fault_of_a_mapping_file_is_one_sentence(tmp_path, content, sentence):
    with pytest.raises(InputError, match=sentence):
        read_label_mapping(written(tmp_path, content))


def test_an_unknown_mapping_is_answered_with_those_there_are():
    with pytest.raises(InputError, match=r"There is no label mapping mouse; .*moose-peripheral-bones"):
        read_label_mapping("mouse")


def test_a_mapping_of_other_labels_is_refused(tmp_path):
    by_value = read_label_mapping(written(tmp_path, describe_mapping({"5": "femur"})))
    with pytest.raises(InputError, match="names the label 5, but the labels are 1 liver"):
        by_value.resolve({1: "liver"})
    by_name = read_label_mapping(written(tmp_path, describe_mapping({"thigh bone": "femur"})))
    with pytest.raises(InputError, match="names none of the labels 1 liver"):
        by_name.resolve({1: "liver"})


def test_the_page_of_the_format_shows_a_mapping_that_can_be_read_and_names_every_structure(tmp_path):
    page = (Path(__file__).resolve().parents[2] / "docs" / "nnunet.md").read_text(encoding="utf-8")
    shown = re.search(r"^```json\n(.*?)^```", page, flags=re.MULTILINE | re.DOTALL)
    assert read_label_mapping(written(tmp_path, shown[1])).labels[2] == Target("tibia", None)
    assert all(f"`{tissue.key}`" in page for tissue in TISSUES)
