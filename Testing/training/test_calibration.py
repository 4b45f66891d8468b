"""Temperatures: found where they are known, written into bundles, and applied."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from torch import nn

from KneeSegLib.bundles import Bundle
from KneeSegLib.ct.joint_slices import predict_on_grid
from KneeSegLib.ct.leg import JointRoi
from KneeSegLib.training.bundle_files import amend_bundle, write_bundle
from KneeSegLib.training.calibration import calibrate_bundle, compute_class_fractions, fit_temperature
from KneeSegLib.training.export import describe_bundle
from KneeSegLib.training.initialisation import build_network, initialise_network
from KneeSegLib.training.recipe_files import parse_recipe, read_recipe
from KneeSegLib.training.samples import SoftLabels
from Testing.phantoms.models import model_of, scan_of
from Testing.phantoms.mr_knees import cylinder_knee_subject, cylinder_knee_template


@pytest.mark.parametrize("temperature", [0.6, 1.0, 2.5])
def test_the_temperature_that_scaled_the_logits_is_found(temperature):
    generator = torch.Generator().manual_seed(1)
    honest = 2.0 * torch.randn((60_000, 4), generator=generator)
    drawn = torch.multinomial(honest.softmax(dim=1), 1, generator=generator)[:, 0]
    targets = nn.functional.one_hot(drawn, 4).float()
    found = fit_temperature(temperature * honest, targets)
    assert found.temperature == pytest.approx(temperature, rel=0.04)
    assert found.nll_after <= found.nll_before
    assert found.voxels == 60_000


def test_half_a_voxel_of_bone_is_half_background():
    classes = torch.tensor([[2, 0]])
    labels = SoftLabels(classes, torch.tensor([[0.25, 0.0]]), torch.ones(1, 2), torch.zeros_like(classes))
    assert compute_class_fractions(labels, 3).tolist() == [[0.75, 0.0, 0.25], [1.0, 0.0, 0.0]]


def test_a_voxel_of_two_classes_is_a_fraction_of_each():
    filled, rest = torch.tensor([[0.75]]), torch.tensor([[1]], dtype=torch.uint8)
    labels = SoftLabels(torch.tensor([[2]], dtype=torch.uint8), filled, torch.ones(1, 1), rest)
    assert compute_class_fractions(labels, 3).tolist() == [[0.0, 0.25, 0.75]]


class Constant(nn.Module):
    stride = 1

    def forward(self, slices):
        logits = torch.zeros((len(slices), 2, *slices.shape[2:]))
        logits[:, 1] = 3.0
        return logits


@pytest.mark.parametrize("temperature", [1.0, 2.0, 0.5])
def test_slices_are_softened_by_their_temperature(temperature):
    scan = scan_of(np.zeros((4, 8, 8), np.int16))
    model = model_of(Constant(), "ab", temperature=temperature)
    joint = predict_on_grid(model, scan, scan.grid, JointRoi("knee", -1.0, 5.0))
    expected = 1.0 / (1.0 + np.exp(-3.0 / temperature))
    assert joint.values[1].float().numpy() == pytest.approx(expected, abs=1e-3)


@pytest.fixture
def bundle(tmp_path) -> Bundle:
    recipe = read_recipe(
        "ct-knee", shapes=[[64, 64]], widths=[4, 6, 8, 8], slab_slices=2, neighbour_offsets_mm=[], joints=["knee"]
    )
    network = build_network(recipe)
    facts = describe_bundle(recipe, 0, [{"name": "Nobody", "licence": "CC0 1.0", "use": "none"}], {"note": "none"})
    return write_bundle(tmp_path / "ct-knee", network, recipe.network_config, network.state_dict(), facts)


def test_calibrating_writes_the_temperature_and_nothing_else(bundle, tmp_path, geometric_knee):
    dataclasses.replace(geometric_knee, group="validation").save(tmp_path / "subjects" / "knee.npz")
    said = []
    before = bundle.facts
    calibrated = calibrate_bundle(bundle, tmp_path / "subjects", renders=2, report=said.append)
    facts = Bundle(bundle.path).facts
    assert facts["temperature"] == pytest.approx(facts["calibration"]["temperature"], abs=1e-4)
    assert facts["calibration"]["nll_after"] <= facts["calibration"]["nll_before"]
    assert {key: value for key, value in facts.items() if key not in ("temperature", "calibration")} == before
    calibrated.verify()
    assert "Divide the logits by" in (bundle.path / "docs" / "README.md").read_text(encoding="utf-8")
    assert said[0].startswith("ct-knee: temperature ")
    assert not list(bundle.path.rglob("*.part"))


@pytest.mark.parametrize(("name", "shape"), [("mr-knee-slices", [48, 48]), ("mr-knee-patches", [8, 16, 16])])
def test_networks_for_knee_mr_are_calibrated_too(name, shape, tmp_path):
    cylinder_knee_template().save(tmp_path)
    cylinder_knee_subject("validation").save(tmp_path)
    recipe = read_recipe(name, shapes=[shape], widths=[4, 6, 8], slab_slices=4)
    network, _ = initialise_network(recipe)
    with torch.no_grad():
        network.head.conv.weight *= 50.0
    facts = describe_bundle(recipe, 0, [{"name": "Nobody", "licence": "CC0 1.0", "use": "none"}], {"note": "none"})
    made = write_bundle(tmp_path / "bundles" / name, network, recipe.network_config, network.state_dict(), facts)
    found = calibrate_bundle(made, tmp_path, renders=2, report=lambda line: None).facts
    assert found["temperature"] > 1.0  # fresh weights know nothing, and these are sure of it
    assert found["calibration"]["nll_after"] < found["calibration"]["nll_before"]


@pytest.mark.parametrize("temperature", [0.0, -1.0, float("nan"), float("inf"), "warm"])
def test_a_temperature_that_is_no_positive_number_is_refused_and_nothing_written(bundle, temperature):
    before = (bundle.path / "configs" / "metadata.json").read_bytes()
    with pytest.raises(ValueError, match="A temperature is a positive number"):
        amend_bundle(bundle, temperature=temperature)
    assert (bundle.path / "configs" / "metadata.json").read_bytes() == before


def test_the_recipe_in_a_bundle_is_the_one_it_was_trained_by(bundle):
    recipe = parse_recipe(bundle.spec.recipe, bundle.name)
    assert recipe.shapes == ((64, 64),)
    assert recipe.as_dict() == {
        key: value for key, value in _tuples(bundle.spec.recipe).items() if key in recipe.as_dict()
    }


def _tuples(value):
    """JSON knows lists only."""
    if isinstance(value, dict):
        return {key: _tuples(entry) for key, entry in value.items()}
    return tuple(map(_tuples, value)) if isinstance(value, list) else value


def test_networks_whose_probabilities_are_not_used_have_no_temperature(bundle, tmp_path):
    coarse = amend_bundle(bundle, kind="slices")
    coarse.metadata["kneeseg"]["kind"] = "naming"
    with pytest.raises(ValueError, match="has no temperature"):
        calibrate_bundle(coarse, tmp_path)
