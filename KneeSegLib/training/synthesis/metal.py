"""Metal in a limb, and what it does to the slices that it is in.

Twice: a rod along the limb with streaks that are drawn, and implants of any direction whose streaks follow from the
rays that pass them, which is slower.
"""

from __future__ import annotations

import math

import torch
from torch.nn import functional

from KneeSegLib.training.synthesis.fields import blur, chance, uniform

BONE_HU = 250.0
"""What is denser than this before the scanner's part is taken for bone."""

_METAL_HU = (2600.0, 6000.0)

_WIDEST_BONE_MM = 40.0
_ALONG_THE_LIMB = 0.9

_ANGLES = 48
_COARSE = 2
"""Streaks are worked out on every second pixel: they are smooth beside noise."""


def add_metal(hu: torch.Tensor, spacing_mm: float, generator: torch.Generator, in_bone: float = 0.0) -> torch.Tensor:
    """A screw, nail or head of metal somewhere, with streaks that fan out from it within each slice.

    Args:
        in_bone: how often it is a nail or screw through a bone, roughly along the limb.
    """
    depth, height, width = hu.shape
    centre_z = depth * uniform((-0.2, 1.2), generator)
    drift_y, drift_x = uniform((-1.0, 1.0), generator), uniform((-1.0, 1.0), generator)
    centre_y, centre_x = height * uniform((0.1, 0.9), generator), width * uniform((0.1, 0.9), generator)
    radius = uniform((1.5, 14.0), generator)
    length = uniform((10.0, 150.0), generator)
    if in_bone > 0.0 and chance(in_bone, generator):
        bone = torch.nonzero(hu > BONE_HU)
        if len(bone):
            centre_z, centre_y, centre_x = bone[int(torch.randint(len(bone), (), generator=generator))].tolist()
            drift_y, drift_x, radius, length = 0.3 * drift_y, 0.3 * drift_x, 0.5 * radius, 2.0 * length
    z = (torch.arange(depth)[:, None, None] - centre_z) * spacing_mm
    y = (torch.arange(height)[None, :, None] - centre_y) * spacing_mm + drift_y * z
    x = (torch.arange(width)[None, None, :] - centre_x) * spacing_mm + drift_x * z
    metal = ((y * y + x * x).sqrt() < radius) & (z.abs() < length / 2)
    reach = torch.exp(-((y * y + x * x).sqrt() - radius).clamp(min=0.0) / uniform((10.0, 45.0), generator))
    angle = torch.atan2(y, x)
    fan = sum(torch.cos(float(waves) * angle + uniform((0.0, 6.28), generator)) for waves in (2, 5, 9, 13))
    streaks = uniform((50.0, 450.0), generator) * reach * fan / 2.0 * (z.abs() < length / 2)
    return torch.where(metal, torch.full_like(hu, uniform(_METAL_HU, generator)), hu + streaks)


def add_implants(hu: torch.Tensor, spacing_mm: float, generator: torch.Generator) -> torch.Tensor:
    """A nail or screw of any direction through a bone, or two that cross, with the streaks that such metal makes.

    The first lies along the limb or anywhere; a second one leaves it at 25 to 90 degrees, as a neck screw leaves a
    nail. Images without bone stay as they are.
    """
    bone = torch.nonzero(hu > BONE_HU)
    if not len(bone):
        return hu
    centre = bone[int(torch.randint(len(bone), (), generator=generator))].float()
    around = (bone - centre).norm(dim=1) * spacing_mm < uniform((0.0, _WIDEST_BONE_MM), generator)
    # The mean of what surrounds a place in the cortex lies in the canal, or in the middle of a head.
    centre = bone[around].float().mean(dim=0) if around.any() else centre
    steepness = uniform((0.0, 1.0) if chance(0.6, generator) else (_ALONG_THE_LIMB, 1.0), generator)
    along = _make_direction(steepness, uniform((0.0, 2.0 * math.pi), generator))
    length = uniform((25.0, 250.0 if steepness > _ALONG_THE_LIMB else 110.0), generator)
    metal = draw_rod(hu.shape, spacing_mm, centre, along, uniform((1.5, 7.0), generator), length)
    if chance(0.4, generator):
        aside = torch.linalg.cross(
            along, _make_direction(uniform((-1.0, 1.0), generator), uniform((0.0, 6.28), generator))
        )
        angle = math.radians(uniform((25.0, 90.0), generator))
        crossing = math.cos(angle) * along + math.sin(angle) * aside / aside.norm().clamp(min=1e-6)
        there = centre + along * uniform((-20.0, 20.0), generator) / spacing_mm
        length = uniform((30.0, 110.0), generator)
        # It starts at the first one and leads away.
        metal |= draw_rod(
            hu.shape, spacing_mm, there + crossing * 0.4 * length / spacing_mm, crossing,
            uniform((1.5, 6.0), generator), length,
        )  # fmt: skip
    if not metal.any():
        return hu
    dark = compute_hardening_streaks(metal, spacing_mm)
    starved = draw_starvation_streaks(metal, spacing_mm, uniform((0.04, 0.12), generator), generator)
    streaks = uniform((50.0, 500.0), generator) * dark + uniform((0.0, 250.0), generator) * starved
    return torch.where(metal, torch.full_like(hu, uniform(_METAL_HU, generator)), (hu + streaks).clamp(min=-1024.0))


def _make_direction(steepness: float, around: float) -> torch.Tensor:
    """Unit vector (z, y, x): ``steepness`` is its share along the limb, ``around`` the angle across it in radians."""
    flat = math.sqrt(1.0 - steepness**2)
    return torch.tensor([steepness, flat * math.sin(around), flat * math.cos(around)])


def draw_rod(
    shape: torch.Size,
    spacing_mm: float,
    centre: torch.Tensor,
    direction: torch.Tensor,
    radius_mm: float,
    length_mm: float,
) -> torch.Tensor:
    """Bool ``(D, H, W)``: a round rod. ``centre`` in voxels and ``direction``, a unit vector, are (z, y, x)."""
    offsets = [(torch.arange(size) - middle) * spacing_mm for size, middle in zip(shape, centre.tolist())]
    z, y, x = offsets[0][:, None, None], offsets[1][None, :, None], offsets[2][None, None, :]
    along = z * direction[0] + y * direction[1] + x * direction[2]
    across = (z * z + y * y + x * x - along * along).clamp(min=0.0).sqrt()
    return (across < radius_mm) & (along.abs() < length_mm / 2)


def compute_hardening_streaks(metal: torch.Tensor, spacing_mm: float) -> torch.Tensor:
    """What beam hardening by metal adds to a slice: dark where rays pass much of it, bright beside that.

    A ray's measured attenuation falls short of the true one by a part that grows with the square of the metal in its
    way (Brooks and Di Chiro 1976); filtered backprojection spreads that part over the slice.

    Returns:
        ``(D, H, W)`` with a root mean square of 1 within 15 mm of metal.
    """
    path_mm = project_metal(metal[:, ::_COARSE, ::_COARSE]) * _COARSE * spacing_mm
    return _normalize_streaks(backproject(-(path_mm**2), metal.shape), metal, spacing_mm)


def draw_starvation_streaks(
    metal: torch.Tensor, spacing_mm: float, per_mm: float, generator: torch.Generator
) -> torch.Tensor:
    """Noise of the rays that hardly pass: it grows with the exponential of half of ``per_mm`` times metal in the way.

    Returns:
        ``(D, H, W)`` with a root mean square of 1 within 15 mm of metal.
    """
    path_mm = project_metal(metal[:, ::_COARSE, ::_COARSE]) * _COARSE * spacing_mm
    noise = torch.randn(path_mm.shape, generator=generator) * torch.expm1(0.5 * per_mm * path_mm.clamp(max=60.0))
    return _normalize_streaks(backproject(noise, metal.shape), metal, spacing_mm)


def project_metal(metal: torch.Tensor) -> torch.Tensor:
    """How much metal (bool ``(D, h, w)``) each ray of a slice meets: ``(angles, D, rays)``, in pixels."""
    depth, height, width = metal.shape
    rays = math.ceil(math.hypot(height, width)) + 2
    slices, rows, columns = torch.nonzero(metal).unbind(dim=1)
    result = torch.zeros(_ANGLES, depth * rays)
    for k in range(_ANGLES):
        lower, part = _find_ray(rows - (height - 1) / 2, columns - (width - 1) / 2, k, rays)
        result[k].index_add_(0, slices * rays + lower, 1.0 - part)
        result[k].index_add_(0, slices * rays + lower + 1, part)
    return result.view(_ANGLES, depth, rays)


def backproject(sinogram: torch.Tensor, shape: torch.Size) -> torch.Tensor:
    """Filtered backprojection of ``(angles, D, rays)`` on every :data:`_COARSE`-th pixel, spread to ``shape``."""
    rays = sinogram.shape[-1]
    frequency = torch.fft.rfftfreq(2 * rays)
    ramp = frequency * (1.0 + torch.cos(2.0 * math.pi * frequency))
    filtered = torch.fft.irfft(torch.fft.rfft(sinogram, 2 * rays) * ramp, 2 * rays)[..., :rays]
    depth, height, width = shape[0], -(-shape[1] // _COARSE), -(-shape[2] // _COARSE)
    y = torch.arange(height)[:, None] - (height - 1) / 2
    x = torch.arange(width)[None, :] - (width - 1) / 2
    image = torch.zeros(depth, height, width)
    for k in range(_ANGLES):
        lower, part = _find_ray(y, x, k, rays)
        image += torch.lerp(filtered[k][:, lower], filtered[k][:, lower + 1], part)
    image = functional.interpolate(image[None], size=tuple(shape[1:]), mode="bilinear", align_corners=False)[0]
    return image * (math.pi / _ANGLES)


def _find_ray(y: torch.Tensor, x: torch.Tensor, k: int, rays: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The ray of the k-th angle just below each place, which is given from the slice's middle; and the rest."""
    angle = math.pi * k / _ANGLES
    place = (x * math.cos(angle) + y * math.sin(angle) + (rays - 1) / 2).clamp(0.0, rays - 1.001)
    lower = place.floor()
    return lower.long(), place - lower


def _normalize_streaks(streaks: torch.Tensor, metal: torch.Tensor, spacing_mm: float) -> torch.Tensor:
    near = (blur(metal.float(), (0.0, *(6.0 / spacing_mm,) * 2)) > 0.01) & ~metal
    strength = streaks[near].square().mean().sqrt() if near.any() else streaks.new_ones(())
    return streaks / strength.clamp(min=1e-6)
