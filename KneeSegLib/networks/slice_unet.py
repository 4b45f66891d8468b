"""The slice network: a 2D U-Net on transverse slices."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn


class SliceUNet(nn.Module):
    """2D U-Net with five down- and up-sampling levels, two 3x3 convolutions with PReLU per block.

    Max-pooling leads down, transposed convolutions lead up, a 1x1 convolution ends it. Batch normalisation after each
    convolution is ours: it steadies training and, unlike instance normalisation, gives the same answer whatever part of
    a slice is in the window.

    Args:
        in_channels: channels of a slice, see :func:`KneeSegLib.networks.ct_channels.slice_channels`.
        out_channels: background and one per structure.
        widths: feature channels per level, highest resolution first; ``len(widths) - 1`` levels of down-sampling.

    Attributes:
        stride: that H and W are multiples of.
        joining: names of the convolutions whose input is two halves, one skipped, one from below.

    Shapes: ``(N, in_channels, H, W)`` to logits ``(N, out_channels, H, W)``; H and W are multiples of :attr:`stride`.
    Softmax is left to the caller, so that losses stay stable and log-probabilities can be added.
    """

    def __init__(self, in_channels: int, out_channels: int, widths: Sequence[int] = (16, 32, 64, 96, 128, 160)) -> None:
        super().__init__()
        widths = tuple(widths)
        self.stride = 2 ** (len(widths) - 1)
        self.encoder = nn.ModuleList(_block(a, b) for a, b in zip((in_channels, *widths[:-1]), widths))
        self.up = nn.ModuleList(nn.ConvTranspose2d(b, a, 2, stride=2) for a, b in zip(widths[:-1], widths[1:]))
        self.decoder = nn.ModuleList(_block(2 * a, a) for a in widths[:-1])
        self.head = nn.Conv2d(widths[0], out_channels, 1)
        self.joining = tuple(f"decoder.{level}.0" for level in range(len(self.decoder)))

    def forward(self, slices: torch.Tensor) -> torch.Tensor:
        skipped = []
        features = slices
        for level, block in enumerate(self.encoder):
            if level:
                features = nn.functional.max_pool2d(features, 2)
            features = block(features)
            skipped.append(features)
        for level in reversed(range(len(self.decoder))):
            features = self.decoder[level](torch.cat([skipped[level], self.up[level](features)], dim=1))
        return self.head(features)


def _block(in_channels: int, out_channels: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for channels in (in_channels, out_channels):
        layers += [
            nn.Conv2d(channels, out_channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(out_channels),
            nn.PReLU(out_channels),
        ]
    return nn.Sequential(*layers)
