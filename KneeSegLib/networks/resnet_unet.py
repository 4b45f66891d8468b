"""A slice U-Net whose encoder is a pre-activation ResNet50, which can start from weights trained on ImageNet."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from monai.networks.blocks.acti_norm import ADN
from monai.networks.blocks.convolutions import Convolution
from monai.networks.blocks.upsample import UpSample
from torch import nn

from KneeSegLib.networks.convolutions import normalised_convolution

BLOCKS = (3, 4, 6, 3)
"""Bottlenecks of each stage of a ResNet50."""
EXPANSION = 4
"""A bottleneck gives so many times the channels of its 3x3 convolution."""
STEM_WIDTH = 64
"""Channels of the first convolution of a ResNet50."""
LEVELS = 6
"""Resolutions of the network: those of the slice, the first convolution and the four stages."""


class ResNetUNet(nn.Module):
    """2D U-Net with the encoder of *nnU-Net versus a custom U-Net* (knee CT): ResNet50V2, pre-trained on ImageNet.

    The decoder is that of :class:`~KneeSegLib.networks.SliceUNet`; at full resolution, where the encoder has no
    features, it sees the slice itself. The weights of ImageNet are read by
    :func:`KneeSegLib.training.imagenet.load_imagenet_encoder`.

    Args:
        in_channels: channels of a slice.
        out_channels: background and one per structure.
        widths: feature channels of the decoder per level, highest resolution first; the last one has no decoder and
            counts for nothing.
        stem_width: channels of the encoder's first convolution, on which all its others depend.

    Attributes:
        stride: that H and W are multiples of.

    Shapes: ``(N, in_channels, H, W)`` to logits ``(N, out_channels, H, W)``.

    Raises:
        ValueError: other than six widths.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        widths: Sequence[int] = (16, 32, 64, 96, 128, 160),
        stem_width: int = STEM_WIDTH,
    ) -> None:
        super().__init__()
        if len(widths) != LEVELS:
            raise ValueError(f"{len(widths)} widths were found, expected {LEVELS}")
        self.stride = 2 ** (LEVELS - 1)
        self.encoder = ResNetEncoder(in_channels, stem_width)
        skipped = (in_channels, *self.encoder.channels[:-1])
        below = (*widths[1:-1], self.encoder.channels[-1])
        self.up = nn.ModuleList(UpSample(2, b, a, scale_factor=2) for a, b in zip(widths, below))
        self.decoder = nn.ModuleList(
            nn.Sequential(normalised_convolution(2, a + skip, a), normalised_convolution(2, a, a))
            for a, skip in zip(widths, skipped)
        )
        self.head = Convolution(2, widths[0], out_channels, kernel_size=1, conv_only=True)

    def forward(self, slices: torch.Tensor) -> torch.Tensor:
        *skipped, features = (slices, *self.encoder(slices))
        for level in reversed(range(len(self.decoder))):
            features = self.decoder[level](torch.cat([skipped[level], self.up[level](features)], dim=1))
        return self.head(features)


class ResNetEncoder(nn.Module):
    """ResNet50V2 without its classifier (He et al., *Identity mappings in deep residual networks*, 2016).

    The stride of a stage sits on the 3x3 convolution, as in the weights of ``timm``.

    Attributes:
        in_channels: of a slice.
        channels: of what :meth:`forward` returns, highest resolution first.
    """

    def __init__(self, in_channels: int, stem_width: int = STEM_WIDTH) -> None:
        super().__init__()
        self.in_channels = in_channels
        middles = [stem_width * 2**stage for stage in range(len(BLOCKS))]
        self.channels = (stem_width, *(EXPANSION * middle for middle in middles))
        self.stem = Convolution(2, in_channels, stem_width, strides=2, kernel_size=7, bias=False, conv_only=True)
        self.pool = nn.MaxPool2d(3, stride=2, padding=1)
        self.stages = nn.ModuleList(
            nn.Sequential(
                *(
                    Bottleneck(before if block == 0 else EXPANSION * middle, middle, 2 if stage and not block else 1)
                    for block in range(BLOCKS[stage])
                )
            )
            for stage, (before, middle) in enumerate(zip(self.channels, middles))
        )
        self.norm = _normalise(self.channels[-1])

    def forward(self, slices: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Return the features at 1/2, 1/4, 1/8, 1/16 and 1/32 of the resolution."""
        features = self.stem(slices)
        found = [features]
        features = self.pool(features)
        for stage in self.stages:
            features = stage(features)
            found.append(features)
        found[-1] = self.norm(features)
        return tuple(found)


class Bottleneck(nn.Module):
    """Normalisation and activation first, then 1x1, 3x3 and 1x1 convolutions, beside a shortcut."""

    def __init__(self, in_channels: int, middle: int, stride: int) -> None:
        super().__init__()
        out_channels = EXPANSION * middle
        self.before = _normalise(in_channels)
        self.residual = nn.Sequential(
            _convolution(in_channels, middle, 1),
            _convolution(middle, middle, 3, stride),
            Convolution(2, middle, out_channels, kernel_size=1, bias=False, conv_only=True),
        )
        self.shortcut = (
            Convolution(2, in_channels, out_channels, strides=stride, kernel_size=1, bias=False, conv_only=True)
            if in_channels != out_channels
            else None
        )

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        ready = self.before(features)
        return self.residual(ready) + (features if self.shortcut is None else self.shortcut(ready))


def _normalise(channels: int) -> ADN:
    return ADN("NA", channels, act="relu", norm="batch", norm_dim=2)


def _convolution(in_channels: int, out_channels: int, kernel_size: int, stride: int = 1) -> Convolution:
    return Convolution(
        2,
        in_channels,
        out_channels,
        strides=stride,
        kernel_size=kernel_size,
        act="relu",
        norm="batch",
        adn_ordering="NA",
        bias=False,
    )
