"""Folders of the shape of published models go from an image to structures of KneeSeg."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import SimpleITK as sitk
import torch

import KneeSegLib as ks
from KneeSegLib.anatomy import structure
from KneeSegLib.errors import AnatomyNotFoundError, Cancelled, InputError, ModelError
from Testing.nnunet.conftest import MOOSE, MOOSE_RECIPE, OPENMSK_RECIPE, OWN_RECIPE, TOTALSEGMENTATOR_RECIPE, scan_of

pytest.importorskip("nnunetv2")


def segment(scan, folder, **options):
    return ks.segment(scan, "nnunet", nnunet=str(folder), device="cpu", **options)


def dice(case, key, expected):
    found = sitk.GetArrayFromImage(case.labels) == structure(key).label_value
    return 2.0 * np.count_nonzero(found & expected) / (np.count_nonzero(found) + np.count_nonzero(expected))


@pytest.fixture(scope="module")
def moose_case(models):
    scan, labels = scan_of(MOOSE_RECIPE)
    return segment(scan, models["moose"]), labels


def test_bones_of_moose_get_their_sides_and_what_has_no_name_is_said(moose_case):
    case, labels = moose_case
    for name, value in MOOSE.items():
        if not name.startswith("tarsal"):
            assert dice(case, name, labels == value) > 0.95, name
    assert any("no name for it: left tarsal bones" in sentence for sentence in case.warnings)
    assert case.provenance["model"]["mapping"] == "moose-peripheral-bones"


def test_its_structures_are_checked_and_have_closed_surfaces(moose_case, tmp_path):
    case, _ = moose_case
    femur = next(found for found in case.structures if found.structure.key == "femur_right")
    assert femur.quality.level == "check" and any("whole bones of this kind" in text for text in femur.quality.reasons)
    case.save(tmp_path / "out")
    assert (tmp_path / "out" / "surfaces" / "patella_left.stl").is_file()
    record = json.loads((tmp_path / "out" / "case.json").read_text(encoding="utf-8"))
    assert record["provenance"]["model"]["folds"] == ["0"]
    assert "Dataset666" in record["provenance"]["model"]["title"]
    assert record["statement"].startswith("Labelled by the nnU-Net model Dataset666_Peripheral-Bones")


def test_margins_are_positive_exactly_inside(moose_case):
    case, _ = moose_case
    labels = case.labels
    assert set(case.margins) == {found.structure.key for found in case.structures}
    for key, margin in case.margins.items():
        first = labels.TransformPhysicalPointToIndex(margin.GetOrigin())
        part = sitk.RegionOfInterest(labels, margin.GetSize(), first)
        inside = sitk.GetArrayFromImage(part) == structure(key).label_value
        assert np.array_equal(sitk.GetArrayFromImage(margin) > 0, inside), key


def test_the_labels_are_those_of_nnunets_own_predictor(models, tmp_path):
    import torch
    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor

    scan = scan_of(OWN_RECIPE)[0][:, :, 10:20]
    home = next(models["own"].iterdir())
    predictor = nnUNetPredictor(device=torch.device("cpu"), allow_tqdm=False)
    predictor.initialize_from_trained_model_folder(str(home), None)
    expected = predictor.predict_single_npy_array(
        sitk.GetArrayFromImage(scan).astype(np.float32)[None], {"spacing": [3.0] * 3}, None, None, False
    )
    from KneeSegLib.networks.device import find_device
    from KneeSegLib.nnunet.folder import find_model
    from KneeSegLib.nnunet.predictor import Network

    model = find_model(models["own"])
    assert model.folds == ["1", "3"]
    logits = Network(model, find_device("cpu")).predict(sitk.GetArrayViewFromImage(scan), (3.0, 3.0, 3.0))
    assert np.array_equal(logits.label(), expected)


def test_a_cascade_of_residual_networks_labels_cartilage_and_menisci(models):
    scan, labels = scan_of(OPENMSK_RECIPE)
    case = segment(scan, models["openmsk"], modality="MR")
    expected = {"femur_left": [7], "tibia_left": [8], "patella_left": [9], "tibial_cartilage_left": [3, 4],
                "medial_meniscus_left": [5], "lateral_meniscus_left": [6]}  # fmt: skip
    for key, values in expected.items():
        assert dice(case, key, np.isin(labels, values)) > 0.9, key
    assert case.provenance["model"]["cascade"] and case.provenance["model"]["checkpoint"] == "checkpoint_best.pth"
    assert any("the bones are those of a left leg" in sentence for sentence in case.warnings)
    assert any(entry.cartilage.key == "tibial_cartilage_left" for entry in case.cartilage)


def test_the_side_that_is_given_counts(models):
    scan, _ = scan_of(OPENMSK_RECIPE)
    case = segment(scan, models["openmsk"], modality="MR", side="right")
    assert {found.structure.side for found in case.structures} == {"right"}
    assert not any("tell no side" in sentence for sentence in case.warnings)


def test_totalsegmentators_bones_are_found_by_name(models):
    scan, labels = scan_of(TOTALSEGMENTATOR_RECIPE)
    case = segment(scan, models["totalsegmentator"])
    assert dice(case, "hip_bone_left", labels == 9) > 0.9
    assert dice(case, "femur_right", labels == 8) > 0.95
    assert len(case.structures) == 4


def test_two_legs_of_labels_without_side_are_told_apart(models):
    scan, labels = scan_of(OWN_RECIPE)
    case = segment(scan, models["own"], mirroring=False)
    middle = labels.shape[2] // 2
    for side, half in (("right", slice(0, middle)), ("left", slice(middle, None))):
        expected = np.zeros(labels.shape, bool)
        expected[..., half] = labels[..., half] == OWN_RECIPE.labels["tibia"]
        assert dice(case, f"tibia_{side}", expected) > 0.95
    only = segment(scan, models["own"], mirroring=False, side="left")
    assert {found.structure.side for found in only.structures} == {"left"}


def test_a_scan_that_lies_otherwise_in_memory_gives_the_same_labels(models, moose_case):
    case, _ = moose_case
    turned = sitk.DICOMOrient(scan_of(MOOSE_RECIPE)[0], "ASR")
    found = sitk.DICOMOrient(segment(turned, models["moose"]).labels, "LPS")
    assert np.array_equal(sitk.GetArrayFromImage(found), sitk.GetArrayFromImage(case.labels))


def test_a_run_is_cancelled_between_two_windows(models):
    scan, _ = scan_of(MOOSE_RECIPE)
    seen = []

    def stop(fraction, message):
        seen.append((fraction, message))
        if sum("3d_fullres" in text for _, text in seen) == 3:
            raise Cancelled

    with pytest.raises(Cancelled):
        segment(scan, models["moose"], progress=stop)
    fractions = [fraction for fraction, text in seen if "3d_fullres" in text]
    assert fractions == sorted(fractions) and 0.0 < fractions[-1] < 0.9


def test_weights_of_other_plans_are_one_sentence(models, tmp_path):
    folder = shutil.copytree(models["own"], tmp_path / models["own"].name)
    home = next(folder.iterdir())
    plans = json.loads((home / "plans.json").read_text(encoding="utf-8"))
    plans["configurations"]["2d"]["architecture"]["arch_kwargs"]["features_per_stage"] = [16, 8]
    (home / "plans.json").write_text(json.dumps(plans), encoding="utf-8")
    with pytest.raises(ModelError, match=r"The plans of Dataset042_Mine, 2d and its weights do not fit each other"):
        segment(scan_of(OWN_RECIPE)[0], folder)


def test_foreign_plans_are_refused_unless_trusted(models, tmp_path):
    folder = shutil.copytree(models["own"], tmp_path / models["own"].name)
    home = next(folder.iterdir())
    plans = json.loads((home / "plans.json").read_text(encoding="utf-8"))
    plans["configurations"]["2d"]["architecture"]["arch_kwargs"]["nonlin"] = "torch.nn.modules.activation.CELU"
    plans["configurations"]["2d"]["architecture"]["arch_kwargs"]["nonlin_kwargs"] = {}
    (home / "plans.json").write_text(json.dumps(plans), encoding="utf-8")
    scan, _ = scan_of(OWN_RECIPE)
    with pytest.raises(ModelError, match=r"name torch\.nn\.modules\.activation\.CELU"):
        segment(scan, folder, mirroring=False)
    assert segment(scan, folder, mirroring=False, trust_checkpoint=True).structures


@pytest.mark.parametrize(
    ("options", "error", "sentence"),
    [
        ({"pipeline": "nnunet"}, InputError, "name its folder with --nnunet FOLDER"),
        ({"pipeline": "ct-knee", "nnunet": "x"}, InputError, "belong to the pipeline nnunet, not to ct-knee"),
    ],
)
def test_options_that_do_not_go_together_are_one_sentence(options, error, sentence):
    with pytest.raises(error, match=sentence):
        ks.segment(scan_of(MOOSE_RECIPE)[0], **options)


def test_a_leg_that_is_not_there_is_said(models):
    scan, _ = scan_of(OPENMSK_RECIPE)
    with pytest.raises(AnatomyNotFoundError, match="Both legs were asked for, and the nnU-Net model found only the"):
        segment(scan, models["openmsk"], modality="MR", side="both")


def test_a_model_that_lacks_a_bone_is_found_out_by_a_second_opinion(models, tmp_path):
    folder = shutil.copytree(models["moose"], tmp_path / models["moose"].name)
    checkpoint = next(folder.rglob("checkpoint_final.pth"))
    content = torch.load(checkpoint, weights_only=False)
    bias = next(name for name in content["network_weights"] if name.endswith("seg_layers.0.bias"))
    content["network_weights"][bias][MOOSE["patella_left"]] = -200.0
    torch.save(content, checkpoint)
    case = segment(scan_of(MOOSE_RECIPE)[0], models["moose"], second_opinion=str(folder))
    flagged = {entry.structure.key for entry in case.second_opinion.agreements if entry.disagrees}
    assert flagged == {"patella_left"}
    assert any("Check the left patella. The second opinion (Dataset666" in sentence for sentence in case.warnings)
