"""Probabilities of a bone with the errors of slice networks: what the refinement learns to correct.

Slice networks see 0.7 mm voxels, so their edges are soft; they are displaced by some tenths of a millimetre, all around
a bone or over some millimetres of it, and by a little from slice to slice. Now and then a piece is missing, or
something else is taken for bone, or a part of the neighbouring bone is given the wrong label.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from KneeSegLib.geometry.grid import Axis, Box, Grid
from KneeSegLib.geometry.resample import resample_to
from KneeSegLib.training.settings import (
    COMPONENT_EDGE,
    COMPONENT_PROBABILITIES,
    LEAK_EDGE,
    LEAK_PROBABILITIES,
    LEAK_SCALE_MM,
)
from KneeSegLib.training.synthesis.fields import chance, compute_occupancy, draw_smooth_noise, smoothstep, uniform

Bounds = tuple[float, float]


@dataclass(frozen=True)
class PriorErrors:
    """Bounds that the errors of one patch are drawn from; probabilities say how often one takes part.

    Attributes:
        offset_mm: how far the whole surface lies too far out (negative: too far in).
        wave_mm, wavelength_mm: standard deviation and extent of smooth displacements. Those beyond ``greatest_wave_mm``
            are cut off.
        slice_jitter_mm: standard deviation of displacements of single slices.
        softness_mm: distance from the surface at which the probability is 0.73 instead of 1/2.
        certainty: the highest probability, well inside.
        component_mm: extent of missing and of extra pieces.
        spacing_mm: the grid of slice networks.
    """

    offset_mm: Bounds = (-0.6, 0.6)
    wave_mm: Bounds = (0.05, 0.6)
    wavelength_mm: Bounds = (4.0, 15.0)
    greatest_wave_mm: float = 1.5
    slice_jitter_mm: Bounds = (0.0, 0.15)
    softness_mm: Bounds = (0.12, 0.5)
    certainty: Bounds = (0.9, 1.0)
    component_mm: Bounds = (4.0, 10.0)
    missing_probability: float = 0.2
    extra_probability: float = 0.2
    leak_probability: float = 0.25
    spacing_mm: float = 0.7


def simulate_prior(
    distance_mm: torch.Tensor,
    foreign_mm: torch.Tensor,
    spacing_mm: float,
    slices_apart_mm: float,
    errors: PriorErrors,
    generator: torch.Generator,
) -> torch.Tensor:
    """Return a probability ``(D, H, W)`` of a bone that is nearly right.

    Args:
        distance_mm: ``(D, H, W)`` signed distance to the bone's surface, negative inside.
        foreign_mm: the same to the nearest other bone.
        spacing_mm: isotropic spacing of both.
        slices_apart_mm: of the scan; slice networks take slices as they are where these are further apart than
            their own grid.
    """
    slices, rows, columns = shape = tuple(distance_mm.shape)
    wavelength = uniform(errors.wavelength_mm, generator)
    waves = uniform(errors.wave_mm, generator) * draw_smooth_noise(shape, spacing_mm, wavelength, generator)
    limit = errors.greatest_wave_mm
    displaced = distance_mm - uniform(errors.offset_mm, generator) - waves.clamp(-limit, limit)

    fine = Grid.of_scan((slices, rows, columns), (spacing_mm, spacing_mm, spacing_mm))
    coarse = _make_slice_grid(fine, (max(errors.spacing_mm, slices_apart_mm), errors.spacing_mm, errors.spacing_mm))
    displaced = resample_to(displaced, fine, coarse)
    jitter = uniform(errors.slice_jitter_mm, generator) * torch.randn(coarse.z.count, 1, 1, generator=generator)
    prior = torch.sigmoid(-(displaced + jitter) / uniform(errors.softness_mm, generator))
    prior = resample_to(prior, coarse, fine)

    if chance(errors.leak_probability, generator):
        noise = draw_smooth_noise(shape, spacing_mm, LEAK_SCALE_MM, generator)
        leak = smoothstep(noise, *LEAK_EDGE) * uniform(LEAK_PROBABILITIES, generator)
        prior = torch.maximum(prior, leak * compute_occupancy(foreign_mm, errors.spacing_mm))
    if chance(errors.missing_probability, generator):
        prior = prior * (1.0 - _draw_components(shape, spacing_mm, errors, generator))
    if chance(errors.extra_probability, generator):
        prior = torch.maximum(prior, _draw_components(shape, spacing_mm, errors, generator))
    return prior * uniform(errors.certainty, generator)


def _make_slice_grid(fine: Grid, spacing_mm: Sequence[float]) -> Grid:
    """The grid of a slice network that covers ``fine``."""
    return Grid(*(Axis.covering(low, high, step) for (low, high), step in zip(Box.of_grid(fine), spacing_mm)))


def _draw_components(
    shape: tuple[int, ...], spacing_mm: float, errors: PriorErrors, generator: torch.Generator
) -> torch.Tensor:
    """Soft blobs of 0..1 that fill some hundredths of a patch."""
    noise = draw_smooth_noise(shape, spacing_mm, uniform(errors.component_mm, generator), generator)
    return smoothstep(noise, *COMPONENT_EDGE) * uniform(COMPONENT_PROBABILITIES, generator)
