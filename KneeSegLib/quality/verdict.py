"""What the signs of a bone mean for the one who has to rely on it: a level, and a sentence for every reason."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from KneeSegLib.anatomy import LONG_BONES, Structure
from KneeSegLib.quality.borders import LENGTHWISE
from KneeSegLib.quality.signs import Signs
from KneeSegLib.quality.sizes import size_doubt
from KneeSegLib.quality.thresholds import SHIPPED, Thresholds

Level = Literal["good", "limited", "check"]

LEVEL_NAMES: dict[Level, str] = {"good": "Good", "limited": "Limited by the scan", "check": "Check"}
"""As a person reads them."""

ENDS_LENGTHWISE = (*LONG_BONES, "hip_bone")
"""Bones that a scan of one joint shows in part: ending at its upper or lower border is nothing to worry about."""


@dataclass(frozen=True)
class Verdict:
    """How far a structure can be relied on.

    Attributes:
        level: ``"check"``: there are signs that the result is wrong. ``"limited"``: there are none, but the scan does
            not show all of the bone, or not finely. ``"good"``: neither.
        reasons: sentences, why it is to be checked.
        limits: sentences, what the scan does not show.
        notes: sentences that are worth knowing and no reason to worry.
        signs: what was measured.
    """

    level: Level
    reasons: tuple[str, ...]
    limits: tuple[str, ...]
    notes: tuple[str, ...]
    signs: Signs

    @property
    def name(self) -> str:
        """The level as a person reads it."""
        return LEVEL_NAMES[self.level]

    @property
    def sentences(self) -> tuple[str, ...]:
        """Reasons and limits, the graver ones first."""
        return self.reasons + self.limits


def verdict_on(structure: Structure, signs: Signs, thresholds: Thresholds = SHIPPED) -> Verdict:
    """Judge the signs of a structure; a sign that is NaN speaks neither for nor against it."""
    reasons = tuple(_reasons(structure.tissue.key, signs, thresholds))
    limits, notes = _of_the_scan(structure.tissue.key, signs, thresholds)
    level: Level = "check" if reasons else "limited" if limits else "good"
    return Verdict(level, reasons, limits, notes, signs)


def warning_of(structure: Structure, verdict: Verdict) -> str | None:
    """Return the sentences for the case's warnings; None for a structure that need not be checked."""
    if verdict.level != "check":
        return None
    return f"Check the {structure.name[0].lower()}{structure.name[1:]}. {' '.join(verdict.reasons)}"


def _reasons(bone: str, signs: Signs, limit: Thresholds) -> Iterator[str]:
    if signs.side_certainty < limit.side_certainty:
        yield "Whether it is a right or a left one was a close decision."
    if signs.localiser_certainty == 0.0:
        yield "The first look at the whole scan did not see this bone."
    elif signs.localiser_agreement < limit.localiser_agreement:
        yield f"It agrees by only {signs.localiser_agreement:.0%} with where the first look at the whole scan saw it."
    if signs.disputed_share > limit.disputed_share:
        yield f"The networks disagree on whether {signs.disputed_share:.0%} of it are this bone."
    if signs.refined_mm > limit.refined_mm:
        yield f"The second look at its edge moved it by {signs.refined_mm:.1f} mm on average."
    if signs.contact_share > limit.contact_share:
        yield f"Over {signs.contact_share:.0%} of its surface it runs into another bone; the border may be wrong."
    if signs.cleaned_share > limit.cleaned_share:
        yield f"Pieces that make up {signs.cleaned_share:.0%} of it were removed or renamed."
    if signs.pieces > 1:
        yield f"It came out in {signs.pieces} pieces: what joins them is broken, hidden by metal or out of view."
    whole = signs.whole and not _goes_on_unseen(signs, limit)
    if (doubt := size_doubt(bone, signs.volume_cm3, max(signs.extent_mm), whole)) is not None:
        yield doubt
    if signs.metal_cm3 > limit.metal_cm3:
        yield f"There are {signs.metal_cm3:.1f} cm3 of metal in it or beside it; streaks may have moved its edges."
    if signs.jump_mm > limit.jump_mm:
        yield f"Its outline jumps by {signs.jump_mm:.1f} mm: the patient moved, or slices are missing."
    if signs.sway_mm > limit.sway_mm:
        yield "Its outline sways from slice to slice: the patient moved, or the image is too noisy."
    if signs.soft_tissue_hu < limit.soft_tissue_low_hu or signs.soft_tissue_hu > limit.soft_tissue_high_hu:
        yield f"Soft tissue around it has {signs.soft_tissue_hu:.0f} HU: the scan's values are shifted."
    if signs.blank_share > limit.blank_share:
        yield f"Over {signs.blank_share:.0%} of its surface the image ends: a part of the scan is blank."
    if signs.air_share > limit.air_share:
        yield f"Over {signs.air_share:.0%} of its surface it borders on air, as no bone does."
    if signs.edgeless_share > limit.edgeless_share:
        yield f"Over {signs.edgeless_share:.0%} of its surface the image shows no edge of bone."
    if bone in LONG_BONES and signs.going_on_share > limit.going_on_share:
        yield "It ends within the scan where the image shows that bone goes on: a part of it is missing."
    if signs.noise_hu > limit.noise_hu:
        yield f"The image is very noisy there: {signs.noise_hu:.0f} HU, and the bone stands out by {signs.edge_hu:.0f}."
    if signs.shape_residual_mm > limit.shape_residual_mm:
        yield (
            f"The shape that fits it best lies {signs.shape_residual_mm:.1f} mm from its surface on average: "
            "it may not be the whole bone, or not this bone alone."
        )
    if signs.shape_lost:
        yield "No shape could be fitted to it."
    if signs.doubtful_band_mm > limit.doubtful_band_mm:
        yield f"The network is unsure of its edge, over a band of {signs.doubtful_band_mm:.1f} mm."


def _goes_on_unseen(signs: Signs, limit: Thresholds) -> bool:
    """Whether the image ends before the bone does."""
    return signs.air_share + signs.blank_share > limit.unseen_share


def _of_the_scan(bone: str, signs: Signs, limit: Thresholds) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What the scan does not show: limits, and what is no more than a note."""
    limits, notes = [], []
    if signs.slice_mm > limit.slice_mm:
        limits.append(f"The slices lie {signs.slice_mm:.1f} mm apart: what is finer is lost.")
    if signs.ceiling_hu < limit.ceiling_hu:
        limits.append(f"The scan's values end at {signs.ceiling_hu:.0f} HU, below those of bone: cortex is lost.")
    flagged = signs.air_share > limit.air_share or signs.blank_share > limit.blank_share
    if _goes_on_unseen(signs, limit) and not flagged and not signs.border_mm2:
        sentence = f"Over {signs.air_share + signs.blank_share:.0%} of its surface it ends where the image does"
        if bone in ENDS_LENGTHWISE:
            notes.append(f"{sentence}.")
        else:
            limits.append(f"{sentence}: the rest of it is missing.")
    for border, area_mm2 in signs.border_mm2.items():
        if border in LENGTHWISE and bone in ENDS_LENGTHWISE:
            notes.append(f"It goes on beyond the {border} border of the scan.")
        elif area_mm2 > limit.border_mm2:
            limits.append(f"It is cut by the {border} border of the scan: the rest of it is missing.")
    return tuple(limits), tuple(notes)
