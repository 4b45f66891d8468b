"""The shape network has the layers that the paper names."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from KneeSegLib.networks import ShapeLayer, ShapeRegressor
from KneeSegLib.training.landmark_loss import compute_landmark_loss

WIDTHS = (4, 5, 6, 7, 8)


@pytest.fixture(scope="module")
def network() -> ShapeRegressor:
    torch.manual_seed(0)
    return ShapeRegressor(1, 20, WIDTHS)


def test_a_crop_of_88_voxels_ends_as_one_vector_of_weights_and_pose(network):
    assert network(torch.zeros(2, 1, 88, 88, 88)).shape == (2, 20 + 9)


def test_another_size_is_refused(network):
    with pytest.raises(ValueError, match="88 along each axis"):
        network(torch.zeros(1, 1, 88, 88, 80))


def test_the_layers_are_those_of_the_paper(network):
    kernels = [module.kernel_size for module in network.modules() if isinstance(module, nn.Conv3d)]
    five, three = [(5, 1, 1), (1, 5, 1), (1, 1, 5)], [(3, 1, 1), (1, 3, 1), (1, 1, 3)]
    strided = [(4, 4, 4)]
    assert kernels == (five + strided) * 3 + three * 2 + [(1, 1, 1)]
    assert [m.stride for m in network.modules() if isinstance(m, nn.Conv3d) and m.kernel_size == (4, 4, 4)] == [
        (2, 2, 2)
    ] * 3
    assert sum(isinstance(module, nn.InstanceNorm3d) for module in network.modules()) == 3


def test_the_number_of_parameters_is_that_of_these_layers(network):
    expected = 0
    for a, b in zip((1, *WIDTHS[:2]), WIDTHS[:3]):
        expected += 5 * (a * b + 2 * b * b) + b  # separated, one bias
        expected += 64 * b * b + 2 * b  # strided without bias, norm with scale and shift
    for a, b in zip(WIDTHS[2:4], WIDTHS[3:]):
        expected += 3 * (a * b + 2 * b * b) + b
    expected += WIDTHS[-1] * 29 + 29
    assert sum(parameter.numel() for parameter in network.parameters()) == expected


def test_an_untrained_network_gives_the_mean_shape(network):
    layer = ShapeLayer(torch.rand(30, 3) * 50, torch.rand(20, 30, 3), torch.ones(20))
    assert torch.equal(layer(network(torch.rand(1, 1, 88, 88, 88)))[0], layer.mean)


def test_every_parameter_learns_from_the_loss_on_landmarks():
    torch.manual_seed(0)
    network = ShapeRegressor(1, 3, WIDTHS)
    layer = ShapeLayer(torch.rand(30, 3) * 50, torch.rand(3, 30, 3), torch.ones(3))
    nn.init.normal_(network.head.conv.weight, std=0.1)
    compute_landmark_loss(layer(network(torch.rand(1, 1, 88, 88, 88))), layer.mean[None] + 5.0).backward()
    for name, parameter in network.named_parameters():
        assert torch.isfinite(parameter.grad).all(), name
        assert parameter.grad.abs().max() > 0, name
