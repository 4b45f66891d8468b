"""What weights were called before the networks were made of MONAI's blocks, and what they are called now.

Checkpoints and bundles written until then load through this map. Order and shapes of the weights are the same, so that
an optimiser's state, which goes by position, fits too. Nothing writes the old names.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from torch import nn

_PARTS = ("conv", "adn.N", "adn.A")
"""Convolution, normalisation and activation: once three layers in a row, now the parts of a ``Convolution``."""
_SHAPE_PARTS = {0: "0.conv", 1: "1.conv", 2: "2.conv", 4: "3.conv", 5: "3.adn.N"}
"""The same of one layer of the shape network; places 3 and 6 were activations without weights."""


class KeyMapped(nn.Module):
    """A network that also loads weights by the names that they had before."""

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False) -> Any:
        return super().load_state_dict(
            {present_name(name): tensor for name, tensor in state_dict.items()}, strict, assign
        )


def present_name(name: str) -> str:
    """What a weight of one of our networks is called now; names of now, and names of nothing, stay as they are.

    >>> present_name("encoder.2.4.weight")
    'encoder.2.1.adn.N.weight'
    """
    for pattern, renamed in _RENAMED:
        if found := pattern.fullmatch(name):
            return renamed(found)
    return name


def _one_convolution(found: re.Match[str]) -> str:
    return f"{found[1]}.{_PARTS[int(found[2])]}.{found[3]}"


def _two_convolutions(found: re.Match[str]) -> str:
    convolution, part = divmod(int(found[2]), len(_PARTS))
    return f"{found[1]}.{convolution}.{_PARTS[part]}.{found[3]}"


def _shape_layer(found: re.Match[str]) -> str:
    """Three strided layers of seven places each came first, then two of four."""
    place = int(found[1])
    layer, place = divmod(place, 7) if place < 21 else divmod(place - 9, 4)
    return f"features.{layer}.{_SHAPE_PARTS[place]}.{found[2]}" if place in _SHAPE_PARTS else found[0]


_RENAMED: tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], str]], ...] = (
    (re.compile(r"((?:encoder|decoder)\.\d+)\.([0-5])\.(\w+)"), _two_convolutions),
    (re.compile(r"(stem|down\.\d+\.[01]|fuse\.\d+)\.([0-2])\.(\w+)"), _one_convolution),
    (re.compile(r"features\.(\d+)\.(\w+)"), _shape_layer),
    (re.compile(r"(up\.\d+)\.(\w+)"), lambda found: f"{found[1]}.deconv.{found[2]}"),
    (re.compile(r"head\.(\w+)"), lambda found: f"head.conv.{found[1]}"),
)
