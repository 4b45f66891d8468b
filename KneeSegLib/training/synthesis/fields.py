"""Random fields and filters, from which most of a synthetic image is made.

Volumes are ``(D, H, W)`` float32 tensors with isotropic or per-axis spacing in mm, slices first. Randomness comes from
the :class:`torch.Generator` that is passed in, so that the same seed gives the same image.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch.nn import functional


def uniform(bounds: Sequence[float], generator: torch.Generator) -> float:
    """Draw one number evenly between two bounds."""
    low, high = bounds
    return low + (high - low) * float(torch.rand((), generator=generator))


def chance(probability: float, generator: torch.Generator) -> bool:
    """Draw True with the given probability."""
    return float(torch.rand((), generator=generator)) < probability


def fork_generator(generator: torch.Generator) -> torch.Generator:
    """Return a generator of its own, determined by the state of another one, which stays as it is.

    What is drawn from it changes nothing of what the other one draws afterwards.
    """
    copy = torch.Generator().set_state(generator.get_state())
    return torch.Generator().manual_seed(int(torch.randint(2**62, (), generator=copy)))


def draw_smooth_noise(
    shape: Sequence[int], spacing_mm: float, scale_mm: float, generator: torch.Generator
) -> torch.Tensor:
    """Draw noise of mean 0, standard deviation near 1, that varies over ``scale_mm``: coarse white noise, upsampled."""
    coarse = [max(2, math.ceil(size * spacing_mm / scale_mm) + 2) for size in shape]
    seeds = torch.randn(1, 1, *coarse, generator=generator)
    # Only the part that the volume covers is upsampled, so that scale_mm holds whatever the shape.
    field = functional.interpolate(seeds, size=tuple(shape), mode="trilinear", align_corners=True)[0, 0]
    # Trilinear mixing of independent nodes has a mean variance of (2/3)^3.
    return field * 1.837


def draw_white_noise(shape: Sequence[int], generator: torch.Generator) -> torch.Tensor:
    """Draw independent normal values, mean 0, standard deviation 1."""
    return torch.randn(*shape, generator=generator)


def blur(volume: torch.Tensor, sigma_voxels: Sequence[float]) -> torch.Tensor:
    """Return a volume after a separable Gaussian blur, borders repeated outward.

    A sum of shifted copies is faster on a CPU than convolution (MONAI's ``GaussianFilter``) for such short kernels.

    Args:
        sigma_voxels: standard deviation along each axis ``(slice, row, column)``; below 0.15 an axis is left as it is.
    """
    result = volume[None, None]
    for axis, sigma in enumerate(sigma_voxels):
        if sigma < 0.15:
            continue
        radius = max(1, math.ceil(2.5 * sigma))
        places = torch.arange(-radius, radius + 1, dtype=volume.dtype)
        kernel = torch.exp(-0.5 * (places / sigma) ** 2)
        kernel = kernel / kernel.sum()
        padding = [0, 0, 0, 0, 0, 0]
        padding[2 * (2 - axis)] = padding[2 * (2 - axis) + 1] = radius
        padded = functional.pad(result, padding, mode="replicate")
        size = volume.shape[axis]
        copies = (weight * padded.narrow(2 + axis, offset, size) for offset, weight in enumerate(kernel.tolist()))
        result = sum(copies, start=torch.zeros(()))
    return result[0, 0]


def compute_occupancy(distance_mm: torch.Tensor, spacing_mm: float) -> torch.Tensor:
    """Return the fraction of a voxel inside a surface, from the signed distance of its centre (negative inside)."""
    return (0.5 - distance_mm / spacing_mm).clamp(0.0, 1.0)


def smoothstep(values: torch.Tensor, low: float, high: float) -> torch.Tensor:
    """Return 0 below ``low``, 1 above ``high``, a smooth rise between."""
    x = ((values - low) / (high - low)).clamp(0.0, 1.0)
    return x * x * (3.0 - 2.0 * x)
