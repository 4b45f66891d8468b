"""What a scanner does to a perfect image: blur, kernel overshoot, noise, shading, calibration, metal, clipping."""

from __future__ import annotations

import torch
from torch.nn import functional

from KneeSegLib.training.synthesis.fields import blur, chance, draw_smooth_noise, draw_white_noise, uniform
from KneeSegLib.training.synthesis.metal import add_implants, add_metal
from KneeSegLib.training.synthesis.settings import LOW_CEILINGS_HU, Scanner


def simulate_scan(hu: torch.Tensor, spacing_mm: float, scanner: Scanner, generator: torch.Generator) -> torch.Tensor:
    """Put a perfect image through a random scanner; ``(D, H, W)`` HU in and out, slices first."""
    if chance(scanner.table_probability, generator):
        hu = add_table(hu, spacing_mm, generator)
    if chance(scanner.metal_probability, generator):
        hu = add_metal(hu, spacing_mm, generator, scanner.metal_in_bone)
    if scanner.implant_probability > 0.0 and chance(scanner.implant_probability, generator):
        hu = add_implants(hu, spacing_mm, generator)
    in_plane = uniform(scanner.blur_mm, generator) / spacing_mm
    hu = blur(hu, (uniform(scanner.slice_blur_mm, generator) / spacing_mm, in_plane, in_plane))
    if chance(scanner.overshoot_probability, generator):
        wide = 0.8 / spacing_mm
        hu = hu + uniform(scanner.overshoot, generator) * (hu - blur(hu, (0.0, wide, wide)))
    if chance(scanner.calibration_probability, generator):
        scale, offset = uniform(scanner.calibration_scale, generator), uniform(scanner.calibration_offset_hu, generator)
        hu = (hu + 1000.0) * scale - 1000.0 + offset
    hu = hu + uniform(scanner.shading_hu, generator) * draw_smooth_noise(hu.shape, spacing_mm, 60.0, generator)
    if chance(scanner.cupping_probability, generator):
        hu = add_cupping(hu, uniform(scanner.cupping_hu, generator))
    noise_hu, grain_voxels = uniform(scanner.noise_hu, generator), uniform(scanner.noise_grain, generator)
    if scanner.coarse_probability > 0.0 and chance(scanner.coarse_probability, generator):
        slice_mm, pixel_mm = uniform(scanner.coarse_mm, generator), uniform(scanner.coarse_mm, generator)
        coarse = average_voxels(hu, (slice_mm / spacing_mm, pixel_mm / spacing_mm, pixel_mm / spacing_mm))
        coarse = coarse + draw_correlated_noise(coarse.shape, noise_hu, grain_voxels, generator)
        hu = _resize(coarse, hu.shape)
    else:
        hu = hu + draw_correlated_noise(hu.shape, noise_hu, grain_voxels, generator)
    if chance(scanner.round_field_probability, generator):
        hu = pad_outside_circle(hu, uniform((0.85, 1.25), generator), uniform((-2000.0, -1000.0), generator))
    if chance(scanner.wrap_probability, generator):
        hu = wrap_values(hu)
    if chance(scanner.low_ceiling_probability, generator):
        hu = hu.clamp(max=LOW_CEILINGS_HU[int(torch.randint(len(LOW_CEILINGS_HU), (), generator=generator))])
    return hu.clamp(-1024.0, 3071.0)


def average_voxels(hu: torch.Tensor, voxels: tuple[float, float, float]) -> torch.Tensor:
    """Return coarser voxels, each the mean of ``voxels`` fine ones along each axis (rounded to whole voxels in all)."""
    depth, rows, columns = (max(2, round(n / factor)) if factor > 1.0 else n for n, factor in zip(hu.shape, voxels))
    return functional.adaptive_avg_pool3d(hu[None], (depth, rows, columns))[0]


def _resize(hu: torch.Tensor, shape: torch.Size) -> torch.Tensor:
    """Return an image on another grid of the same box, interpolated linearly."""
    return functional.interpolate(hu[None, None], size=tuple(shape), mode="trilinear", align_corners=False)[0, 0]


def add_cupping(hu: torch.Tensor, depth_hu: float) -> torch.Tensor:
    """Darken the middle of each slice, as uncorrected beam hardening and truncation do; the rim keeps its values."""
    _, height, width = hu.shape
    y = torch.linspace(-1.0, 1.0, height)[:, None]
    x = torch.linspace(-1.0, 1.0, width)[None, :]
    return hu - depth_hu * (1.0 - 0.5 * (x * x + y * y)) * (hu > -500.0)


def wrap_values(hu: torch.Tensor) -> torch.Tensor:
    """Wrap values over 3071 HU as 12 bits do: they start again at -1024."""
    return torch.remainder(hu.clamp(min=-1024.0) + 1024.0, 4096.0) - 1024.0


def draw_correlated_noise(
    shape: torch.Size, sigma_hu: float, grain_voxels: float, generator: torch.Generator
) -> torch.Tensor:
    """Draw noise of standard deviation ``sigma_hu``, blurred over ``grain_voxels`` within each slice."""
    noise = blur(draw_white_noise(shape, generator), (0.0, grain_voxels, grain_voxels))
    return noise * (sigma_hu / noise.std().clamp(min=1e-6))


def pad_outside_circle(hu: torch.Tensor, radius: float, padding_hu: float) -> torch.Tensor:
    """Pad what lies outside a reconstruction circle; ``radius`` as a fraction of half the slice's width."""
    _, height, width = hu.shape
    y = torch.linspace(-1.0, 1.0, height)[:, None] * (height / width)
    x = torch.linspace(-1.0, 1.0, width)[None, :]
    return torch.where((x * x + y * y).sqrt() > radius, torch.full_like(hu, padding_hu), hu)


def add_table(hu: torch.Tensor, spacing_mm: float, generator: torch.Generator) -> torch.Tensor:
    """Add a curved table shell with a cushion behind the limb, where there is air."""
    _, height, width = hu.shape
    y = torch.arange(height)[:, None] * spacing_mm
    x = (torch.arange(width)[None, :] - width * uniform((0.1, 0.9), generator)) * spacing_mm
    top = uniform((0.55, 0.98), generator) * height * spacing_mm
    below = y - top + uniform((0.0, 2.5e-3), generator) * x * x
    shell, cushion = uniform((-300.0, 400.0), generator), uniform((-990.0, -750.0), generator)
    thickness = uniform((1.0, 4.0), generator)
    layer = torch.full_like(below, -1000.0)
    layer[(below > 0) & (below < 25.0)] = cushion
    layer[(below > 25.0) & (below < 25.0 + thickness)] = shell
    return torch.where((hu < -850.0) & (layer > -1000.0), layer, hu)
