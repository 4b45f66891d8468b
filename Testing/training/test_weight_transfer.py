"""Networks that have grown go on giving the old answers."""

from __future__ import annotations

import pytest
import torch

from KneeSegLib.networks import CoarseUNet3D, SliceUNet
from KneeSegLib.training.weight_transfer import transfer_weights

CASES = {
    "slices": (SliceUNet, (8, 12, 16), (2, 7, 32, 32)),
    "volumes": (CoarseUNet3D, (8, 12, 16), (2, 7, 16, 16, 16)),
}


def _seasoned(network: torch.nn.Module) -> torch.nn.Module:
    """With statistics and slopes of its own, as after a training."""
    with torch.no_grad():
        for tensor in network.state_dict().values():
            if tensor.ndim == 1:
                tensor.uniform_(0.5, 1.5)
    return network.eval()


@pytest.mark.parametrize("kind", CASES)
@pytest.mark.parametrize("widths", [(8, 12, 16), (12, 20, 24)], ids=["same", "wider"])
def test_a_grown_network_gives_the_old_logits_to_the_old_classes(kind, widths):
    torch.manual_seed(1)
    build, before, shape = CASES[kind]
    old, new = _seasoned(build(5, 3, before)), build(7, 4, widths).eval()
    inputs = torch.randn(shape)
    expected = old(inputs[:, :5])
    assert not torch.allclose(new(inputs)[:, :3], expected, atol=1e-2)
    transfer_weights(new, old)
    torch.testing.assert_close(new(inputs)[:, :3], expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("kind", CASES)
def test_training_can_use_what_is_new(kind):
    torch.manual_seed(1)
    build, before, shape = CASES[kind]
    old, new = _seasoned(build(5, 3, before)), build(7, 3, tuple(2 * w for w in before))
    transfer_weights(new, old)
    inputs = torch.randn(shape)
    new.train()(inputs).square().mean().backward()
    torch.optim.SGD(new.parameters(), lr=0.1).step()  # until now, nothing listens to what is new
    new.zero_grad()
    new(inputs).square().mean().backward()
    for name, weight in new.named_parameters():
        if name.endswith("weight") and weight.ndim > 2:  # convolutions: columns of new channels in old rows
            rows, columns = (0, 1) if "up" not in name else (1, 0)
            gradient = weight.grad.movedim((rows, columns), (0, 1))
            assert bool((gradient.flatten(2).abs().amax(dim=2) > 0).all()), name


@pytest.mark.parametrize(
    "new",
    [SliceUNet(5, 3, (8, 12)), SliceUNet(4, 3, (8, 12, 16)), CoarseUNet3D(5, 3, (8, 12, 16))],
    ids=["fewer levels", "fewer channels", "another kind"],
)
def test_other_layers_are_refused(new):
    with pytest.raises(ValueError):
        transfer_weights(new, SliceUNet(5, 3, (8, 12, 16)))
