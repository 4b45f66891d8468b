"""Which registered cases a model is made of, and why others are left out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from KneeSegLib.training.shape_models.bone_image import BoneImage
from KneeSegLib.training.shape_models.registration import Registration, measure_coarse_overlap, register
from KneeSegLib.training.shape_models.settings import (
    LEAST_AFFINE_OVERLAP,
    LEAST_OVERLAP,
    MIRRORED_BETTER_BY,
    MOST_RESIDUAL_VOXELS,
)
from KneeSegLib.training.shape_models.unusable import UnusableCase


@dataclass(frozen=True)
class CaseReport:
    """What became of a case: figures of its registration, NaN where it did not come to one, and why it was left out."""

    case: str
    affine_overlap: float = np.nan
    overlap: float = np.nan
    residual_mm: float = np.nan
    reason: str = ""

    @property
    def used(self) -> bool:
        """Whether the case is part of the model."""
        return not self.reason


def register_case(
    reference: BoneImage, case: BoneImage | UnusableCase, points: np.ndarray
) -> tuple[CaseReport, np.ndarray | None]:
    """Register a case; return its report, and the reference's points (P, 3) on it, None where it came to none."""
    if isinstance(case, UnusableCase):
        return CaseReport(case.case, reason=case.reason), None
    if case is reference:
        return CaseReport(case.case, 1.0, 1.0, float(np.abs(case.distances_at(points)).mean())), points
    try:
        registration = register(reference, case)
    except RuntimeError:  # ITK's, where two images lost sight of each other
        return CaseReport(case.case, reason="could not be registered"), None
    warped = registration.warp(points)
    residual_mm = float(np.abs(case.distances_at(warped)).mean())
    reason = _find_reason_against(reference, case, registration, residual_mm)
    return CaseReport(case.case, registration.affine_overlap, registration.overlap, residual_mm, reason), warped


def _find_reason_against(reference: BoneImage, case: BoneImage, registration: Registration, residual_mm: float) -> str:
    """Why a registered case cannot be used; empty if it can.

    Demons can deform nearly anything into anything: that a case is another bone or the other side shows only before.
    """
    mirrored_overlap = measure_coarse_overlap(reference, case.mirror())
    if mirrored_overlap > measure_coarse_overlap(reference, case) + MIRRORED_BETTER_BY:
        return "fits the others better when mirrored: its side may be labelled wrongly"
    if registration.affine_overlap < LEAST_AFFINE_OVERLAP:
        return f"is unlike the others (Dice {registration.affine_overlap:.2f} after affine registration)"
    if registration.folded > 0:
        return f"its registration folds in {registration.folded:.1%} of the voxels near the surface"
    if registration.overlap < LEAST_OVERLAP:
        return f"its registration did not succeed (Dice {registration.overlap:.2f})"
    if residual_mm > MOST_RESIDUAL_VOXELS * reference.spacing_mm:
        return f"its points lie {residual_mm:.1f} mm beside its surface"
    return ""
