"""Metal in a limb, and the streaks that it makes in its slices.

There are two kinds: a rod along the limb with streaks that are drawn, and implants of any direction whose streaks are
those of the rays that pass them (:mod:`.streaks`), which is slower.
"""

from __future__ import annotations

import math

import torch

from KneeSegLib.training.synthesis.fields import chance, uniform
from KneeSegLib.training.synthesis.settings import ALONG_THE_LIMB, BONE_HU, METAL_HU, WIDEST_BONE_MM
from KneeSegLib.training.synthesis.streaks import compute_hardening_streaks, draw_starvation_streaks


def add_metal(hu: torch.Tensor, spacing_mm: float, generator: torch.Generator, in_bone: float = 0.0) -> torch.Tensor:
    """Add a screw, nail or head of metal somewhere, with streaks that fan out from it within each slice.

    Args:
        in_bone: probability that it is a nail or screw through a bone, roughly along the limb.
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
    return torch.where(metal, torch.full_like(hu, uniform(METAL_HU, generator)), hu + streaks)


def add_implants(hu: torch.Tensor, spacing_mm: float, generator: torch.Generator) -> torch.Tensor:
    """Add a nail or screw of any direction through a bone, or two that cross, with the streaks that such metal makes.

    The first lies along the limb or anywhere; a second one leaves it at 25 to 90 degrees, as a neck screw leaves a
    nail. Images without bone stay as they are.
    """
    bone = torch.nonzero(hu > BONE_HU)
    if not len(bone):
        return hu
    centre = bone[int(torch.randint(len(bone), (), generator=generator))].float()
    around = (bone - centre).norm(dim=1) * spacing_mm < uniform((0.0, WIDEST_BONE_MM), generator)
    # The mean of what surrounds a place in the cortex lies in the canal, or in the middle of a head.
    centre = bone[around].float().mean(dim=0) if around.any() else centre
    steepness = uniform((0.0, 1.0) if chance(0.6, generator) else (ALONG_THE_LIMB, 1.0), generator)
    along = _make_direction(steepness, uniform((0.0, 2.0 * math.pi), generator))
    length = uniform((25.0, 250.0 if steepness > ALONG_THE_LIMB else 110.0), generator)
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
    return torch.where(metal, torch.full_like(hu, uniform(METAL_HU, generator)), (hu + streaks).clamp(min=-1024.0))


def _make_direction(steepness: float, around: float) -> torch.Tensor:
    """Return a unit vector (z, y, x): ``steepness`` is its z, ``around`` its angle across the limb in radians."""
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
    """Return a round rod, bool ``(D, H, W)``; ``centre`` in voxels and ``direction``, a unit vector, are (z, y, x)."""
    offsets = [(torch.arange(size) - middle) * spacing_mm for size, middle in zip(shape, centre.tolist())]
    z, y, x = offsets[0][:, None, None], offsets[1][None, :, None], offsets[2][None, None, :]
    along = z * direction[0] + y * direction[1] + x * direction[2]
    across = (z * z + y * y + x * x - along * along).clamp(min=0.0).sqrt()
    return (across < radius_mm) & (along.abs() < length_mm / 2)
