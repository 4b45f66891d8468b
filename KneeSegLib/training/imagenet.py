"""The weights of a ResNet50V2 that was trained on ImageNet, for the encoder of a slice network.

They are those of ``timm`` (``resnetv2_50``, as ``model.safetensors``), which a user brings: KneeSeg ships none, fetches
none and does not import ``timm``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from KneeSegLib.errors import InputError
from KneeSegLib.networks.resnet_unet import ResNetEncoder

COLOURS = 3
"""Input channels of a network for photographs."""

_PLACES = {
    "norm1": "before.N",
    "conv1": "residual.0.conv",
    "norm2": "residual.0.adn.N",
    "conv2": "residual.1.conv",
    "norm3": "residual.1.adn.N",
    "conv3": "residual.2.conv",
    "downsample.conv": "shortcut.conv",
}
_CLASSIFIER = "head."


def load_imagenet_encoder(encoder: ResNetEncoder, path: Path) -> None:
    """Put the weights in a file into an encoder.

    Raises:
        InputError: no such file, or it holds something else.
    """
    if not path.is_file():
        raise InputError(
            f"The encoder's weights (encoder_weights) were expected at {path}, where no file is; give the path of "
            "timm's resnetv2_50 as safetensors, or leave the entry out to start from random weights."
        )
    try:
        theirs = load_file(path)
    except SafetensorError:
        raise InputError(
            f"The encoder's weights at {path} are no safetensors file; give timm's resnetv2_50 as safetensors."
        ) from None
    ours = encoder.state_dict()
    loaded = rename_timm_weights(theirs)
    if "stem.conv.weight" in loaded:
        loaded["stem.conv.weight"] = spread_over_channels(loaded["stem.conv.weight"], encoder.in_channels)
    unfit = [name for name in ours if name not in loaded or loaded[name].shape != ours[name].shape]
    unfit = [name for name in unfit if not name.endswith("num_batches_tracked")]
    if unfit or set(loaded) - set(ours):
        what = unfit[0] if unfit else min(set(loaded) - set(ours))
        raise InputError(
            f"The weights at {path} are not those of a ResNet50V2 ({what} does not fit); give timm's resnetv2_50."
        )
    encoder.load_state_dict(loaded, strict=False)


def rename_timm_weights(theirs: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return the weights of ``timm``'s ``resnetv2_50`` by the names that :class:`ResNetEncoder` has for them.

    The classifier is left out; names that it has not stay as they are.
    """
    return {_rename(name): tensor for name, tensor in theirs.items() if not name.startswith(_CLASSIFIER)}


def spread_over_channels(weight: torch.Tensor, channels: int) -> torch.Tensor:
    """Return the first convolution ``(out, 3, 7, 7)`` for so many input channels, ``(out, channels, 7, 7)``.

    Our channels take the filters of red, green, blue, red ... in turn, times 3 over their number, so that an image that
    is the same in all of them comes out about as bright as a grey photograph. The paper's three channels (slice, bone
    window, Laplacian) take the three filters as they are.
    """
    chosen = [channel % COLOURS for channel in range(channels)]
    return weight[:, chosen] * (COLOURS / channels)


def _rename(name: str) -> str:
    if found := re.fullmatch(r"stages\.(\d+)\.blocks\.(\d+)\.(\w+?\d|downsample\.conv)\.(\w+)", name):
        stage, block, place, part = found.groups()
        return f"stages.{stage}.{block}.{_PLACES.get(place, place)}.{part}"
    if found := re.fullmatch(r"norm\.(\w+)", name):
        return f"norm.N.{found[1]}"
    return name
