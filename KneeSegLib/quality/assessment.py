"""What the features of a structure mean for the reader who relies on it: a level, and a sentence for every reason."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from KneeSegLib.anatomy import LONG_BONES, Structure
from KneeSegLib.quality.borders import LENGTHWISE
from KneeSegLib.quality.features import QualityFeatures
from KneeSegLib.quality.settings import BONE_CT_LIMITS, QualityLimits
from KneeSegLib.quality.sizes import describe_implausible_size

Level = Literal["good", "limited", "check"]

LEVEL_NAMES: dict[Level, str] = {"good": "Good", "limited": "Limited by the scan", "check": "Check"}
"""As reports and panels show them."""

ENDS_LENGTHWISE = (*LONG_BONES, "hip_bone")
"""Bones that a scan of one joint shows in part: that they end at its upper or lower border is no more than a note."""


@dataclass(frozen=True)
class QualityResult:
    """How far a structure can be relied on.

    Attributes:
        level: ``"check"``: a feature lies beyond its limit, so the result may be wrong. ``"limited"``: none does, but
            the scan does not show all of the structure, or not finely. ``"good"``: neither.
        reasons: sentences, why it is to be checked.
        limits: sentences, what the scan does not show.
        notes: sentences that change nothing about the level.
        features: what was measured.
    """

    level: Level
    reasons: tuple[str, ...]
    limits: tuple[str, ...]
    notes: tuple[str, ...]
    features: QualityFeatures

    @property
    def name(self) -> str:
        """The level as reports and panels show it."""
        return LEVEL_NAMES[self.level]

    @property
    def goes_on_unseen(self) -> bool:
        """Whether the image ends before the structure does, within the scan's borders: a round field of view."""
        return _goes_on_unseen(self.features, BONE_CT_LIMITS)

    @property
    def sentences(self) -> tuple[str, ...]:
        """Reasons, then limits."""
        return self.reasons + self.limits


def assess_quality(
    structure: Structure, features: QualityFeatures, limits: QualityLimits = BONE_CT_LIMITS
) -> QualityResult:
    """Compare the features of a structure with limits; one that is NaN counts neither for nor against it."""
    reasons = tuple(_reasons(structure.tissue.key, features, limits))
    unseen, notes = _limits_of_scan(structure.tissue.key, features, limits)
    level: Level = "check" if reasons else "limited" if unseen else "good"
    return QualityResult(level, reasons, unseen, notes, features)


def describe_flag(structure: Structure, result: QualityResult) -> str | None:
    """Return the sentences for the case's warnings; None for a structure that need not be checked."""
    if result.level != "check":
        return None
    return f"Check the {structure.name[0].lower()}{structure.name[1:]}. {' '.join(result.reasons)}"


def _reasons(bone: str, features: QualityFeatures, limit: QualityLimits) -> Iterator[str]:
    if features.side_certainty < limit.side_certainty:
        yield "It is uncertain whether it is a right or a left one; the side can be chosen before the run."
    if features.localiser_certainty == 0.0:
        yield "The coarse pass over the whole scan did not find this bone."
    elif features.localiser_agreement < limit.localiser_agreement:
        yield (
            f"It overlaps by only {features.localiser_agreement:.0%} with where the coarse pass over the whole scan "
            "found it."
        )
    if features.disputed_fraction > limit.disputed_fraction:
        yield f"The networks disagree on whether {features.disputed_fraction:.0%} of it are this bone."
    if features.refined_mm > limit.refined_mm:
        yield f"The refinement moved its edge by {features.refined_mm:.1f} mm on average."
    if features.contact_fraction > limit.contact_fraction:
        yield f"Over {features.contact_fraction:.0%} of its surface it runs into another bone; the border may be wrong."
    elif features.uncertain_contact_mm2 > limit.uncertain_contact_mm2:
        yield (
            f"Over {features.uncertain_contact_mm2 / 100.0:.1f} cm2 it touches another bone of the knee, and the "
            "border between them is uncertain: the joint may be closed."
        )
    if features.cleaned_fraction > limit.cleaned_fraction:
        yield f"Components that make up {features.cleaned_fraction:.0%} of it were removed or relabelled."
    if features.components > 1:
        yield (
            f"It has {features.components} components: what joins them is broken, hidden by metal, unlabelled or out "
            "of view."
        )
    whole = features.whole and not _goes_on_unseen(features, limit)
    if (
        implausible := describe_implausible_size(bone, features.volume_cm3, max(features.extent_mm), whole)
    ) is not None:
        yield implausible
    if features.metal_cm3 > limit.metal_cm3:
        yield f"There are {features.metal_cm3:.1f} cm3 of metal in it or beside it; streaks may have moved its edges."
    if features.jump_mm > limit.jump_mm:
        yield f"Its outline jumps by {features.jump_mm:.1f} mm: the patient moved, or slices are missing."
    if features.sway_mm > limit.sway_mm:
        yield "Its outline sways from slice to slice: the patient moved, or the image is too noisy."
    if features.soft_tissue_hu < limit.soft_tissue_low_hu or features.soft_tissue_hu > limit.soft_tissue_high_hu:
        yield f"Soft tissue around it has {features.soft_tissue_hu:.0f} HU: the scan's values are shifted."
    if features.blank_fraction > limit.blank_fraction:
        yield f"Over {features.blank_fraction:.0%} of its surface the image ends: a part of the scan is blank."
    if features.air_fraction > limit.air_fraction:
        yield f"Over {features.air_fraction:.0%} of its surface it borders on air, as no bone does."
    if features.edgeless_fraction > limit.edgeless_fraction:
        yield f"Over {features.edgeless_fraction:.0%} of its surface the image shows no edge of bone."
    if bone in LONG_BONES and features.continuing_fraction > limit.continuing_fraction:
        yield "It ends within the scan where the image shows that bone goes on: a part of it is missing."
    if features.unlabelled_cm3 > limit.unlabelled_cm3:
        yield f"Within its outline {features.unlabelled_cm3:.1f} cm3 of bone have no label: a part of it is missing."
    if features.noise_hu > limit.noise_hu:
        yield (
            f"The image is very noisy there: {features.noise_hu:.0f} HU, "
            f"and the bone stands out by {features.edge_hu:.0f}."
        )
    if features.shape_residual_mm > limit.shape_residual_mm:
        yield (
            f"The shape that fits it best lies {features.shape_residual_mm:.1f} mm from its surface on average: "
            "it may not be the whole bone, or not this bone alone."
        )
    if features.shape_lost:
        yield "No shape could be fitted to it."
    if features.uncertain_band_mm > limit.uncertain_band_mm:
        yield f"The network is uncertain of its edge, over a band of {features.uncertain_band_mm:.1f} mm."


def _goes_on_unseen(features: QualityFeatures, limit: QualityLimits) -> bool:
    """Return whether the image ends before the bone does."""
    return features.air_fraction + features.blank_fraction > limit.unseen_fraction


def _limits_of_scan(
    bone: str, features: QualityFeatures, limit: QualityLimits
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return what the scan does not show: limits, and what is no more than a note."""
    limits, notes = [], []
    if features.slice_mm > limit.slice_mm:
        limits.append(f"The slices lie {features.slice_mm:.1f} mm apart: what is finer is lost.")
    if features.ceiling_hu < limit.ceiling_hu:
        limits.append(f"The scan's values end at {features.ceiling_hu:.0f} HU, below those of bone: cortex is lost.")
    flagged = features.air_fraction > limit.air_fraction or features.blank_fraction > limit.blank_fraction
    if _goes_on_unseen(features, limit) and not flagged and not features.border_mm2:
        sentence = (
            f"Over {features.air_fraction + features.blank_fraction:.0%} of its surface it ends where the image does"
        )
        if bone in ENDS_LENGTHWISE:
            notes.append(f"{sentence}.")
        else:
            limits.append(f"{sentence}: the rest of it is missing.")
    for border, area_mm2 in features.border_mm2.items():
        if border in LENGTHWISE and bone in ENDS_LENGTHWISE:
            notes.append(f"It goes on beyond the {border} border of the scan.")
        elif area_mm2 > limit.border_mm2:
            limits.append(f"It is cut by the {border} border of the scan: the rest of it is missing.")
    return tuple(limits), tuple(notes)
