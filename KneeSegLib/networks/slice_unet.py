"""The slice network: a 2D U-Net on transverse slices."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from monai.networks.blocks.convolutions import Convolution
from monai.networks.blocks.upsample import UpSample
from torch import nn

from KneeSegLib.networks.convolutions import normalised_convolution
from KneeSegLib.networks.key_map import KeyMapped


class SliceUNet(KeyMapped):
    """2D U-Net with five down- and up-sampling levels, two 3x3 convolutions with PReLU per block.

    Max-pooling leads down, transposed convolutions lead up, a 1x1 convolution ends it. Batch normalisation after each
    convolution is ours: it steadies training and, unlike instance normalisation, gives the same prediction whatever
    part of a slice is in the window.

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
        self.up = nn.ModuleList(UpSample(2, b, a, scale_factor=2) for a, b in zip(widths[:-1], widths[1:]))
        self.decoder = nn.ModuleList(_block(2 * a, a) for a in widths[:-1])
        self.head = Convolution(2, widths[0], out_channels, kernel_size=1, conv_only=True)
        self.joining = tuple(f"decoder.{level}.0.conv" for level in range(len(self.decoder)))

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
    return nn.Sequential(
        normalised_convolution(2, in_channels, out_channels), normalised_convolution(2, out_channels, out_channels)
    )
