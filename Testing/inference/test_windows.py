import torch
from torch import nn

from KneeSegLib.inference.settings import WINDOW_OVERLAP, WINDOW_SLICES
from KneeSegLib.inference.windows import predict_volume
from Testing.phantoms.models import model_of


class SignOfValue(nn.Module):
    """Two classes told apart voxel by voxel; remembers the shapes it was shown."""

    stride = 16

    def __init__(self):
        super().__init__()
        self.shapes = []

    def forward(self, volume):
        self.shapes.append(tuple(volume.shape[2:]))
        return torch.cat([-volume, volume], dim=1)


class PlaceInWindow(nn.Module):
    """Predicts how far into its input a slice lies: windows disagree wherever they overlap."""

    stride = 16

    def forward(self, volume):
        ramp = torch.linspace(-3.0, 3.0, volume.shape[2])[None, None, :, None, None].expand_as(volume)
        return torch.cat([torch.zeros_like(volume), ramp], dim=1)


def test_any_size_comes_back_in_its_own_size():
    network = SignOfValue()
    volume = torch.randn((1, 37, 21, 50), generator=torch.Generator().manual_seed(0))
    found = predict_volume(model_of(network, "ab"), volume)
    assert found.shape == (2, 37, 21, 50)
    assert torch.allclose(found[1] > 0.5, volume[0] > 0)
    assert all(size % 16 == 0 for shape in network.shapes for size in shape)


def test_one_window_gives_what_the_network_gives():
    volume = torch.randn((1, 37, 21, 50), generator=torch.Generator().manual_seed(0))
    found = predict_volume(model_of(SignOfValue(), "ab"), volume)
    assert torch.allclose(found, torch.cat([-volume, volume]).softmax(dim=0), atol=1e-6)


def test_long_volumes_are_seen_in_windows_that_join_without_a_gap():
    network = SignOfValue()
    depth = 2 * WINDOW_SLICES + 45
    volume = torch.randn((1, depth, 16, 16), generator=torch.Generator().manual_seed(0))
    told = []
    found = predict_volume(model_of(network, "ab"), volume, lambda fraction, message: told.append(fraction))
    assert torch.allclose(found[1], torch.softmax(torch.cat([-volume, volume]), dim=0)[1], atol=1e-6)
    assert max(shape[0] for shape in network.shapes) == WINDOW_SLICES
    assert told == sorted(told) and told[0] == 0.0 and told[-1] == 1.0 and len(set(told)) == len(network.shapes) + 1


def test_windows_that_disagree_fade_into_each_other():
    model = model_of(PlaceInWindow(), "ab")
    found = predict_volume(model, torch.zeros((1, WINDOW_SLICES + 60, 16, 16)))
    assert torch.allclose(found.sum(dim=0), torch.ones(found.shape[1:]), atol=1e-5)
    alone = torch.linspace(-3.0, 3.0, WINDOW_SLICES)
    steepest_alone = (alone.sigmoid().diff()).abs().max()
    overlap = WINDOW_OVERLAP * WINDOW_SLICES
    assert (
        found[1, :, 0, 0].diff().abs().max() < steepest_alone + 1.5 / overlap
    )  # a Gaussian is steeper in its middle than a line
