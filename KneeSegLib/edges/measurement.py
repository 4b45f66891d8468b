"""What is said about the edge of a bone: data alone."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

EDGE_MEANINGS: Mapping[str, str] = MappingProxyType(
    {
        "half-maximum": "at the half-maximum, half-way between the cortex and what lies outside",
        "cortex": "where their cortex ends",
        "marrow": "where their bright marrow ends",
    }
)
"""Where bones end, by the convention's name, in words."""

MEASURED_EDGE = (
    "Half-maximum: how far it lies outside of the cortex's edge, as a median over the bone's surface, and the part of "
    "the surface on which the image does not tell it, so that bones end at the cortex there by either convention."
)


@dataclass(frozen=True)
class EdgeMeasurement:
    """How the two conventions of the edge differ on one bone.

    Attributes:
        median_mm: median distance from the cortex's edge to the half-maximum, + outward, over the surface on which both
            are told; NaN where that is nowhere.
        kept_fraction: of the surface on which the image does not tell the half-maximum, so that the cortex's edge is
            that of either convention.
    """

    median_mm: float
    kept_fraction: float

    @property
    def description(self) -> str:
        """Both in a few characters."""
        distance = "" if math.isnan(self.median_mm) else f"{self.median_mm:+.2f}, "
        return f"{distance}{self.kept_fraction:.0%} not told"
