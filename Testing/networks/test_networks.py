import pytest
import torch

from KneeSegLib.networks import CoarseUNet3D, SliceUNet


def test_the_slice_network_has_five_levels_of_down_and_up_sampling_and_keeps_the_size():
    network = SliceUNet(7, 5, widths=(4, 6, 8, 8, 8, 8)).eval()
    assert network.stride == 32 and len(network.up) == 5
    assert network(torch.zeros(2, 7, 64, 96)).shape == (2, 5, 64, 96)


def test_each_block_is_two_3x3_convolutions_with_prelu():
    network = SliceUNet(3, 3, widths=(4, 6, 8, 8, 8, 8))
    for block in [*network.encoder, *network.decoder]:
        layers = [layer for layer in block.modules() if not isinstance(layer, torch.nn.Sequential)]
        assert [type(layer).__name__ for layer in layers] == ["Conv2d", "BatchNorm2d", "PReLU"] * 2
        assert all(layer.kernel_size == (3, 3) for layer in layers if isinstance(layer, torch.nn.Conv2d))


def test_a_slice_gets_the_same_answer_whatever_the_rest_of_the_batch():
    torch.manual_seed(0)
    network = SliceUNet(3, 4, widths=(4, 6, 8, 8, 8, 8)).eval()
    batch = torch.randn(3, 3, 64, 64)
    assert torch.allclose(network(batch)[1:2], network(batch[1:2]), atol=1e-5)


@pytest.mark.parametrize("size", [(16, 16, 16), (32, 48, 16)])
def test_the_coarse_network_keeps_the_size_of_any_multiple_of_its_stride(size):
    network = CoarseUNet3D(2, 16, widths=(4, 6, 8, 8, 8)).eval()
    assert network.stride == 16
    assert network(torch.zeros(1, 2, *size)).shape == (1, 16, *size)
