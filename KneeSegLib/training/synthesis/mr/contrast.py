"""Contrast: how bright each tissue is, drawn near a known sequence or anywhere.

Levels are relative. Tissues with fat in them have two parts, water and fat, which a scanner treats differently: fat is
suppressed, or shifted along the read-out. The levels of ``dess_3t`` are computed from relaxation times: cartilage is
hardly brighter than marrow there, and darker against fluid than it was set by eye in ``dess``.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import torch

from KneeSegLib.training.synthesis.fields import chance, uniform
from KneeSegLib.training.synthesis.mr.steady_state import compute_dess_levels

Bounds = tuple[float, float]


@dataclass(frozen=True)
class Contrast:
    """Signal per tissue: ``fat`` of pure fat, ``marrow`` of what is water in marrow, the others of the whole tissue."""

    fat: float
    marrow: float
    muscle: float
    tendon: float
    cortex: float
    cartilage: float
    meniscus: float
    fluid: float
    artery: float
    vein: float
    nerve: float
    skin: float


PRESETS_BY_EYE: dict[str, Contrast] = {
    "dess": Contrast(0.14, 0.28, 0.40, 0.12, 0.04, 0.62, 0.18, 1.00, 0.45, 0.75, 0.42, 0.35),
    "pd_fat_suppressed": Contrast(0.10, 0.20, 0.36, 0.07, 0.03, 0.62, 0.10, 1.00, 0.20, 0.55, 0.45, 0.30),
    "pd": Contrast(1.00, 0.45, 0.36, 0.07, 0.03, 0.50, 0.10, 0.75, 0.12, 0.35, 0.42, 0.35),
    "t1": Contrast(1.00, 0.40, 0.38, 0.09, 0.03, 0.46, 0.13, 0.28, 0.12, 0.30, 0.36, 0.35),
    "t2": Contrast(0.75, 0.25, 0.16, 0.05, 0.03, 0.30, 0.06, 1.00, 0.08, 0.40, 0.30, 0.22),
    "low_field": Contrast(0.95, 0.50, 0.44, 0.12, 0.05, 0.60, 0.20, 0.65, 0.30, 0.50, 0.42, 0.40),
}
"""Levels that are rounded from how such images look."""

PRESETS: dict[str, Contrast] = {**PRESETS_BY_EYE, "dess_3t": Contrast(**compute_dess_levels())}

FREE_BOUNDS: dict[str, Bounds] = {
    "fat": (0.05, 1.1),
    "marrow": (0.15, 0.7),
    "muscle": (0.12, 0.65),
    "tendon": (0.03, 0.25),
    "cortex": (0.01, 0.12),
    "cartilage": (0.2, 1.0),
    "meniscus": (0.04, 0.3),
    "fluid": (0.15, 1.2),
    "artery": (0.03, 0.9),
    "vein": (0.1, 0.9),
    "nerve": (0.2, 0.6),
    "skin": (0.1, 0.7),
}


@dataclass(frozen=True)
class ContrastDraw:
    """Which contrasts are drawn.

    Attributes:
        presets: names in :data:`PRESETS` to draw near.
        spread: standard deviation of the logarithm of each level around the preset's.
        anything_probability: share of images whose every level is drawn from :data:`FREE_BOUNDS` instead.
    """

    presets: tuple[str, ...] = tuple(PRESETS_BY_EYE)
    spread: float = 0.18
    anything_probability: float = 0.3


def draw_contrast(draw: ContrastDraw, generator: torch.Generator) -> Contrast:
    """A contrast near a preset, or anywhere."""
    if chance(draw.anything_probability, generator):
        return Contrast(**{name: uniform(bounds, generator) for name, bounds in FREE_BOUNDS.items()})
    preset = PRESETS[draw.presets[int(torch.randint(len(draw.presets), (), generator=generator))]]
    factors = torch.exp(draw.spread * torch.randn(len(fields(preset)), generator=generator)).tolist()
    return replace(preset, **{f.name: getattr(preset, f.name) * factor for f, factor in zip(fields(preset), factors)})
