"""The shape network: from the crop of a bone to the weights of its shape model and its pose, in one look.

J. Schock, M. Kopaczka et al., *A Method for Semantic Knee Bone and Cartilage Segmentation with Deep 3D Shape Fitting
Using Data From the Osteoarthritis Initiative*, ShapeMI 2020, section 3.4 and figure 3.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from KneeSegLib.networks.shape_layer import POSE_PARAMETERS

INPUT_SIZE = 88
"""Edge of the crop in voxels."""
_STRIDED_KERNEL = 4


class ShapeRegressor(nn.Module):
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

    Shapes: ``(N, in_channels, 88, 88, 88)`` to ``(N, K + 9)``, the parameters of
    :class:`~KneeSegLib.networks.shape_layer.ShapeLayer`.
    """

    input_size = INPUT_SIZE

    def __init__(self, in_channels: int, modes: int, widths: Sequence[int] = (16, 32, 64, 96, 128)) -> None:
        super().__init__()
        self.modes = modes
        first, second, third, fourth, fifth = widths
        self.features = nn.Sequential(
            *_strided_layer(in_channels, first),
            *_strided_layer(first, second),
            *_strided_layer(second, third),
            *_separated(third, fourth, 3),
            *_separated(fourth, fifth, 3),
        )
        self.head = nn.Conv3d(fifth, modes + POSE_PARAMETERS, 1)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def forward(self, crop: torch.Tensor) -> torch.Tensor:
        if crop.shape[2:] != (INPUT_SIZE,) * 3:
            raise ValueError(f"The crop has {tuple(crop.shape[2:])} voxels, not {INPUT_SIZE} along each axis.")
        return self.head(self.features(crop)).flatten(1)


def _strided_layer(in_channels: int, out_channels: int) -> list[nn.Module]:
    return [
        *_separated(in_channels, out_channels, 5),
        nn.Conv3d(out_channels, out_channels, _STRIDED_KERNEL, stride=2, bias=False),
        nn.InstanceNorm3d(out_channels, affine=True),
        nn.ReLU(inplace=True),
    ]


def _separated(in_channels: int, out_channels: int, kernel: int) -> list[nn.Module]:
    """A cubic convolution as three along one axis each, then ReLU."""
    return [
        nn.Conv3d(in_channels, out_channels, (kernel, 1, 1), bias=False),
        nn.Conv3d(out_channels, out_channels, (1, kernel, 1), bias=False),
        nn.Conv3d(out_channels, out_channels, (1, 1, kernel)),
        nn.ReLU(inplace=True),
    ]
