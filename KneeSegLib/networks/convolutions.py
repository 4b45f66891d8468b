"""The convolution that the U-Nets are made of."""

from __future__ import annotations

from monai.networks.blocks.convolutions import Convolution


def normalised_convolution(spatial_dims: int, in_channels: int, out_channels: int, strides: int = 1) -> Convolution:
    """A convolution with 3 voxels along each axis, batch normalisation, and PReLU with a slope for each channel.

    Shapes: ``(N, in_channels, ...)`` to ``(N, out_channels, ...)``, every size divided by ``strides`` and rounded up.
    """
    return Convolution(
        spatial_dims,
        in_channels,
        out_channels,
        strides=strides,
        kernel_size=3,
        act=("prelu", {"num_parameters": out_channels}),
        norm="batch",
        bias=False,  # the normalisation shifts
    )
