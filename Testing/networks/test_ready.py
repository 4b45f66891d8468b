"""Networks made ready for inference."""

from __future__ import annotations

import pytest
import torch

from KneeSegLib.bundles import list_bundles
from KneeSegLib.networks import CoarseUNet3D, SliceUNet
from KneeSegLib.networks.ready import fastest_layout, ready_for_inference


def _trained_a_little(network, sample):
    torch.manual_seed(0)
    network.train()
    for _ in range(3):
        network(sample + torch.randn_like(sample))
    return network.eval()


@pytest.mark.parametrize(
    "network, shape",
    [(SliceUNet(4, 3, (4, 8, 8)), (2, 4, 16, 16)), (CoarseUNet3D(2, 3, (4, 8)), (1, 2, 8, 8, 8))],
    ids=["slices", "coarse"],
)
def test_folded_network_gives_the_same_answer_and_leaves_the_original_alone(network, shape):
    sample = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    network = _trained_a_little(network, sample)
    folded = ready_for_inference(network, "cpu")
    assert torch.allclose(folded(sample), network(sample), atol=1e-5)
    assert not any("BatchNorm" in type(module).__name__ for module in folded.modules())
    assert any("BatchNorm" in type(module).__name__ for module in network.modules())


@pytest.mark.parametrize("bundle", list_bundles(), ids=lambda bundle: bundle.name)
def test_no_shipped_network_keeps_a_batch_normalisation_or_predicts_otherwise_without(bundle):
    network = bundle.network().double()  # in single precision rounding alone makes 5e-5 of logits of 20
    folded = ready_for_inference(network, "cpu")
    image = bundle.metadata["network_data_format"]["inputs"]["image"]
    edge = getattr(network, "input_size", None) or 2 * getattr(network, "stride", 16)
    inputs = torch.randn(1, image["num_channels"], *[edge] * len(image["spatial_shape"])).double()
    with torch.inference_mode():
        assert torch.allclose(folded(inputs), network(inputs), rtol=0, atol=1e-5)
    assert not any("BatchNorm" in type(module).__name__ for module in folded.modules())


@pytest.mark.parametrize(
    ("network", "layout"),
    [(SliceUNet(4, 3, (4, 8, 8)), torch.channels_last), (CoarseUNet3D(2, 3, (4, 8)), torch.channels_last_3d)],
    ids=["slices", "coarse"],
)
def test_networks_are_laid_out_channels_last_on_processors(network, layout):
    weights = [weight for weight in ready_for_inference(network, "cpu").parameters() if weight.ndim > 1]
    assert weights and all(weight.is_contiguous(memory_format=layout) for weight in weights)
    assert not all(weight.is_contiguous(memory_format=layout) for weight in network.parameters() if weight.ndim > 1)


def test_networks_of_volumes_stay_as_they_are_on_other_devices():
    assert fastest_layout(CoarseUNet3D(2, 3, (4, 8)), "cuda") == torch.contiguous_format
    assert fastest_layout(SliceUNet(4, 3, (4, 8, 8)), "cuda") == torch.channels_last
