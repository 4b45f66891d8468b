"""Samples of own cases varied by MONAI's transforms: geometry, contrast and noise; and the cubes they lie in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from monai.data.utils import dense_patch_slices
from monai.transforms.compose import Compose
from monai.transforms.intensity.dictionary import (
    RandAdjustContrastd,
    RandBiasFieldd,
    RandGaussianNoised,
    RandGaussianSmoothd,
    RandScaleIntensityd,
    RandShiftIntensityd,
)
from monai.transforms.spatial.dictionary import Rand2DElasticd, Rand3DElasticd
from monai.utils.type_conversion import convert_to_tensor

from KneeSegLib.training.own_cases import settings

IMAGE, LABELS = "image", "fractions"
"""Keys of a sample: the image ``(C, ...)``, and the fractions of the classes ``(C, ...)``."""


def vary_planes() -> Compose:
    """Return the geometry of 2D samples: ``image`` and ``fractions`` are ``(N, H, W)``, turned and bent alike."""
    return Compose(
        [
            Rand2DElasticd(
                keys=(IMAGE, LABELS),
                spacing=settings.BEND_GRID_PIXELS,
                magnitude_range=settings.BEND_PIXELS,
                prob=settings.GEOMETRY_PROBABILITY,
                rotate_range=settings.TURN_RADIANS,
                shear_range=settings.SHEAR,
                mode="bilinear",
                padding_mode="border",
            )
        ]
    )


def vary_volumes() -> Compose:
    """Return the geometry of 3D samples ``(C, D, H, W)``."""
    turned = Rand3DElasticd(
        keys=(IMAGE, LABELS),
        sigma_range=settings.BEND_SIGMA_VOXELS,
        magnitude_range=settings.BEND_VOXELS,
        prob=settings.GEOMETRY_PROBABILITY,
        rotate_range=(settings.TURN_RADIANS,) * 3,
        mode="bilinear",
        padding_mode="border",
    )
    return Compose([turned])


def vary_ct() -> Compose:
    """Return contrast and noise of CT: ``image`` is HU above air."""
    often = settings.CONTRAST_PROBABILITY
    return Compose(
        [
            RandScaleIntensityd(IMAGE, factors=settings.CT_SCALE, prob=often),
            RandShiftIntensityd(IMAGE, offsets=settings.CT_SHIFT_HU, prob=often),
            _blur_within_slices(),
            RandGaussianNoised(IMAGE, std=settings.CT_NOISE_HU, prob=often),
        ]
    )


def vary_mr() -> Compose:
    """Return contrast and noise of MR: ``image`` is a fraction of the scan's 99th percentile."""
    often = settings.CONTRAST_PROBABILITY
    return Compose(
        [
            RandBiasFieldd(IMAGE, degree=2, coeff_range=(0.0, settings.MR_BIAS), prob=often),
            RandAdjustContrastd(IMAGE, gamma=settings.MR_GAMMA, prob=often),
            _blur_within_slices(),
            RandGaussianNoised(IMAGE, std=settings.MR_NOISE, prob=often),
        ]
    )


def apply(transform: Compose, generator: torch.Generator, **sample: torch.Tensor) -> dict[str, torch.Tensor]:
    """Return a sample transformed by random numbers that follow from ``generator`` alone."""
    transform.set_random_state(seed=int(torch.randint(2**31 - 1, (), generator=generator)))
    changed: Any = transform(dict(sample))
    return {key: convert_to_tensor(value, track_meta=False) for key, value in changed.items()}


def list_cubes(shape: Sequence[int], cube: Sequence[int]) -> list[tuple[slice, ...]]:
    """Return overlapping cubes that cover a volume, each within it where the volume is large enough."""
    steps = [max(1, int(edge * (1.0 - settings.CUBE_OVERLAP))) for edge in cube]
    return dense_patch_slices(list(shape), [min(a, b) for a, b in zip(cube, shape)], steps)


def _blur_within_slices() -> RandGaussianSmoothd:
    """A blur of rows and columns (MONAI calls the axes x, y, z as they come), not across slices."""
    pixels = settings.BLUR_PIXELS
    return RandGaussianSmoothd(
        IMAGE, sigma_x=(1e-4, 1e-3), sigma_y=pixels, sigma_z=pixels, prob=settings.BLUR_PROBABILITY
    )
