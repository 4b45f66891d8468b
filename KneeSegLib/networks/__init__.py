"""Torch modules: tensors in, tensors out. They know no files, no images and no labels."""

from KneeSegLib.networks.coarse_unet import CoarseUNet3D
from KneeSegLib.networks.shape_layer import ShapeLayer
from KneeSegLib.networks.shape_regressor import ShapeRegressor
from KneeSegLib.networks.slice_unet import SliceUNet

__all__ = ["CoarseUNet3D", "ShapeLayer", "ShapeRegressor", "SliceUNet"]
