"""A leg in the scan: its bones, its joints, and the regions that the joint models see. Data only."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from KneeSegLib.anatomy import Side
from KneeSegLib.ct.joints import FoundJoint
from KneeSegLib.ct.settings import FADE_MM
from KneeSegLib.geometry.grid import Box, Grid


@dataclass(frozen=True)
class FoundBone:
    """A bone of a leg: its box (cut by the scan where the bone is), and how much of it was seen how surely (0..1)."""

    name: str
    box: Box
    volume_cm3: float
    confidence: float


@dataclass(frozen=True)
class JointRoi:
    """The region of a leg that one joint's model predicts, as heights in mm; a border that fades is a seam."""

    joint: str
    low_mm: float
    high_mm: float
    fades_below: bool = False
    fades_above: bool = False

    @property
    def reach_mm(self) -> tuple[float, float]:
        """The heights between which the model has any weight."""
        half = FADE_MM / 2.0
        return self.low_mm - half * self.fades_below, self.high_mm + half * self.fades_above

    @property
    def length_mm(self) -> float:
        """The length of leg to go through."""
        low, high = self.reach_mm
        return high - low

    def weights(self, z_mm: np.ndarray) -> np.ndarray:
        """Weight 0..1 of the model at some heights. Those of all regions of a leg add up to one between its ends."""
        low, high = self.reach_mm
        weights = ((z_mm >= low) & (z_mm <= high)).astype(np.float32)
        if self.fades_below:
            weights *= np.clip((z_mm - low) / FADE_MM, 0.0, 1.0)
        if self.fades_above:
            weights *= np.clip((high - z_mm) / FADE_MM, 0.0, 1.0)
        return weights


@dataclass(frozen=True)
class Leg:
    """One leg in the scan.

    Attributes:
        side_confidence: 0..1, 1 where everything agrees about the side.
        regions: coarse masks per bone, ``(D, H, W)`` on ``grid``.
        uncertainties: sentences about the side.
        rois: of the joints that were asked for, from the top down.
    """

    side: Side
    side_confidence: float
    bones: dict[str, FoundBone]
    joints: dict[str, FoundJoint]
    regions: dict[str, np.ndarray]
    grid: Grid
    uncertainties: tuple[str, ...]
    rois: tuple[JointRoi, ...] = ()

    @property
    def length_mm(self) -> float:
        """The length of leg to go through."""
        return sum(roi.length_mm for roi in self.rois)
