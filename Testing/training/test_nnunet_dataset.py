"""Cases become a raw data set that nnU-Net takes, and what was trained on it finds its way back."""

from __future__ import annotations

import json

import numpy as np
import pytest
import SimpleITK as sitk

from KneeSegLib.anatomy import structure
from KneeSegLib.errors import InputError
from KneeSegLib.io.label_mapping import Target, read_label_mapping
from KneeSegLib.nnunet.folder import find_model
from KneeSegLib.nnunet.naming import choose_mapping
from KneeSegLib.training.nnunet_dataset import export_nnunet_dataset

SHAPE = (30, 40, 50)
BOXES = {"femur": np.s_[16:28, 10:25, 10:25], "tibia": np.s_[2:14, 10:25, 10:25], "patella": np.s_[14:22, 4:8, 14:20]}


def write_case(folder, name, *keys, side="right", direction="LPS", shift=0.0):
    """A CT of boxes of bone, and their labels."""
    (folder / "images").mkdir(parents=True, exist_ok=True)
    (folder / "labels").mkdir(exist_ok=True)
    labels = np.zeros(SHAPE, np.uint8)
    for key in keys:
        labels[BOXES[key]] = structure(key, side).label_value
    image = np.where(labels > 0, 900, 40).astype(np.int16)
    image[:, :2] = -1000
    for kind, array in (("images", image), ("labels", labels)):
        volume = sitk.GetImageFromArray(array)
        volume.SetSpacing((1.5, 2.0, 2.5))
        volume.SetOrigin((10.0 + (shift if kind == "labels" else 0.0), 20.0, 30.0))
        sitk.WriteImage(sitk.DICOMOrient(volume, direction), str(folder / kind / f"{name}.nrrd"))


def test_labels_are_numbered_without_gaps_and_without_sides_where_each_case_shows_one_leg(tmp_path):
    write_case(tmp_path / "cases", "a", "femur", "tibia")
    write_case(tmp_path / "cases", "b", "femur", "patella", side="left", direction="ASR")
    written = export_nnunet_dataset(tmp_path / "cases", tmp_path / "Dataset042_Knee")
    assert (written.labels, written.with_sides) == ({"femur": 1, "patella": 2, "tibia": 3}, False)
    dataset = json.loads((written.folder / "dataset.json").read_text(encoding="utf-8"))
    assert dataset["labels"] == {"background": 0, "femur": 1, "patella": 2, "tibia": 3}
    assert (dataset["channel_names"], dataset["numTraining"]) == ({"0": "CT"}, 2)
    labels = sitk.ReadImage(str(written.folder / "labelsTr" / "b.nii.gz"))
    image = sitk.ReadImage(str(written.folder / "imagesTr" / "b_0000.nii.gz"))
    # However the file lay in memory: nnU-Net sees all cases along the same axes.
    assert np.allclose(labels.GetDirection(), np.eye(3).ravel()) and labels.GetSize() == image.GetSize() == SHAPE[::-1]
    expected = np.zeros(SHAPE, np.uint8)
    expected[BOXES["femur"]], expected[BOXES["patella"]] = 1, 2
    assert np.array_equal(sitk.GetArrayFromImage(labels), expected)


def test_labels_tell_sides_where_a_case_shows_both_legs(tmp_path):
    write_case(tmp_path / "cases", "a", "femur")
    path = tmp_path / "cases" / "labels" / "a.nrrd"
    labels = sitk.ReadImage(str(path))
    array = sitk.GetArrayFromImage(labels)
    array[16:28, 10:25, 30:45] = structure("femur_left").label_value
    both = sitk.GetImageFromArray(array)
    both.CopyInformation(labels)
    sitk.WriteImage(both, str(path))
    written = export_nnunet_dataset(tmp_path / "cases", tmp_path / "Dataset042_Knee")
    assert (written.labels, written.with_sides) == ({"femur_right": 1, "femur_left": 2}, True)


def test_a_model_trained_on_it_knows_its_labels_and_axes_by_itself(tmp_path):
    write_case(tmp_path / "cases", "a", "femur", "tibia")
    raw = export_nnunet_dataset(tmp_path / "cases", tmp_path / "Dataset042_Knee").folder
    trained = tmp_path / "results" / "Dataset042_Knee" / "nnUNetTrainer__nnUNetPlans__2d"
    (trained / "fold_0").mkdir(parents=True)
    (trained / "fold_0" / "checkpoint_final.pth").touch()
    (trained / "plans.json").write_text('{"configurations": {"2d": {}}}', encoding="utf-8")
    (trained / "dataset.json").write_bytes((raw / "dataset.json").read_bytes())
    for mapping in (choose_mapping(find_model(trained), None), read_label_mapping(raw / "label_mapping.json")):
        assert dict(mapping.labels) == {1: Target("femur", None), 2: Target("tibia", None)}
        assert (mapping.orientation, mapping.modality) == ("LPS", "CT")


def test_nnunets_own_checks_pass(tmp_path):
    integrity = pytest.importorskip("nnunetv2.experiment_planning.verify_dataset_integrity")
    from nnunetv2.imageio.simpleitk_reader_writer import SimpleITKIO
    from nnunetv2.utilities.utils import get_filenames_of_train_images_and_targets

    write_case(tmp_path / "cases", "a", "femur", "tibia")
    raw = export_nnunet_dataset(tmp_path / "cases", tmp_path / "Dataset042_Knee").folder
    dataset = json.loads((raw / "dataset.json").read_text(encoding="utf-8"))
    cases = get_filenames_of_train_images_and_targets(str(raw), dataset)
    assert list(cases) == ["a"]
    expected = list(dataset["labels"].values())
    assert integrity.verify_labels(cases["a"]["label"], SimpleITKIO, expected)
    assert integrity.check_cases(cases["a"]["images"], cases["a"]["label"], 1, SimpleITKIO)


def test_each_fault_of_the_cases_is_one_sentence(tmp_path):
    cases, output = tmp_path / "cases", tmp_path / "Dataset042_Knee"
    with pytest.raises(InputError, match='folders called "Dataset", three digits and a name'):
        export_nnunet_dataset(cases, tmp_path / "out")
    with pytest.raises(InputError, match="has no folder images"):
        export_nnunet_dataset(cases, output)
    write_case(cases, "a", "femur")
    (cases / "labels" / "a.nrrd").rename(cases / "labels" / "b.nrrd")
    with pytest.raises(InputError, match=r"a is in .*images and not in .*labels"):
        export_nnunet_dataset(cases, output)
    (cases / "labels" / "b.nrrd").unlink()
    write_case(cases, "a", "femur", shift=1.0)
    with pytest.raises(InputError, match="Image and labels of a do not lie on one grid"):
        export_nnunet_dataset(cases, output)
    write_case(cases, "a")
    with pytest.raises(InputError, match="The labels of a hold no structure"):
        export_nnunet_dataset(cases, output)
    write_case(cases, "a", "femur")
    image = sitk.ReadImage(str(cases / "images" / "a.nrrd"))
    sitk.WriteImage(sitk.Cast(image > 500, sitk.sitkUInt8) * 100 + 5, str(cases / "images" / "a.nrrd"))
    with pytest.raises(InputError, match="Nothing says whether a is a CT or an MR; say it with --modality"):
        export_nnunet_dataset(cases, output)
    assert not output.exists()
