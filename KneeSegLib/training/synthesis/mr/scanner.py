"""An MR scanner: what it makes of tissue, one ingredient a function.

Slabs are ``(D, H, W)`` with slices first; the read-out of a slice runs along its rows or its columns.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from KneeSegLib.training.synthesis.fields import blur, chance, smoothstep, uniform
from KneeSegLib.training.synthesis.mr.noise import draw_stretched_noise
from KneeSegLib.training.synthesis.mr.settings import MrScanner
from KneeSegLib.training.synthesis.mr.signal import Signal


@dataclass(frozen=True)
class Acquisition:
    """How slices are sampled in the frequency domain.

    Attributes:
        resolution_mm: frequencies above ``1 / (2 * resolution_mm)`` are not sampled.
        ringing: 0 fades frequencies out (no Gibbs ringing), 1 cuts them off sharply.
        ghosts: strength of the copies that regular motion (pulse, breath) makes along the rows.
        noise: standard deviation of the real and the imaginary part; the magnitude's is Rician (Gudbjartsson and
            Patz 1995).
    """

    resolution_mm: float
    ringing: float = 1.0
    ghosts: float = 0.0
    noise: float = 0.0


def simulate_scan(
    signal: Signal, spacing_mm: Sequence[float], scanner: MrScanner, generator: torch.Generator
) -> torch.Tensor:
    """Put tissue through a random scanner; returns the magnitude image ``(D, H, W)`` with its noise."""
    fat = signal.fat
    if chance(scanner.failure_probability, generator):
        fat = fat * draw_suppression_failure(fat.shape, spacing_mm, uniform((0.0, 4.0), generator), generator)
    if chance(scanner.shift_probability, generator):
        axis = 1 + int(chance(0.5, generator))
        sign = 1.0 if chance(0.5, generator) else -1.0
        fat = shift_image(fat, sign * uniform(scanner.shift_mm, generator) / spacing_mm[axis], axis)
    # Recipes without these two draw no number for them: their seeds give the images that they always gave.
    opposed = scanner.opposed_probability > 0.0 and chance(scanner.opposed_probability, generator)
    image = (signal.water - fat).abs() if opposed else (signal.water + fat).clamp(min=0.0)
    image = image * draw_shading(image.shape, spacing_mm, uniform(scanner.bias, generator), generator)
    if chance(scanner.coil_probability, generator):
        image = image * draw_coil_sensitivity(image.shape, spacing_mm, uniform(scanner.coil_mm, generator), generator)
    if chance(scanner.band_probability, generator):
        image = image * draw_saturation_band(image.shape, generator)
    image = blur(image, (uniform(scanner.slice_blur_mm, generator) / spacing_mm[0], 0.0, 0.0))
    if chance(scanner.wrap_probability, generator):
        image = wrap_image(image, uniform((0.02, 0.15), generator), 1 + int(chance(0.5, generator)))
    ghosts = uniform(scanner.ghosts, generator) if chance(scanner.motion_probability, generator) else 0.0
    ringing = 1.0 if chance(scanner.gibbs_probability, generator) else 0.0
    resolution = uniform(scanner.resolution_mm, generator)
    acquisition = Acquisition(resolution, ringing, ghosts, uniform(scanner.noise, generator))
    image = acquire_image(image, spacing_mm, acquisition, generator)
    if scanner.sharpening_probability > 0.0 and chance(scanner.sharpening_probability, generator):
        image = sharpen_image(image, uniform(scanner.sharpening, generator))
    return image ** uniform(scanner.curve, generator)


def sharpen_image(image: torch.Tensor, strength: float) -> torch.Tensor:
    """Return slices with their difference to the slices blurred by a pixel added ``strength`` times."""
    return (image + strength * (image - blur(image, (0.0, 1.0, 1.0)))).clamp(min=0.0)


def draw_suppression_failure(
    shape: Sequence[int], spacing_mm: Sequence[float], strength: float, generator: torch.Generator
) -> torch.Tensor:
    """Draw a factor of fat's signal: 1, and up to ``1 + strength`` in large places at the borders of the field."""
    return 1.0 + strength * smoothstep(draw_stretched_noise(shape, spacing_mm, 60.0, generator), 0.2, 1.2)


def shift_image(image: torch.Tensor, pixels: float, axis: int) -> torch.Tensor:
    """Return the image moved by some pixels, or a fraction, along an axis (1 rows, 2 columns), its border repeated."""
    whole = math.floor(pixels)
    part = pixels - whole
    places = torch.arange(image.shape[axis]) - whole
    last = image.shape[axis] - 1
    here = image.index_select(axis, places.clamp(0, last))
    before = image.index_select(axis, (places - 1).clamp(0, last))
    return torch.lerp(here, before, part)


def draw_shading(
    shape: Sequence[int], spacing_mm: Sequence[float], strength: float, generator: torch.Generator
) -> torch.Tensor:
    """Draw a slow factor around 1 whose logarithm has the standard deviation ``strength``."""
    return torch.exp(strength * draw_stretched_noise(shape, spacing_mm, 80.0, generator))


def draw_coil_sensitivity(
    shape: Sequence[int], spacing_mm: Sequence[float], half_mm: float, generator: torch.Generator
) -> torch.Tensor:
    """Draw the sensitivity of a receiver: 1 near a point in the field, one half at ``half_mm`` from it."""
    squared = torch.zeros(1)
    for axis, (size, step) in enumerate(zip(shape, spacing_mm)):
        place = (torch.arange(size) - size * uniform((0.25, 0.75), generator)) * step
        view = [1, 1, 1]
        view[axis] = size
        squared = squared + place.view(view) ** 2
    return 1.0 / (1.0 + squared / half_mm**2)


def draw_saturation_band(shape: Sequence[int], generator: torch.Generator) -> torch.Tensor:
    """Draw a factor that darkens a slanted stripe of the slices, as a saturation pulse does."""
    _, height, width = shape
    y, x = torch.linspace(-1.0, 1.0, height)[:, None], torch.linspace(-1.0, 1.0, width)[None]
    angle = uniform((0.0, math.pi), generator)
    along = x * math.cos(angle) + y * math.sin(angle) - uniform((0.5, 1.0), generator)
    return (1.0 - uniform((0.5, 0.95), generator) * smoothstep(along, -0.05, 0.05))[None]


def wrap_image(image: torch.Tensor, fraction: float, axis: int) -> torch.Tensor:
    """Return the image of too small a field of view: a fraction of its extent folds onto the opposite border."""
    width = max(1, round(fraction * image.shape[axis]))
    folded = image.clone()
    end = image.shape[axis] - width
    folded.narrow(axis, end, width).add_(image.narrow(axis, 0, width))
    folded.narrow(axis, 0, width).add_(image.narrow(axis, end, width))
    return folded


def acquire_image(
    image: torch.Tensor, spacing_mm: Sequence[float], how: Acquisition, generator: torch.Generator
) -> torch.Tensor:
    """Return slices as sampled in the frequency domain: cut off, with motion and noise, and the magnitude taken."""
    height, width = image.shape[1:]
    rows = torch.fft.fftfreq(height)[:, None]
    columns = torch.fft.rfftfreq(width)[None]
    window = _make_pass_band(rows, spacing_mm[1] / how.resolution_mm, how.ringing) * _make_pass_band(
        columns, spacing_mm[2] / how.resolution_mm, how.ringing
    )
    frequencies = torch.fft.rfft2(image) * window
    if how.ghosts > 0.0:
        beats = uniform((8.0, 30.0), generator)
        swing = torch.sin(2.0 * math.pi * beats * torch.fft.fftfreq(height)[:, None])
        frequencies = frequencies * (1.0 + how.ghosts * swing * 1j * torch.sign(rows))
    real = torch.fft.irfft2(frequencies, s=(height, width))
    both = torch.randn(2, *image.shape, generator=generator)
    # Noise passes the same band: neighbours agree where pixels are finer than the resolution.
    softness = 0.3 * max(0.0, how.resolution_mm / min(spacing_mm[1:]) - 1.0)
    if softness > 0.15:
        both = torch.stack([blur(part, (0.0, softness, softness)) for part in both])
        both = both / both.std()
    return torch.sqrt((real + how.noise * both[0]) ** 2 + (how.noise * both[1]) ** 2)


def _make_pass_band(frequency: torch.Tensor, fraction: float, ringing: float) -> torch.Tensor:
    """Return 1 for frequencies (cycles per pixel) that are sampled: those up to a fraction of the highest."""
    relative = frequency.abs() / (0.5 * min(fraction, 1.0))
    sharp = (relative <= 1.0).float()
    faded = sharp * torch.cos(0.5 * math.pi * relative.clamp(max=1.0)) ** 2
    return ringing * sharp + (1.0 - ringing) * (0.25 * sharp + 0.75 * faded)


def average_slices(volume: torch.Tensor, slices: int) -> torch.Tensor:
    """Return thick slices: means of ``slices`` neighbours along the third axis from the end, ``(..., D, H, W)``."""
    if slices == 1:
        return volume
    depth = volume.shape[-3] // slices
    stacked = volume[..., : depth * slices, :, :].unflatten(-3, (depth, slices))
    return stacked.mean(dim=-3)
