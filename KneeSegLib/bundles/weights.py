"""Networks by name and their weights as bytes: safetensors, which can hold tensors and nothing that runs."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import nn

from KneeSegLib.bundles.signatures import require_known_network
from KneeSegLib.errors import ModelError

MOST_PARAMETERS = 1.5e8
"""Of a network that is built, 0.6 GB: more than the largest that are used to segment medical images. Not measured."""


def network_from(config: Mapping[str, Any]) -> nn.Module:
    """Build the network that ``config`` describes: ``_target_`` is its class, the other entries are its arguments.

    It is built without memory first, so that one of any size costs nothing before it is refused.

    Raises:
        ModelError: the class is none of :data:`~KneeSegLib.bundles.signatures.SIGNATURES`, its arguments are none that
            it may have or build nothing, or it would be too large.
    """
    target, arguments = require_known_network(config)
    with torch.device("meta"):
        size = sum(parameter.numel() for parameter in _build(target, arguments).parameters())
    if size > MOST_PARAMETERS:
        raise ModelError(
            f"The network {target} of a model would have {size / 1e6:.0f} million weights, expected at most "
            f"{MOST_PARAMETERS / 1e6:.0f} million; do not use it."
        )
    return _build(target, arguments)


def _build(target: str, arguments: Mapping[str, Any]) -> nn.Module:
    module_name, _, class_name = target.rpartition(".")
    try:
        return getattr(importlib.import_module(module_name), class_name)(**arguments)
    except ImportError as error:
        raise ModelError(
            f"The network {target} is not there ({error}); install the KneeSeg that the model was made for."
        ) from None
    except Exception as error:  # arguments that do not go together raise whatever they happen to run into
        raise ModelError(
            f"The network {target} cannot be built from the arguments that the model gives ({type(error).__name__}); "
            "install the KneeSeg that the model was made for."
        ) from None


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
        ModelError: the bytes are not safetensors, or a tensor holds NaN or infinity, which silences what it feeds.
    """
    try:
        stored = safetensors.torch.load(content)
    except SafetensorError as error:
        raise ModelError(f"The weights are not a safetensors file ({error}); install KneeSeg again.") from None
    broken = [name for name, tensor in stored.items() if not bool(torch.isfinite(tensor).all())]
    if broken:
        raise ModelError(
            f"The weights {broken[0]} hold NaN or infinity: they were saved with too small a range of numbers, or the "
            "training failed; export the network again, beyond 65504 in single precision."
        )
    return {name: tensor.float() if tensor.is_floating_point() else tensor for name, tensor in stored.items()}


def _halved(name: str, tensor: torch.Tensor) -> torch.Tensor:
    tensor = tensor.detach().cpu().contiguous()
    if not tensor.is_floating_point():
        return tensor.clone()
    if not bool(torch.isfinite(tensor).all()):
        raise ValueError(f"The weights {name} hold NaN or infinity; such a network is not shipped.")
    half = tensor.to(torch.float16)
    return half if bool(torch.isfinite(half).all()) else tensor.float()
