"""The V-Net: a 3D network of 5x5x5 convolutions with residual transitions, made of MONAI's blocks with a width."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from monai.networks.nets.vnet import DownTransition, InputTransition, OutputTransition, UpTransition
from torch import nn

DOWN_CONVOLUTIONS = (1, 2, 3)
"""5x5x5 convolutions after each halving but the last, as in MONAI's ``VNet``."""
DEEPEST_CONVOLUTIONS = 2
"""The same after the last halving."""
UP_CONVOLUTIONS = (1, 1, 2, 2)
"""The same of the transition that leads up to each level, highest resolution first."""
FIRST_DROPPED = 2
"""From this halving on the transitions drop channels, where any do: MONAI's dropout sits in the two deepest."""


class VNet(nn.Module):
    """V-Net (Milletari et al. 2016) with a width: MONAI's ``VNet`` has 45.6 million parameters and no narrower form.

    With the widths 16 to 256, ``act=("elu", {"inplace": True})`` and ``dropout=0.5`` it is MONAI's ``VNet``, layer by
    layer in the same order. Defaults are those of the paper on gradient input: PReLU, no dropout.

    Args:
        in_channels: channels of the volume; they divide the first width.
        out_channels: classes, background first.
        widths: feature channels per level, highest resolution first, each twice the one before; two to five levels.
        act: activation, as MONAI names it.
        dropout: probability that a channel is dropped in training, 0 for none.

    Attributes:
        stride: that D, H and W are multiples of.

    Shapes: ``(N, in_channels, D, H, W)`` to logits ``(N, out_channels, D, H, W)``.

    Raises:
        ValueError: widths that do not double, or too many or too few of them.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        widths: Sequence[int] = (16, 32, 64, 128, 256),
        act: str | tuple[str, dict] = "prelu",
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        widths = tuple(widths)
        if not are_vnet_widths(widths):
            raise ValueError(f"widths {list(widths)} were found, expected two to five, each twice the one before")
        act = act if isinstance(act, str) else (act[0], dict(act[1]))
        self.stride = 2 ** (len(widths) - 1)
        halvings = range(len(widths) - 1)
        convolutions = (*DOWN_CONVOLUTIONS[: len(widths) - 2], DEEPEST_CONVOLUTIONS)
        self.stem = InputTransition(3, in_channels, widths[0], act)
        self.down = nn.ModuleList(
            DownTransition(3, widths[level], convolutions[level], act, _deep(level, dropout)) for level in halvings
        )
        deepest_first = list(reversed(halvings))
        below = (widths[-1], *(widths[level + 1] for level in deepest_first))
        self.up = nn.ModuleList(
            UpTransition(3, wide, widths[level + 1], UP_CONVOLUTIONS[level], act, (_deep(level, dropout), dropout))
            for wide, level in zip(below, deepest_first)
        )
        self.head = OutputTransition(3, widths[1], out_channels, act)

    def forward(self, volume: torch.Tensor) -> torch.Tensor:
        features = self.stem(volume)
        skipped = []
        for down in self.down:
            skipped.append(features)
            features = down(features)
        for up in self.up:
            features = up(features, skipped.pop())
        return self.head(features)


def are_vnet_widths(widths: Sequence[int]) -> bool:
    """Return whether a V-Net can have these feature channels: two to five levels, each twice as wide as the last."""
    return 2 <= len(widths) <= len(UP_CONVOLUTIONS) + 1 and all(b == 2 * a for a, b in zip(widths, widths[1:]))


def _deep(level: int, dropout: float) -> float | None:
    return dropout if dropout and level >= FIRST_DROPPED else None
