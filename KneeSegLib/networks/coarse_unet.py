"""The coarse network: a small 3D U-Net that sees a whole joint, leg or scan at 2 to 4 mm and predicts what is where."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from monai.networks.blocks.convolutions import Convolution
from monai.networks.blocks.upsample import UpSample
from torch import nn

from KneeSegLib.networks.convolutions import normalised_convolution
from KneeSegLib.networks.key_map import KeyMapped


class CoarseUNet3D(KeyMapped):
    """3D U-Net with one strided and one plain 3x3x3 convolution per level, batch normalisation and PReLU.

    Args:
        in_channels: channels of the coarse volume.
        out_channels: classes, background first.
        widths: feature channels per level, highest resolution first.

    Attributes:
        stride: that D, H and W are multiples of.
        joining: names of the convolutions whose input is two halves, one skipped, one from below.

    Shapes: ``(N, in_channels, D, H, W)`` to logits ``(N, out_channels, D, H, W)``; D, H, W are
    multiples of :attr:`stride`.
    """

    def __init__(self, in_channels: int, out_channels: int, widths: Sequence[int] = (12, 24, 48, 64, 96)) -> None:
        super().__init__()
        widths = tuple(widths)
        self.stride = 2 ** (len(widths) - 1)
        self.stem = normalised_convolution(3, in_channels, widths[0])
        self.down = nn.ModuleList(
            nn.Sequential(normalised_convolution(3, a, b, strides=2), normalised_convolution(3, b, b))
            for a, b in zip(widths, widths[1:])
        )
        self.up = nn.ModuleList(UpSample(3, b, a, scale_factor=2) for a, b in zip(widths, widths[1:]))
        self.fuse = nn.ModuleList(normalised_convolution(3, 2 * a, a) for a in widths[:-1])
        self.head = Convolution(3, widths[0], out_channels, kernel_size=1, conv_only=True)
        self.joining = tuple(f"fuse.{level}.conv" for level in range(len(self.fuse)))

    def forward(self, volume: torch.Tensor) -> torch.Tensor:
        features = self.stem(volume)
        skipped = [features]
        for down in self.down:
            features = down(features)
            skipped.append(features)
        for level in reversed(range(len(self.fuse))):
            features = self.fuse[level](torch.cat([skipped[level], self.up[level](features)], dim=1))
        return self.head(features)
