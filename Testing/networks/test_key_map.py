"""Networks of MONAI's blocks compute what the same networks of plain layers did, and load their weights."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from KneeSegLib import networks
from KneeSegLib.bundles import list_bundles
from KneeSegLib.networks.key_map import present_name
from Testing.networks.plain_networks import by_old_names, has_plain_counterpart, plain_network

CASES = {
    "SliceUNet": ({"in_channels": 5, "out_channels": 3, "widths": (4, 6, 8)}, (3, 5, 24, 16)),
    "CoarseUNet3D": ({"in_channels": 2, "out_channels": 4, "widths": (4, 6, 8)}, (2, 2, 12, 8, 16)),
    "ShapeRegressor": ({"in_channels": 2, "modes": 3, "widths": (2, 3, 4, 5, 6)}, (2, 2, 88, 88, 88)),
}


def both(name: str) -> tuple[nn.Module, nn.Module, torch.Tensor]:
    """A network as it was and as it is, of one seed, and an input for them."""
    arguments, shape = CASES[name]
    torch.manual_seed(0)
    plain = plain_network(name, **arguments)
    torch.manual_seed(0)
    return plain, getattr(networks, name)(**arguments), torch.randn(shape)


def scatter(network: nn.Module) -> None:
    """Give all weights, statistics among them, values that no weight has at the beginning."""
    with torch.no_grad():
        for tensor in network.state_dict().values():
            if tensor.is_floating_point():
                tensor.add_(0.3 * torch.rand_like(tensor))


@pytest.mark.parametrize("name", CASES)
def test_every_weight_has_one_name_now_and_keeps_its_place(name):
    plain, network, _ = both(name)
    assert [present_name(old) for old in plain.state_dict()] == list(network.state_dict())
    assert [present_name(old) for old, _ in plain.named_parameters()] == [new for new, _ in network.named_parameters()]


@pytest.mark.parametrize("name", CASES)
def test_names_of_now_stay_as_they_are(name):
    _, network, _ = both(name)
    assert [present_name(now) for now in network.state_dict()] == list(network.state_dict())


@pytest.mark.parametrize("name", CASES)
def test_a_seed_gives_the_first_weights_that_it_gave(name):
    plain, network, _ = both(name)
    for old, now in zip(plain.state_dict().values(), network.state_dict().values()):
        assert torch.equal(old, now)


@pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
@pytest.mark.parametrize("name", CASES)
def test_a_network_with_old_weights_computes_what_it_did(name, training):
    plain, network, inputs = both(name)
    scatter(plain)
    network.load_state_dict(plain.state_dict())
    expected = plain.train(training)(inputs)
    assert expected.std() > 0.01
    torch.testing.assert_close(network.train(training)(inputs), expected, atol=1e-6, rtol=0)
    for old, now in zip(plain.state_dict().values(), network.state_dict().values()):
        torch.testing.assert_close(now, old, atol=1e-6, rtol=0)


@pytest.mark.parametrize("name", CASES)
def test_weights_of_another_network_are_refused(name):
    plain, network, _ = both(name)
    state = plain.state_dict()
    state["encoder.0.9.weight"] = state.pop("head.weight")
    with pytest.raises(RuntimeError, match="encoder.0.9.weight"):
        network.load_state_dict(state)


CONVERTED = [bundle for bundle in list_bundles() if has_plain_counterpart(bundle.facts["network"])]


@pytest.mark.parametrize("bundle", CONVERTED, ids=lambda bundle: bundle.name)
def test_shipped_networks_compute_what_plain_layers_compute(bundle):
    network, plain = bundle.network(), plain_network(**bundle.facts["network"]).eval()
    plain.load_state_dict(by_old_names(network.state_dict(), plain))
    image = bundle.metadata["network_data_format"]["inputs"]["image"]
    edge = getattr(network, "input_size", None) or 2 * network.stride
    inputs = torch.randn(1, image["num_channels"], *[edge] * len(image["spatial_shape"]))
    with torch.inference_mode():
        torch.testing.assert_close(network(inputs), plain(inputs), atol=1e-6, rtol=0)
