"""Networks by name and their weights as bytes: safetensors, which can hold tensors and nothing that runs."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import nn

from KneeSegLib import networks
from KneeSegLib.errors import ModelError

KNOWN_NETWORKS = (
    *(f"KneeSegLib.networks.{name}" for name in networks.__all__),
    *(f"monai.networks.nets.{name}" for name in ("BasicUNet", "DynUNet", "SegResNet", "UNet", "VNet")),
)
"""Classes that a bundle may ask for. They build layers and do nothing else; some of MONAI's others download weights
from an address among their arguments."""


def network_from(config: Mapping[str, Any]) -> nn.Module:
    """Build the network that ``config`` describes: ``_target_`` is its class, the other entries are its arguments.

    Raises:
        ModelError: the class is none of :data:`KNOWN_NETWORKS`, or does not take the arguments.
    """
    arguments = {key: value for key, value in config.items() if key != "_target_"}
    target = str(config.get("_target_"))
    try:
        return network_class(target)(**arguments)
    except (TypeError, ValueError) as error:
        raise ModelError(
            f"The network {target} cannot be built from {arguments} ({error}); "
            "install the KneeSeg that the model was made for."
        ) from None


def network_class(target: str) -> type[nn.Module]:
    """Return the class that the dotted name ``target`` stands for; see :func:`network_from` for the errors."""
    module_name, _, class_name = target.rpartition(".")
    if target not in KNOWN_NETWORKS:
        raise ModelError(
            f"A model asks for the network {target!r}, which is none of KneeSeg's or MONAI's; do not use it."
        )
    try:
        found = getattr(importlib.import_module(module_name), class_name)
    except (ImportError, AttributeError) as error:
        raise ModelError(
            f"The network {target} is not there ({error}); install the KneeSeg that the model was made for."
        ) from None
    if not (isinstance(found, type) and issubclass(found, nn.Module)):
        raise ModelError(f"A model asks for {target!r}, which is no network; do not use it.")
    return found


def state_as_bytes(state: Mapping[str, torch.Tensor]) -> bytes:
    """Return ``state`` as safetensors with floating-point tensors in half precision.

    A tensor with a value beyond the range of half precision stays in single precision; integers stay as they are.

    Raises:
        ValueError: a tensor holds NaN or infinity.
    """
    return safetensors.torch.save({name: _halved(name, tensor) for name, tensor in state.items()})


def state_from_bytes(content: bytes) -> dict[str, torch.Tensor]:
    """Return the tensors in ``content``, floating-point ones in single precision.

    Raises:
        ModelError: the bytes are not safetensors.
    """
    try:
        stored = safetensors.torch.load(content)
    except SafetensorError as error:
        raise ModelError(f"The weights are not a safetensors file ({error}); install KneeSeg again.") from None
    return {name: tensor.float() if tensor.is_floating_point() else tensor for name, tensor in stored.items()}


def _halved(name: str, tensor: torch.Tensor) -> torch.Tensor:
    tensor = tensor.detach().cpu().contiguous()
    if not tensor.is_floating_point():
        return tensor.clone()
    if not bool(torch.isfinite(tensor).all()):
        raise ValueError(f"The weights {name} hold NaN or infinity; such a network is not shipped.")
    half = tensor.to(torch.float16)
    return half if bool(torch.isfinite(half).all()) else tensor.float()
