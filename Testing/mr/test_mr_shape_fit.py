"""Shape models are fitted to bones that are shapes of these very models."""

import numpy as np
import pytest
import torch
from torch import nn

from KneeSegLib.geometry.grid import Box
from KneeSegLib.mr.settings import OPTIMISATION, SPACING_MM
from KneeSegLib.mr.shape_fit import FittedShape, ShapeNetwork, fit_side
from KneeSegLib.networks.shape_layer import parameter_names
from KneeSegLib.networks.shape_regressor import INPUT_SIZE
from Testing.phantoms.models import model_of
from Testing.phantoms.mr_images import MODES, mean_shape_network, shipped_models
from Testing.phantoms.mr_probabilities import modelled_knee

EVERYWHERE = (np.full(3, -1e3), np.full(3, 1e3))
HALF_MM = (INPUT_SIZE - 1) / 2.0 * SPACING_MM


@pytest.fixture(scope="module", autouse=True)
def without_gradients():
    """As in the pipeline; the optimisation has to make its own."""
    with torch.inference_mode():
        yield


@pytest.fixture(scope="module")
def models():
    return shipped_models()


@pytest.fixture(scope="module")
def networks(models):
    return {bone: ShapeNetwork(shape_model_of(mean_shape_network(bone)), models[bone]) for bone in ("femur", "tibia")}


def shape_model_of(network):
    return model_of(network, parameter_names(MODES), SPACING_MM, kind="mr-shape")


@pytest.fixture(scope="module")
def knee(models):
    return modelled_knee(models)


@pytest.fixture(scope="module")
def sides(networks, knee):
    return {side: fit_side(networks, knee, known) for side, known in (("unknown", None), ("left", "left"))}


def test_a_right_knee_is_told_by_its_shapes(sides):
    found, shapes = sides["unknown"]
    assert (found.side, found.known) == ("right", False)
    assert found.certainty > 0.15 and found.residual_mm["right"] < found.residual_mm["left"]
    assert set(shapes) == {"femur", "tibia"}


def test_a_side_that_is_known_is_kept_and_its_misfit_is_said(sides):
    found, _ = sides["left"]
    assert (found.side, found.known) == ("left", True)
    assert found.certainty < -0.15


def test_shapes_lie_on_the_bones_they_were_fitted_to(sides):
    for bone, fit in sides["unknown"][1].items():
        assert fit.mean_residual_mm < 0.6, bone


def test_fitted_points_are_in_the_millimetres_of_the_scan(sides):
    end = {bone: fit.points_mm for bone, fit in sides["unknown"][1].items()}
    assert end["femur"][:, 2].min() == pytest.approx(63.0, abs=2.0)
    assert end["tibia"][:, 2].max() == pytest.approx(57.0, abs=2.0)
    for points in end.values():
        assert points[:, :2].mean(axis=0) == pytest.approx([55.0, 45.0], abs=4.0)


def test_a_left_knee_is_fitted_as_the_mirror_image_of_the_right_one(networks, models, sides):
    left = modelled_knee(models, mirrored=True)
    fit = networks["tibia"].fit(left, "tibia", "left")
    middle = (left.grid.x.low_mm + left.grid.x.high_mm) / 2.0
    mirrored = fit.points_mm * [-1.0, 1.0, 1.0] + [2.0 * middle, 0.0, 0.0]
    right = sides["unknown"][1]["tibia"].points_mm
    assert np.linalg.norm(mirrored - right, axis=1).mean() < 0.5


def test_points_at_and_beyond_the_border_of_the_scan_have_no_residual(networks, knee):
    cut = 25  # voxels from below
    part = knee.grid.part((slice(cut, None), slice(None), slice(None)))
    cropped = type(knee)(
        part,
        Box.of_grid(part),
        {bone: values[cut:] for bone, values in knee.probability.items()},
        {bone: inside[cut:] for bone, inside in knee.inside.items()},
    )
    fit = networks["tibia"].fit(cropped, "tibia", "right")
    height = fit.points_mm[:, 2]
    border = part.z.low_mm + OPTIMISATION.border_mm
    assert (height < border).any() and (height > border).any()
    assert np.array_equal(np.isnan(fit.residual_mm), height <= border)
    assert fit.mean_residual_mm < 0.8


def test_the_field_of_view_of_a_left_knee_is_seen_in_the_mirror_too(networks, knee):
    """The scan ends within the tibia on one side: the same landmarks are out of view in a mirrored scan."""
    part = knee.grid.part((slice(None), slice(None), slice(24, None)))
    right, left = (
        type(knee)(
            part,
            Box.of_grid(part),
            {bone: turn(values[..., 24:].numpy()) for bone, values in knee.probability.items()},
            {bone: turn(inside[..., 24:]) for bone, inside in knee.inside.items()},
        )
        for turn in (np.array, lambda values: values[..., ::-1].copy())
    )
    for cropped in (right, left):
        cropped.probability.update({bone: torch.from_numpy(values) for bone, values in cropped.probability.items()})
    in_view = [
        np.isfinite(networks["tibia"].fit(cropped, "tibia", side).residual_mm)
        for cropped, side in ((right, "right"), (left, "left"))
    ]
    assert 0.3 < in_view[0].mean() < 0.97
    assert (in_view[0] != in_view[1]).mean() < 0.01


def test_a_shape_that_is_not_in_view_has_no_mean_residual(models):
    model = models["tibia"]
    nowhere = np.full(len(model.mean), np.nan)
    assert np.isnan(FittedShape(model.mean, np.zeros(3), nowhere, model).mean_residual_mm)


def test_bones_without_a_network_and_networks_without_a_bone_are_left_out(networks, knee):
    alone = type(knee)(knee.grid, knee.scan, {"tibia": knee.probability["tibia"]}, {"tibia": knee.inside["tibia"]})
    _, shapes = fit_side({"femur": networks["femur"], "tibia": networks["tibia"]}, alone, "right")
    assert set(shapes) == {"tibia"}


class LostAtFirst(nn.Module):
    """Predicts a pose far beside the scan the first time, which is for a right knee, and good ones later."""

    modes = MODES

    def __init__(self, bone: str) -> None:
        super().__init__()
        self.later, self.asked = mean_shape_network(bone), False

    def forward(self, crop: torch.Tensor) -> torch.Tensor:
        parameters = self.later(crop)
        if not self.asked:
            parameters[:, MODES] += 500.0
        self.asked = True
        return parameters


def test_a_side_whose_shapes_got_lost_does_not_win(models, knee):
    found, _ = fit_side({"tibia": ShapeNetwork(shape_model_of(LostAtFirst("tibia")), models["tibia"])}, knee)
    assert found.side == "left" and found.certainty > 0.0
