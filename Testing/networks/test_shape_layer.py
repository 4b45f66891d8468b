"""The shape layer against the same arithmetic in double precision by other libraries."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from KneeSegLib.networks import ShapeLayer
from KneeSegLib.networks.shape_layer import rotation_matrices

POINTS, MODES = 80, 5
RANDOM = np.random.default_rng(2)
MEAN = RANDOM.normal(0, 30, (POINTS, 3))
MEAN -= MEAN.mean(axis=0)
COMPONENTS = np.linalg.qr(RANDOM.normal(size=(3 * POINTS, MODES)))[0].T.reshape(MODES, POINTS, 3)
VARIANCES = np.array([900.0, 400.0, 100.0, 30.0, 5.0])
RADIUS = np.sqrt((MEAN**2).sum(axis=1).mean())


@pytest.fixture(scope="module")
def layer() -> ShapeLayer:
    return ShapeLayer(*(torch.from_numpy(array) for array in (MEAN, COMPONENTS, VARIANCES)))


def landmarks(parameters: np.ndarray) -> np.ndarray:
    """What the layer promises, in double precision."""
    weights, shift, turn, growth = np.split(parameters, (MODES, MODES + 3, MODES + 6))
    shape = MEAN + np.tensordot(weights * np.sqrt(VARIANCES), COMPONENTS, 1)
    return Rotation.from_rotvec(turn / RADIUS).apply(shape * np.exp(growth / RADIUS)) + shift


def test_zeros_give_the_mean_exactly(layer):
    assert torch.equal(layer(torch.zeros(2, MODES + 9)), layer.mean.expand(2, -1, -1))


def test_single_precision_agrees_with_double_to_a_ten_thousandth_of_a_millimetre(layer):
    parameters = RANDOM.normal(0, 1, (20, MODES + 9)) * ([2.0] * MODES + [20.0] * 3 + [15.0] * 3 + [5.0] * 3)
    found = layer(torch.from_numpy(parameters).float()).double().numpy()
    for row, points in zip(parameters.astype(np.float32).astype(float), found):
        np.testing.assert_allclose(points, landmarks(row), atol=1e-4)


def test_parameters_are_found_again_from_the_landmarks(layer):
    parameters = RANDOM.normal(0, 1, MODES + 9) * ([1.5] * MODES + [10.0] * 3 + [8.0] * 3 + [0.0] * 3)
    points = layer(torch.from_numpy(parameters).float()[None])[0].double().numpy()
    shift, turn = parameters[MODES : MODES + 3], parameters[MODES + 3 : MODES + 6]
    shape = Rotation.from_rotvec(turn / RADIUS).inv().apply(points - shift)
    weights = np.tensordot(COMPONENTS, shape - MEAN, 2) / np.sqrt(VARIANCES)
    np.testing.assert_allclose(weights, parameters[:MODES], atol=1e-4)


@pytest.mark.parametrize("at_zero", [True, False])
def test_gradients_are_those_of_finite_differences(at_zero):
    layer = ShapeLayer(*(torch.from_numpy(array) for array in (MEAN, COMPONENTS, VARIANCES))).double()
    start = np.zeros((1, MODES + 9)) if at_zero else RANDOM.normal(0, 3, (1, MODES + 9))
    parameters = torch.from_numpy(start).requires_grad_()
    assert torch.autograd.gradcheck(lambda values: layer(values)[:, :2], parameters, eps=1e-4, atol=1e-4)


def test_each_pose_parameter_moves_landmarks_by_about_a_millimetre(layer):
    parameters = torch.zeros(9, MODES + 9)
    parameters[:, MODES:] = torch.eye(9)
    moved = (layer(parameters) - layer.mean).square().sum(dim=2).mean(dim=1).sqrt()
    assert (moved > 0.4).all() and (moved < 1.1).all()


def test_the_layer_has_nothing_to_train_or_to_store(layer):
    assert list(layer.parameters()) == []
    assert layer.state_dict() == {}


def test_rotations_are_right_handed_and_orthonormal():
    quarter = rotation_matrices(torch.tensor([[0.0, 0.0, np.pi / 2]]))[0]
    torch.testing.assert_close(quarter @ torch.tensor([1.0, 0, 0]), torch.tensor([0.0, 1, 0]), atol=1e-6, rtol=0)
    some = rotation_matrices(torch.from_numpy(RANDOM.normal(size=(30, 3))))
    torch.testing.assert_close(some @ some.mT, torch.eye(3).double().expand(30, 3, 3), atol=1e-9, rtol=0)
    assert (torch.linalg.det(some) > 0).all()


def test_arrays_or_parameters_that_do_not_fit_are_refused(layer):
    with pytest.raises(ValueError, match="do not fit"):
        ShapeLayer(torch.zeros(80, 3), torch.zeros(5, 79, 3), torch.ones(5))
    with pytest.raises(ValueError, match="14"):
        layer(torch.zeros(1, 13))
