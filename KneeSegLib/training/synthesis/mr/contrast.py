"""Contrast: the signal of each tissue, drawn near a known sequence or within wide bounds.

Levels are relative. Tissues with fat in them have two parts, water and fat, which a scanner treats differently: fat is
suppressed, or shifted along the read-out, or cancels with water. The levels of ``dess_3t`` and ``balanced_low_field``
are computed from relaxation times: in the first cartilage is hardly brighter than marrow, and darker against fluid
than in ``dess``, which was chosen by eye.
"""

from __future__ import annotations

from dataclasses import fields, replace

import torch

from KneeSegLib.training.synthesis.fields import chance, uniform
from KneeSegLib.training.synthesis.mr.settings import FREE_BOUNDS, PRESETS_BY_EYE, Contrast, ContrastDraw
from KneeSegLib.training.synthesis.mr.steady_state import compute_balanced_levels, compute_dess_levels

PRESETS: dict[str, Contrast] = {
    **PRESETS_BY_EYE,
    "dess_3t": Contrast(**compute_dess_levels()),
    "balanced_low_field": Contrast(**compute_balanced_levels()),
}


def draw_contrast(draw: ContrastDraw, generator: torch.Generator) -> Contrast:
    """Draw a contrast near a preset, or one within :data:`~.settings.FREE_BOUNDS`."""
    if chance(draw.anything_probability, generator):
        return Contrast(**{name: uniform(bounds, generator) for name, bounds in FREE_BOUNDS.items()})
    preset = PRESETS[draw.presets[int(torch.randint(len(draw.presets), (), generator=generator))]]
    factors = torch.exp(draw.spread * torch.randn(len(fields(preset)), generator=generator)).tolist()
    return replace(preset, **{f.name: getattr(preset, f.name) * factor for f, factor in zip(fields(preset), factors)})
