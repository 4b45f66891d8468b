"""Shapes as published: from grey values in boxes of any size, and nothing optimised."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from KneeSegLib.errors import ModelError
from KneeSegLib.geometry.grid import Box
from KneeSegLib.mr.settings import SHAPE_BOX_MARGIN_MM, SPACING_MM
from KneeSegLib.mr.shape_boxes import NominalBox, SignalShapeNetwork, box_grid
from KneeSegLib.mr.shape_fit import ShapeNetwork
from KneeSegLib.networks import ShapeRegressor
from KneeSegLib.networks.shape_layer import POSE_PARAMETERS
from KneeSegLib.networks.shape_regressor import INPUT_SIZE
from KneeSegLib.pipelines.shape_networks import load_shape_networks
from Testing.phantoms.models import model_of, scan_of
from Testing.phantoms.mr_images import MODES, shipped_models
from Testing.phantoms.mr_probabilities import modelled_knee

TRANSLATION_Z = MODES + 2


class Seeing(nn.Module):
    """Predicts constants and remembers what it saw."""

    modes = MODES

    def __init__(self, parameters: torch.Tensor) -> None:
        super().__init__()
        self.parameters_given, self.seen = parameters, []

    def forward(self, signal: torch.Tensor) -> torch.Tensor:
        self.seen.append(signal)
        return self.parameters_given.expand(len(signal), -1)


@pytest.fixture(scope="module", autouse=True)
def without_gradients():
    with torch.inference_mode():
        yield


@pytest.fixture(scope="module")
def models():
    return shipped_models()


@pytest.fixture(scope="module")
def knee(models):
    return modelled_knee(models)


@pytest.fixture(scope="module")
def scan(knee):
    """As bright as the place is high, on the grid of the knee."""
    z, y, x = knee.grid.shape
    values = np.broadcast_to(np.arange(z, dtype=np.float32)[:, None, None], (z, y, x)).copy()
    return replace(scan_of(values, (SPACING_MM,) * 3), grid=knee.grid)


def signal_model(network: nn.Module, models, bone: str):
    variances = [models[b].variances[:MODES] for b in (("femur", "tibia") if bone == "both" else (bone,))]
    return model_of(
        network,
        ["parameter"],
        kind="mr-shape",
        bone=bone,
        input="signal",
        shape_variances_mm2=tuple(np.concatenate(variances).tolist()),
    )


@pytest.mark.parametrize("changes", [{"input": "probabilities"}, {"shape_variances_mm2": (9.0,) * MODES}])
def test_a_network_that_says_both_bones_and_holds_one_is_refused(models, changes):
    model = signal_model(nn.Identity(), models, "both")
    model.network.modes = MODES
    with pytest.raises(ModelError, match="says that it fits both bones and does not hold both"):
        ShapeNetwork(replace(model, spec=replace(model.spec, **changes)), models["tibia"])


def shape_box(points: np.ndarray) -> np.ndarray:
    return np.stack([points.min(axis=0), points.max(axis=0)])


@pytest.mark.parametrize("side", ["right", "left"])
@pytest.mark.parametrize("bone", ["femur", "tibia"])
def test_a_network_of_zeros_stretches_the_mean_shape_over_the_box_of_the_bone(models, knee, scan, bone, side):
    network = Seeing(torch.zeros(1, MODES + POSE_PARAMETERS))
    fit = SignalShapeNetwork(signal_model(network, models, bone), models[bone], scan).fit(knee, bone, side)
    box = Box.of_mask(knee.inside[bone], knee.grid).grown(SHAPE_BOX_MARGIN_MM).within(knee.scan)
    assert shape_box(fit.points_mm) == pytest.approx(np.array(box)[::-1].T, abs=1e-3)
    assert not fit.optimised and fit.weights.tolist() == [0.0] * MODES
    if side == "right":
        assert 1.0 < fit.mean_residual_mm < SHAPE_BOX_MARGIN_MM + 0.5  # it lies outside by as much as the margin
    (signal,) = network.seen
    heights = scan.grid.z.positions_mm
    expected = np.interp(box_grid(box).z.positions_mm, heights, np.arange(len(heights)))
    assert signal.shape == (1, 1, *(INPUT_SIZE,) * 3)
    assert signal[0, 0, :, 44, 44].diff() == pytest.approx(np.diff(expected) / np.percentile(scan.values, 99), abs=1e-3)


@pytest.mark.parametrize("side", ["right", "left"])
def test_a_network_of_both_bones_sees_the_whole_mr_and_has_its_own_parameters_for_each(models, knee, scan, side):
    parameters = torch.zeros(1, 2 * (MODES + POSE_PARAMETERS))
    parameters[0, [TRANSLATION_Z, MODES + POSE_PARAMETERS + TRANSLATION_Z]] = torch.tensor([20.0, -30.0])
    network = signal_model(Seeing(parameters), models, "both")
    fitters = load_shape_networks(lambda name: network, scan)
    low, high = np.array(knee.scan)[::-1].T
    scale = (high - low) / (INPUT_SIZE * SPACING_MM)
    mirror = np.array([1.0 if side == "right" else -1.0, 1.0, 1.0])
    for bone, moved in (("femur", 20.0), ("tibia", -30.0)):
        points = fitters[bone].fit(knee, bone, side).points_mm
        expected = (models[bone].mean + [0.0, 0.0, moved]) * mirror * scale + (low + high) / 2.0
        assert np.abs(points - expected).max() < 1e-3


def test_the_kind_of_input_decides_how_a_bone_is_fitted(models, scan):
    tibia = Seeing(torch.zeros(1, MODES + POSE_PARAMETERS))
    asked = {
        "mr-shape-femur": model_of(
            ShapeRegressor(2, MODES, (2, 2, 2, 2, 2)), ["parameter"], kind="mr-shape", bone="femur"
        ),
        "mr-shape-tibia": signal_model(tibia, models, "tibia"),
    }
    fitters = load_shape_networks(asked.__getitem__, scan)
    assert type(fitters["femur"]) is ShapeNetwork and type(fitters["tibia"]) is SignalShapeNetwork


def test_a_nominal_box_brings_landmarks_into_any_box():
    nominal = NominalBox.of_shape(np.array([[-10.0, -20.0, -5.0], [30.0, 0.0, 5.0]]))
    box = Box((100.0, 120.0), (0.0, 10.0), (50.0, 70.0))
    corners = np.stack([nominal.low_mm, nominal.high_mm])
    assert corners * nominal.scale_in(box) + nominal.origin_in(box) == pytest.approx(np.array(box)[::-1].T)
    turned = nominal.mirrored()
    there = corners * [-1.0, 1.0, 1.0] * turned.scale_in(box) + turned.origin_in(box)
    assert there[:, 0] == pytest.approx([70.0, 50.0])
