"""The networks of plain torch layers, as they were before MONAI's blocks: layers, names, and the order of both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from KneeSegLib.networks.key_map import present_name


def by_old_names(state: Mapping[str, torch.Tensor], plain: nn.Module) -> dict[str, torch.Tensor]:
    """The weights of a network as the plain one calls them."""
    return {name: state[present_name(name)] for name in plain.state_dict()}


def plain_network(_target_: str, **arguments: Any) -> nn.Module:
    """The plain counterpart of the network that a bundle's metadata or a recipe describe."""
    return PLAIN[_target_.rpartition(".")[2]](**arguments)


def has_plain_counterpart(config: Mapping[str, Any]) -> bool:
    """Whether a network was ever made of plain layers: later ones are of MONAI's blocks from the start."""
    return config["_target_"].rpartition(".")[2] in PLAIN


class PlainSliceUNet(nn.Module):
    def __init__(self, in_channels: int, out_channels: int, widths: Sequence[int]) -> None:
        super().__init__()
        self.encoder = nn.ModuleList(self._block(a, b) for a, b in zip((in_channels, *widths[:-1]), widths))
        self.up = nn.ModuleList(nn.ConvTranspose2d(b, a, 2, stride=2) for a, b in zip(widths[:-1], widths[1:]))
        self.decoder = nn.ModuleList(self._block(2 * a, a) for a in widths[:-1])
        self.head = nn.Conv2d(widths[0], out_channels, 1)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        skipped = []
        for level, block in enumerate(self.encoder):
            features = block(nn.functional.max_pool2d(features, 2) if level else features)
            skipped.append(features)
        for level in reversed(range(len(self.decoder))):
            features = self.decoder[level](torch.cat([skipped[level], self.up[level](features)], dim=1))
        return self.head(features)

    @staticmethod
    def _block(a: int, b: int) -> nn.Sequential:
        first = (nn.Conv2d(a, b, 3, padding=1, bias=False), nn.BatchNorm2d(b), nn.PReLU(b))
        return nn.Sequential(*first, nn.Conv2d(b, b, 3, padding=1, bias=False), nn.BatchNorm2d(b), nn.PReLU(b))


class PlainCoarseUNet3D(nn.Module):
    def __init__(self, in_channels: int, out_channels: int, widths: Sequence[int]) -> None:
        super().__init__()
        levels = list(zip(widths, widths[1:]))
        self.stem = self._convolution(in_channels, widths[0])
        self.down = nn.ModuleList(nn.Sequential(self._convolution(a, b, 2), self._convolution(b, b)) for a, b in levels)
        self.up = nn.ModuleList(nn.ConvTranspose3d(b, a, 2, stride=2) for a, b in levels)
        self.fuse = nn.ModuleList(self._convolution(2 * a, a) for a, _ in levels)
        self.head = nn.Conv3d(widths[0], out_channels, 1)

    def forward(self, volume: torch.Tensor) -> torch.Tensor:
        skipped = [self.stem(volume)]
        for down in self.down:
            skipped.append(down(skipped[-1]))
        features = skipped[-1]
        for level in reversed(range(len(self.fuse))):
            features = self.fuse[level](torch.cat([skipped[level], self.up[level](features)], dim=1))
        return self.head(features)

    @staticmethod
    def _convolution(a: int, b: int, stride: int = 1) -> nn.Sequential:
        return nn.Sequential(nn.Conv3d(a, b, 3, stride, padding=1, bias=False), nn.BatchNorm3d(b), nn.PReLU(b))


class PlainShapeRegressor(nn.Module):
    def __init__(self, in_channels: int, modes: int, widths: Sequence[int]) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for number, (a, b) in enumerate(zip((in_channels, *widths), widths)):
            size = 5 if number < 3 else 3
            layers += [nn.Conv3d(a, b, (size, 1, 1), bias=False), nn.Conv3d(b, b, (1, size, 1), bias=False)]
            layers += [nn.Conv3d(b, b, (1, 1, size)), nn.ReLU()]
            if number < 3:
                layers += [nn.Conv3d(b, b, 4, stride=2, bias=False), nn.InstanceNorm3d(b, affine=True), nn.ReLU()]
        self.features = nn.Sequential(*layers)
        self.head = nn.Conv3d(widths[-1], modes + 9, 1)  # translation, rotation and scale beside the modes
        for parameter in self.head.parameters():
            nn.init.zeros_(parameter)

    def forward(self, crop: torch.Tensor) -> torch.Tensor:
        return self.head(self.features(crop)).flatten(1)


PLAIN: dict[str, type[nn.Module]] = {
    "SliceUNet": PlainSliceUNet,
    "CoarseUNet3D": PlainCoarseUNet3D,
    "ShapeRegressor": PlainShapeRegressor,
}
