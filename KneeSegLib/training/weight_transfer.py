"""Start a training from weights that exist, also where the network has grown since.

What has grown goes on giving the old predictions: a channel that is new has no effect on those that were there until
training gives it one. After Net2Net (Chen, Goodfellow, Shlens, ICLR 2016), with new channels that are fresh instead of
copies: copies would have to be pulled apart by noise.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from KneeSegLib.bundles import Bundle
from KneeSegLib.errors import InputError

_CONVOLUTIONS = (nn.Conv2d, nn.Conv3d)
_TRANSPOSED = (nn.ConvTranspose2d, nn.ConvTranspose3d)


def transfer_from_bundle(network: nn.Module, bundle: Path) -> str:
    """Give a network a bundle's weights, see :func:`transfer_weights`; return the bundle's name and checksum.

    Raises:
        InputError: the bundle's network has other layers.
    """
    found = Bundle(Path(bundle))
    try:
        transfer_weights(network, found.network())
    except ValueError as error:
        raise InputError(
            f"The network of {bundle} has other layers than the recipe's; choose another bundle to start from."
        ) from error
    return f"{found.name} {found.sha256}"


def transfer_weights(network: nn.Module, old: nn.Module) -> None:
    """Give ``network`` the weights of ``old``, which has the same layers and channels as many or fewer.

    The old channels come first in every layer, in each half where a layer joins two (``network.joining``). Inputs that
    are new count nothing in the old channels, and all that is new keeps its fresh values elsewhere: the classes that
    the old network knows get the logits that it gave them.

    Raises:
        ValueError: other layers, or more channels than there is room for.
    """
    state, known = network.state_dict(), old.state_dict()
    if set(state) != set(known) or any(state[name].ndim != known[name].ndim for name in state):
        raise ValueError("The layers differ.")
    kinds = dict(network.named_modules())
    with torch.no_grad():
        for name, tensor in state.items():
            values = known[name].to(tensor.dtype)
            if tensor.ndim and any(a < b for a, b in zip(tensor.shape, values.shape)):
                raise ValueError(f"{name} has fewer channels than before.")
            layer = name.rpartition(".")[0]
            into = _find_input_axis(kinds[layer]) if tensor.ndim > 1 else None
            if into is None:
                tensor[tuple(slice(size) for size in values.shape)] = values
                continue
            halves = 2 if layer in getattr(network, "joining", ()) else 1
            places = _list_old_channels(values.shape[into], tensor.shape[into], halves)
            target, source = tensor.movedim(into, 1), values.movedim(into, 1)
            widened = torch.zeros_like(target[: len(source)])
            widened[:, places] = source
            target[: len(source)] = widened
    network.load_state_dict(state)


def _find_input_axis(layer: nn.Module) -> int | None:
    """Which axis of a layer's weight runs over the channels that come in; None where it does not tell them apart."""
    if isinstance(layer, _CONVOLUTIONS):
        return 1
    return 0 if isinstance(layer, _TRANSPOSED) else None


def _list_old_channels(before: int, now: int, halves: int) -> list[int]:
    """Where the channels that came in before are among those that come in now."""
    return [half * (now // halves) + k for half in range(halves) for k in range(before // halves)]
