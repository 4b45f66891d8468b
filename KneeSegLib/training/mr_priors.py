"""Probabilities of a knee's structures with the errors of slice networks: what patches learn to correct."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch.nn import functional

from KneeSegLib.training.settings import MISLABELLED_EDGE, MISLABELLED_FRACTIONS, MISLABELLED_PIECES, SLICE_BLUR_SIGMA
from KneeSegLib.training.synthesis.fields import blur, chance, smoothstep, uniform
from KneeSegLib.training.synthesis.mr.noise import draw_stretched_noise

Bounds = tuple[float, float]


@dataclass(frozen=True)
class KneePriorErrors:
    """Bounds that the errors of one box are drawn from; probabilities say how often one takes part.

    Attributes:
        wave_mm, wavelength_mm: standard deviation and extent of smooth displacements of all edges.
        softness_mm: standard deviation of the blur of edges.
        gain: standard deviation of the logarithm of the factor by which cartilage and menisci, each by itself, are
            too probable or too improbable, over ``gain_mm``.
        component_mm: extent of mislabelled pieces; most boxes have some (``component_probability``).
        certainty: the highest probability, well inside.
    """

    wave_mm: Bounds = (0.05, 0.7)
    wavelength_mm: Bounds = (3.0, 12.0)
    softness_mm: Bounds = (0.2, 0.6)
    gain: Bounds = (0.0, 0.8)
    gain_mm: Bounds = (4.0, 20.0)
    component_mm: Bounds = (3.0, 10.0)
    component_probability: float = 0.6
    certainty: Bounds = (0.9, 1.0)


def simulate_probabilities(
    fractions: torch.Tensor, spacing_mm: float, apart_mm: float, errors: KneePriorErrors, generator: torch.Generator
) -> torch.Tensor:
    """Return probabilities ``(C, D, H, W)``, background first, that are nearly the fractions of the same shape.

    Args:
        spacing_mm: isotropic.
        apart_mm: distance of the slices, along the first axis, that the probabilities are inferred from.
    """
    shape = tuple(fractions.shape[1:])
    spacing = (spacing_mm,) * 3
    wavelength = uniform(errors.wavelength_mm, generator)
    amplitude = uniform(errors.wave_mm, generator)
    waves = torch.stack([amplitude * draw_stretched_noise(shape, spacing, wavelength, generator) for _ in range(3)])
    probabilities = displace(fractions, waves / spacing_mm)
    softness = uniform(errors.softness_mm, generator) / spacing_mm
    across = max(softness, SLICE_BLUR_SIGMA * apart_mm / spacing_mm)
    probabilities = torch.stack([blur(channel, (across, softness, softness)) for channel in probabilities])
    thin = range(len(probabilities) // 2 + 1, len(probabilities))  # cartilages and menisci come after the bones
    for index in thin:
        gain = uniform(errors.gain, generator)
        noise = draw_stretched_noise(shape, spacing, uniform(errors.gain_mm, generator), generator)
        probabilities[index] *= torch.exp(gain * noise)
    if chance(errors.component_probability, generator):
        probabilities = mislabel(probabilities, spacing_mm, errors, generator)
    probabilities = probabilities / probabilities.sum(dim=0).clamp(min=1e-6)
    certainty = uniform(errors.certainty, generator)
    return certainty * probabilities + (1.0 - certainty) / len(probabilities)


def displace(fields: torch.Tensor, offset_voxels: torch.Tensor) -> torch.Tensor:
    """Return fields ``(C, D, H, W)`` read at places moved by ``(3, D, H, W)`` voxels along each axis."""
    size = torch.tensor(fields.shape[1:], dtype=torch.float32)
    axes = [torch.arange(n, dtype=torch.float32) for n in fields.shape[1:]]
    places = torch.stack(torch.meshgrid(*axes, indexing="ij")) + offset_voxels
    relative = (2.0 * places + 1.0) / size[:, None, None, None] - 1.0
    grid = relative.movedim(0, -1).flip(-1)
    return functional.grid_sample(fields[None], grid[None], padding_mode="border", align_corners=False)[0]


def mislabel(
    probabilities: torch.Tensor, spacing_mm: float, errors: KneePriorErrors, generator: torch.Generator
) -> torch.Tensor:
    """Return probabilities ``(C, D, H, W)`` in which pieces of a class are taken for another one of those in view."""
    shape = tuple(probabilities.shape[1:])
    there = torch.nonzero(probabilities.amax(dim=(1, 2, 3)) > 0.5)[:, 0]
    probabilities = probabilities.clone()
    for _ in range(MISLABELLED_PIECES):
        from_class, to_class = (int(there[torch.randint(len(there), (), generator=generator)]) for _ in range(2))
        noise = draw_stretched_noise(shape, (spacing_mm,) * 3, uniform(errors.component_mm, generator), generator)
        moved = probabilities[from_class] * smoothstep(noise, *MISLABELLED_EDGE)
        moved = moved * uniform(MISLABELLED_FRACTIONS, generator)
        probabilities[from_class] -= moved
        probabilities[to_class] += moved
    return probabilities
