import torch
from torch import nn

from KneeSegLib.inference.windows import OVERLAP_SLICES, STRETCH_SLICES, coarse_probabilities


class SignOfValue(nn.Module):
    """Two classes told apart voxel by voxel; remembers the shapes it was shown."""

    stride = 16

    def __init__(self):
        super().__init__()
        self.shapes = []

    def forward(self, volume):
        self.shapes.append(tuple(volume.shape[2:]))
        return torch.cat([-volume, volume], dim=1)


class PlaceInStretch(nn.Module):
    """Says how far into its input a slice lies: stretches disagree wherever they overlap."""

    stride = 16

    def forward(self, volume):
        ramp = torch.linspace(-3.0, 3.0, volume.shape[2])[None, None, :, None, None].expand_as(volume)
        return torch.cat([torch.zeros_like(volume), ramp], dim=1)


def test_any_size_comes_back_in_its_own_size():
    network = SignOfValue()
    volume = torch.randn((1, 37, 21, 50), generator=torch.Generator().manual_seed(0))
    found = coarse_probabilities(network, volume)
    assert found.shape == (2, 37, 21, 50)
    assert torch.allclose(found[1] > 0.5, volume[0] > 0)
    assert all(size % 16 == 0 for shape in network.shapes for size in shape)


def test_long_volumes_are_seen_in_stretches_that_join_without_a_gap():
    network = SignOfValue()
    depth = 2 * STRETCH_SLICES + 45
    volume = torch.randn((1, depth, 16, 16), generator=torch.Generator().manual_seed(0))
    found = coarse_probabilities(network, volume)
    assert torch.allclose(found[1], torch.softmax(torch.cat([-volume, volume]), dim=0)[1], atol=1e-6)
    assert max(shape[0] for shape in network.shapes) == STRETCH_SLICES


def test_stretches_that_disagree_fade_into_each_other():
    found = coarse_probabilities(PlaceInStretch(), torch.zeros((1, STRETCH_SLICES + 60, 16, 16)))
    assert torch.allclose(found.sum(dim=0), torch.ones(found.shape[1:]), atol=1e-5)
    alone = torch.linspace(-3.0, 3.0, STRETCH_SLICES)
    steepest_alone = (alone.sigmoid().diff()).abs().max()
    assert found[1, :, 0, 0].diff().abs().max() < steepest_alone + 1.0 / OVERLAP_SLICES
