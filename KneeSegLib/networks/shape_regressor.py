"""The shape network: from the crop of a bone to the weights of its shape model and its pose, in one look.

J. Schock, M. Kopaczka et al., *A Method for Semantic Knee Bone and Cartilage Segmentation with Deep 3D Shape Fitting
Using Data From the Osteoarthritis Initiative*, ShapeMI 2020, section 3.4 and figure 3.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from monai.networks.blocks.convolutions import Convolution
from torch import nn

from KneeSegLib.networks.key_map import KeyMapped
from KneeSegLib.networks.shape_layer import POSE_PARAMETERS

INPUT_SIZE = 88
"""Edge of the crop in voxels."""
_STRIDED_KERNEL = 4


class ShapeRegressor(KeyMapped):
    """Fully convolutional regression of shape weights and pose from a crop of 88 x 88 x 88 voxels.

    As in the paper: three layers of a separated 5x5x5 convolution, a strided convolution and instance normalisation,
    two layers of separated 3x3x3 convolutions, and a 1x1x1 convolution with a channel for each parameter. Separated
    means one convolution along each axis in turn.

    The paper gives no widths, no padding, no strided kernel and no activation. Nothing is padded here and strides are
    2: then 4 is the one strided kernel with which 88 voxels end as exactly one, which the shape layer can take. ReLU
    follows every layer but the last, which begins with zeros, so that training starts from the mean shape.

    Args:
        in_channels: channels of the crop.
        modes: weights to predict, K; the first K of the shape model.
        widths: feature channels of the five layers.
        shapes: how many shapes are predicted at once, S; the paper's variant has two parallel shape layers.

    Shapes: ``(N, in_channels, 88, 88, 88)`` to ``(N, S * (K + 9))``, for each shape the parameters of
    :class:`~KneeSegLib.networks.shape_layer.ShapeLayer`.
    """

    input_size = INPUT_SIZE

    def __init__(
        self, in_channels: int, modes: int, widths: Sequence[int] = (16, 32, 64, 96, 128), shapes: int = 1
    ) -> None:
        super().__init__()
        self.modes = modes
        first, second, third, fourth, fifth = widths
        self.features = nn.Sequential(
            nn.Sequential(*_separated(in_channels, first, 5), _strided(first)),
            nn.Sequential(*_separated(first, second, 5), _strided(second)),
            nn.Sequential(*_separated(second, third, 5), _strided(third)),
            nn.Sequential(*_separated(third, fourth, 3)),
            nn.Sequential(*_separated(fourth, fifth, 3)),
        )
        self.head = Convolution(3, fifth, shapes * (modes + POSE_PARAMETERS), kernel_size=1, conv_only=True)
        for parameter in self.head.parameters():
            nn.init.zeros_(parameter)

    def forward(self, crop: torch.Tensor) -> torch.Tensor:
        if crop.shape[2:] != (INPUT_SIZE,) * 3:
            raise ValueError(f"The crop has {tuple(crop.shape[2:])} voxels, not {INPUT_SIZE} along each axis.")
        return self.head(self.features(crop)).flatten(1)


def _separated(in_channels: int, out_channels: int, kernel: int) -> tuple[Convolution, Convolution, Convolution]:
    """A cubic convolution as three along one axis each, then ReLU."""
    return (
        _convolution(in_channels, out_channels, (kernel, 1, 1), bias=False, conv_only=True),
        _convolution(out_channels, out_channels, (1, kernel, 1), bias=False, conv_only=True),
        _convolution(out_channels, out_channels, (1, 1, kernel), norm=None),
    )


def _strided(channels: int) -> Convolution:
    """A strided convolution, instance normalisation, then ReLU."""
    kernel = (_STRIDED_KERNEL, _STRIDED_KERNEL, _STRIDED_KERNEL)
    return _convolution(channels, channels, kernel, strides=2, norm=("instance", {"affine": True}), bias=False)


def _convolution(in_channels: int, out_channels: int, kernel: tuple[int, int, int], **options: Any) -> Convolution:
    relu = ("relu", {"inplace": True})
    return Convolution(3, in_channels, out_channels, kernel_size=kernel, padding=0, act=relu, **options)
