"""The network that a training begins with, and which of its parameters learn."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import nn

from KneeSegLib.bundles.weights import network_from
from KneeSegLib.errors import InputError
from KneeSegLib.networks.resnet_unet import ResNetUNet
from KneeSegLib.training.imagenet import load_imagenet_encoder
from KneeSegLib.training.recipe import Recipe
from KneeSegLib.training.weight_transfer import transfer_from_bundle


def initialise_network(recipe: Recipe, start: Path | None = None) -> tuple[nn.Module, str]:
    """Return the network that a training begins with, and a description of the bundle whose weights it starts from.

    Args:
        start: that bundle; None for fresh weights, drawn with the recipe's seed, and an empty description.

    Raises:
        InputError: the bundle's network has other layers, or the weights of the recipe's encoder are not there.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        network = build_network(recipe)
    if start is not None:
        return network, transfer_from_bundle(network, start)
    if isinstance(network, ResNetUNet) and recipe.encoder_weights:
        path = Path(recipe.encoder_weights)
        load_imagenet_encoder(network.encoder, path)
        return network, f"fresh weights, the encoder's of ImageNet ({path.name})"
    return network, ""


def build_network(recipe: Recipe) -> nn.Module:
    """Return the recipe's network with fresh weights."""
    return network_from(recipe.network_config)


def select_learning_parameters(network: nn.Module, layers: Sequence[str]) -> list[nn.Parameter]:
    """Return the parameters that learn, those of layers whose names begin so; the others are frozen.

    Raises:
        InputError: the network has no such layer.
    """
    for layer in layers:
        if not any(name.startswith(layer) for name, _ in network.named_parameters()):
            raise InputError(f"The recipe lets the layer {layer!r} learn, which its network has not; name another.")
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(not layers or name.startswith(tuple(layers)))
    return [parameter for parameter in network.parameters() if parameter.requires_grad]
