"""The slice network with a ResNet50V2 for its encoder."""

import pytest
import torch

from KneeSegLib.networks import ResNetUNet
from KneeSegLib.networks.ready import ready_for_inference

WIDTHS = (4, 6, 6, 6, 6, 6)


def test_made_ready_it_predicts_the_same_and_sees_the_slice_itself_at_full_resolution():
    torch.manual_seed(0)
    network = ResNetUNet(3, 2, WIDTHS, stem_width=4)
    slices = torch.randn(2, 3, 64, 32)
    network(slices)  # the statistics of the normalisations move
    expected = network.eval()(slices)
    assert expected.shape == (2, 2, 64, 32)
    assert torch.allclose(ready_for_inference(network, "cpu")(slices), expected, atol=1e-4)
    assert network.decoder[0][0].conv.in_channels == WIDTHS[0] + 3


def test_another_number_of_widths_is_refused():
    with pytest.raises(ValueError, match="5 widths were found, expected 6"):
        ResNetUNet(3, 2, WIDTHS[:5])
