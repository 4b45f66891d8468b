"""Streaks of metal in CT: projected and backprojected, as a scanner makes them."""

from __future__ import annotations

import math

import torch
from torch.nn import functional

from KneeSegLib.training.synthesis.fields import blur
from KneeSegLib.training.synthesis.settings import ANGLES, STREAK_STRIDE


def compute_hardening_streaks(metal: torch.Tensor, spacing_mm: float) -> torch.Tensor:
    """Return what beam hardening by metal adds to a slice: dark where rays pass much of it, bright beside that.

    A ray's measured attenuation falls short of the true one by a part that grows with the square of the metal in its
    way (Brooks and Di Chiro 1976); filtered backprojection spreads that part over the slice.

    Returns:
        ``(D, H, W)`` with a root mean square of 1 within 15 mm of metal.
    """
    path_mm = project_metal(metal[:, ::STREAK_STRIDE, ::STREAK_STRIDE]) * STREAK_STRIDE * spacing_mm
    return _normalize_streaks(backproject(-(path_mm**2), metal.shape), metal, spacing_mm)


def draw_starvation_streaks(
    metal: torch.Tensor, spacing_mm: float, per_mm: float, generator: torch.Generator
) -> torch.Tensor:
    """Draw the noise of rays that hardly pass: it grows with the exponential of half of ``per_mm`` times their metal.

    Returns:
        ``(D, H, W)`` with a root mean square of 1 within 15 mm of metal.
    """
    path_mm = project_metal(metal[:, ::STREAK_STRIDE, ::STREAK_STRIDE]) * STREAK_STRIDE * spacing_mm
    noise = torch.randn(path_mm.shape, generator=generator) * torch.expm1(0.5 * per_mm * path_mm.clamp(max=60.0))
    return _normalize_streaks(backproject(noise, metal.shape), metal, spacing_mm)


def project_metal(metal: torch.Tensor) -> torch.Tensor:
    """Return how much metal (bool ``(D, h, w)``) each ray of a slice meets: ``(angles, D, rays)``, in pixels."""
    depth, height, width = metal.shape
    rays = math.ceil(math.hypot(height, width)) + 2
    slices, rows, columns = torch.nonzero(metal).unbind(dim=1)
    result = torch.zeros(ANGLES, depth * rays)
    for k in range(ANGLES):
        lower, part = _find_ray(rows - (height - 1) / 2, columns - (width - 1) / 2, k, rays)
        result[k].index_add_(0, slices * rays + lower, 1.0 - part)
        result[k].index_add_(0, slices * rays + lower + 1, part)
    return result.view(ANGLES, depth, rays)


def backproject(sinogram: torch.Tensor, shape: torch.Size) -> torch.Tensor:
    """Return the filtered backprojection of ``(angles, D, rays)``, at every :data:`~.settings.STREAK_STRIDE`-th pixel.

    It is interpolated to ``shape``.
    """
    rays = sinogram.shape[-1]
    frequency = torch.fft.rfftfreq(2 * rays)
    ramp = frequency * (1.0 + torch.cos(2.0 * math.pi * frequency))
    filtered = torch.fft.irfft(torch.fft.rfft(sinogram, 2 * rays) * ramp, 2 * rays)[..., :rays]
    depth, height, width = shape[0], -(-shape[1] // STREAK_STRIDE), -(-shape[2] // STREAK_STRIDE)
    y = torch.arange(height)[:, None] - (height - 1) / 2
    x = torch.arange(width)[None, :] - (width - 1) / 2
    image = torch.zeros(depth, height, width)
    for k in range(ANGLES):
        lower, part = _find_ray(y, x, k, rays)
        image += torch.lerp(filtered[k][:, lower], filtered[k][:, lower + 1], part)
    image = functional.interpolate(image[None], size=tuple(shape[1:]), mode="bilinear", align_corners=False)[0]
    return image * (math.pi / ANGLES)


def _find_ray(y: torch.Tensor, x: torch.Tensor, k: int, rays: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the ray of the k-th angle just below each place, which is given from the slice's middle; and the rest."""
    angle = math.pi * k / ANGLES
    place = (x * math.cos(angle) + y * math.sin(angle) + (rays - 1) / 2).clamp(0.0, rays - 1.001)
    lower = place.floor()
    return lower.long(), place - lower


def _normalize_streaks(streaks: torch.Tensor, metal: torch.Tensor, spacing_mm: float) -> torch.Tensor:
    """Return streaks with a root mean square of 1 within 15 mm of metal."""
    near = (blur(metal.float(), (0.0, *(6.0 / spacing_mm,) * 2)) > 0.01) & ~metal
    strength = streaks[near].square().mean().sqrt() if near.any() else streaks.new_ones(())
    return streaks / strength.clamp(min=1e-6)
