"""What a trained nnU-Net folder holds is found however it is named; what it lacks is said in one sentence."""

from __future__ import annotations

import json
import shutil

import pytest

from KneeSegLib.errors import InputError, ModelError
from KneeSegLib.nnunet.folder import find_model
from KneeSegLib.nnunet.naming import choose_mapping


def write_model(folder, configuration="3d_fullres", folds=("fold_0",), checkpoint="checkpoint_final.pth", **plans):
    """A folder of nnU-Net's shape whose checkpoints are empty."""
    home = folder / f"nnUNetTrainer__nnUNetPlans__{configuration}"
    for fold in folds:
        (home / fold).mkdir(parents=True)
        (home / fold / checkpoint).touch()
    cascade = {"inherits_from": "3d_fullres", "previous_stage": "3d_lowres"}
    configurations = {"2d": {}, "3d_lowres": {}, "3d_fullres": {}, "3d_cascade_fullres": cascade}
    content = {"dataset_name": folder.name, "configurations": configurations, **plans}
    (home / "plans.json").write_text(json.dumps(content), encoding="utf-8")
    dataset = {"channel_names": {"0": "CT"}, "labels": {"background": 0, "femur": 1, "skin": 2, "ignore": 3}}
    (home / "dataset.json").write_text(json.dumps(dataset), encoding="utf-8")
    return home


def test_a_model_is_found_by_its_data_set_its_configuration_a_fold_or_a_checkpoint(tmp_path):
    dataset = tmp_path / "unpacked" / "Dataset007_Legs"
    home = write_model(dataset, folds=("fold_0", "fold_2", "fold_all"))
    for given in (tmp_path / "unpacked", dataset, home):
        found = find_model(given)
        assert (found.path, found.folds, found.configuration) == (home, ["0", "2"], "3d_fullres")
    assert find_model(home / "fold_2").folds == ["2"]
    assert find_model(home / "fold_all" / "checkpoint_final.pth").folds == ["all"]
    assert find_model(home).label_names == {1: "femur", 2: "skin"}
    assert find_model(home).modality == "CT"


def test_a_network_of_all_cases_is_used_where_there_are_no_folds(tmp_path):
    assert find_model(write_model(tmp_path / "Dataset007_Legs", folds=("fold_all",))).folds == ["all"]


def test_only_folds_with_the_chosen_checkpoint_are_used(tmp_path):
    home = write_model(tmp_path / "Dataset007_Legs", folds=("fold_0", "fold_1"), checkpoint="checkpoint_best.pth")
    assert find_model(home).folds == ["0", "1"]
    (home / "fold_1" / "checkpoint_final.pth").touch()
    assert [path.name for path in find_model(home).checkpoints] == ["checkpoint_final.pth"]
    assert find_model(home).folds == ["1"]


def test_a_checkpoint_of_any_name_is_found(tmp_path):
    home = write_model(tmp_path / "Dataset007_Legs", checkpoint="weights_of_monday.pth")
    assert find_model(home).checkpoints[0].name == "weights_of_monday.pth"


def test_a_cascade_is_preferred_and_brings_its_first_stage(tmp_path):
    dataset = tmp_path / "Dataset007_Legs"
    for configuration in ("2d", "3d_fullres", "3d_lowres", "3d_cascade_fullres"):
        write_model(dataset, configuration)
    found = find_model(dataset)
    assert found.configuration == "3d_cascade_fullres" and found.previous.configuration == "3d_lowres"


def test_regions_are_named_by_the_value_that_a_prediction_gives_them(tmp_path):
    home = write_model(tmp_path / "Dataset007_Legs")
    dataset = {"channel_names": {"0": "MR"}, "regions_class_order": [2, 1],
               "labels": {"background": 0, "whole knee": [1, 2], "femur": [1]}}  # fmt: skip
    (home / "dataset.json").write_text(json.dumps(dataset), encoding="utf-8")
    assert find_model(home).label_names == {2: "whole knee", 1: "femur"}


def test_each_broken_folder_is_one_sentence(tmp_path):
    with pytest.raises(ModelError, match="There is no file or folder"):
        find_model(tmp_path / "nowhere")
    with pytest.raises(ModelError, match="holds no trained nnU-Net model"):
        find_model(tmp_path)
    home = write_model(tmp_path / "Dataset007_Legs", "3d_cascade_fullres")
    with pytest.raises(ModelError, match="needs nnUNetTrainer__nnUNetPlans__3d_lowres beside it"):
        find_model(home)
    shutil.rmtree(tmp_path / "Dataset007_Legs")
    home = write_model(tmp_path / "Dataset007_Legs")
    write_model(tmp_path / "Dataset008_Arms")
    with pytest.raises(ModelError, match=r"several data sets \(Dataset007_Legs, Dataset008_Arms\)"):
        find_model(tmp_path)
    (home / "fold_0" / "checkpoint_final.pth").unlink()
    with pytest.raises(ModelError, match="fold_0 holds no checkpoint"):
        find_model(home / "fold_0")
    (home / "fold_0" / "checkpoint_final.pth").touch()
    renamed = home.rename(home.parent / "my model")
    with pytest.raises(ModelError, match="not called after one of its configurations"):
        find_model(renamed)
    home = renamed.rename(home)
    (home / "dataset.json").write_text('{"channel_names": {"0": "T1", "1": "T2"}, "labels": {"background": 0}}')
    with pytest.raises(ModelError, match=r"takes 2 images at a time \(T1, T2\)"):
        find_model(home)
    (home / "dataset.json").write_text("{}")
    with pytest.raises(ModelError, match="names no labels"):
        find_model(home)
    (home / "plans.json").write_text("{")
    with pytest.raises(ModelError, match=r"plans.json cannot be read as JSON"):
        find_model(home)


def test_the_mapping_is_the_one_given_then_that_beside_the_model_then_the_shipped_one(tmp_path):
    home = write_model(tmp_path / "Dataset666_Peripheral-Bones")
    model = find_model(home)
    assert choose_mapping(model, None).source == "moose-peripheral-bones"
    assert choose_mapping(model, "openmsk-knee-mr").source == "openmsk-knee-mr"
    mapping = '{"format": "KneeSeg label mapping", "format_version": 1, "labels": {"1": "femur"}}'
    (home.parent / "label_mapping.json").write_text(mapping, encoding="utf-8")
    assert choose_mapping(model, None).source == "label_mapping.json"


def test_labels_that_nobody_knows_ask_for_a_mapping(tmp_path):
    home = write_model(tmp_path / "Dataset007_Legs")
    assert choose_mapping(find_model(home), None).target_of(1).tissue == "femur"
    dataset = {"channel_names": {"0": "CT"}, "labels": {"background": 0, "liver": 1}}
    (home / "dataset.json").write_text(json.dumps(dataset), encoding="utf-8")
    with pytest.raises(InputError, match=r"labels of Dataset007_Legs, 3d_fullres \(1 liver\) .* --mapping"):
        choose_mapping(find_model(home), None)
