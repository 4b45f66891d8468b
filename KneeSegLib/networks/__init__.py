"""Torch modules made of MONAI's blocks: tensors in, tensors out. They know no files, no images and no labels.

A network's class is loaded when it is first asked for: what a network sees (the channels) is also of use without MONAI,
whose import takes about as long as torch's.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from KneeSegLib.networks.coarse_unet import CoarseUNet3D
    from KneeSegLib.networks.resnet_unet import ResNetUNet
    from KneeSegLib.networks.shape_layer import ShapeLayer
    from KneeSegLib.networks.shape_regressor import ShapeRegressor
    from KneeSegLib.networks.slice_unet import SliceUNet
    from KneeSegLib.networks.vnet import VNet

__all__ = ["CoarseUNet3D", "ResNetUNet", "ShapeLayer", "ShapeRegressor", "SliceUNet", "VNet"]

_MODULES = {
    "CoarseUNet3D": "coarse_unet",
    "ResNetUNet": "resnet_unet",
    "ShapeLayer": "shape_layer",
    "ShapeRegressor": "shape_regressor",
    "SliceUNet": "slice_unet",
    "VNet": "vnet",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
