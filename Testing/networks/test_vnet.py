"""The V-Net beside MONAI's."""

import pytest
import torch
from monai.networks.nets.vnet import VNet as MonaiVNet

from KneeSegLib.networks import VNet


def test_at_monais_width_and_with_its_options_it_is_monais_vnet():
    """Same weights in the same order, same prediction, and the same channels dropped in training."""
    theirs = MonaiVNet(in_channels=1, out_channels=2)
    ours = VNet(1, 2, act=("elu", {"inplace": True}), dropout=0.5)
    ours.load_state_dict(dict(zip(ours.state_dict(), theirs.state_dict().values(), strict=True)))
    volume = torch.randn(2, 1, 16, 16, 16, generator=torch.Generator().manual_seed(0))
    for mode in (False, True):
        predicted = []
        for network in (theirs, ours):
            network.train(mode)
            torch.manual_seed(1)
            with torch.no_grad():
                predicted.append(network(volume))
        assert torch.equal(*predicted)


def test_a_narrow_one_with_fewer_levels_keeps_the_size_and_drops_nothing():
    network = VNet(1, 2, widths=(2, 4, 8))
    assert network.stride == 4
    volume = torch.randn(2, 1, 8, 12, 4)
    first, second = network(volume), network(volume)
    assert first.shape == (2, 2, 8, 12, 4)
    assert torch.equal(first, second)
    assert any(isinstance(module, torch.nn.PReLU) for module in network.modules())


@pytest.mark.parametrize("widths", [(16,), (4, 8, 12), (1, 2, 4, 8, 16, 32)])
def test_widths_that_monais_transitions_cannot_have_are_named(widths):
    with pytest.raises(ValueError, match="expected two to five, each twice the one before"):
        VNet(1, 2, widths)
