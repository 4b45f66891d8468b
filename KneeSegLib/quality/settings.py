"""From which value on a sign is a reason to look. All of the result's numbers stand here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True)
class QualityLimits:
    """Chosen on degraded scans of validation subjects with ``Testing/benchmarks/flags.py``.

    Units are those of :class:`~KneeSegLib.quality.features.QualityFeatures`.

    Attributes:
        uncertain_band_mm: good results stay below 0.8 mm, whatever the size of the bone.
        disputed_fraction: fusion is there to settle disputes; where it had to settle so many, it may be wrong too.
        refined_mm: half a millimetre is the edge that both see; more is another opinion about the bone.
        localiser_agreement: less is no agreement about where the bone is; the localiser sees thin bones faintly.
        side_certainty: less is a toss-up. Scans of one end of a bone are near it.
        cleaned_fraction: cleaning removes crumbs; this much is no crumb.
        contact_fraction: bones of a worn joint touch over up to a sixth of their surface at the resolution of CT.
        edgeless_fraction: subchondral bone and thin cortices have weak edges over a tenth of the surface and more.
        air_fraction, blank_fraction: no bone borders on either.
        unseen_fraction: of both together; a bone with more goes on where the scan shows nothing: a cone beam's field of
            view is no box.
        continuing_fraction: long bones that end where they should stay below 0.4, in loud noise below 0.6.
        noise_hu: no protocol for bones is as noisy; faint edges drown in less.
        soft_tissue_low_hu, soft_tissue_high_hu: beyond these, values are no Hounsfield units, or shifted ones.
        ceiling_hu: scanners that cut off early do so at 1000 HU and above; a soft-tissue window ends below.
        jump_mm: across 3 mm along the leg; whole bones stay below 0.9 mm.
        sway_mm: per mm along the leg; bones lean by up to 0.2.
        metal_cm3: a screw thread; less is calcium or noise.
        slice_mm: thicker slices are named as a limit of the image.
        shape_residual_mm: a shape of the model comes nearer than this to bones that are labelled well.
        border_mm2: smaller contact with the scan's border is a grazing one.
    """

    uncertain_band_mm: float = 1.0
    disputed_fraction: float = 0.55
    refined_mm: float = 0.5
    localiser_agreement: float = 0.6
    side_certainty: float = 0.25
    cleaned_fraction: float = 0.25
    contact_fraction: float = 0.2
    edgeless_fraction: float = 0.25
    air_fraction: float = 0.08
    blank_fraction: float = 0.04
    unseen_fraction: float = 0.005
    continuing_fraction: float = 0.6
    noise_hu: float = 250.0
    soft_tissue_low_hu: float = -350.0
    soft_tissue_high_hu: float = 250.0
    ceiling_hu: float = 800.0
    jump_mm: float = 1.2
    sway_mm: float = 0.25
    metal_cm3: float = 0.05
    slice_mm: float = 1.5
    border_mm2: float = 10.0
    shape_residual_mm: float = 2.5


BONE_CT_LIMITS = QualityLimits()
"""Of bones in CT."""

KNEE_MR_LIMITS: Mapping[str, QualityLimits] = MappingProxyType(
    {
        "bone": QualityLimits(uncertain_band_mm=1.3, shape_residual_mm=1.2),
        "cartilage": QualityLimits(uncertain_band_mm=0.63),
        "meniscus": QualityLimits(uncertain_band_mm=1.15),
    }
)
"""In MR, by kind of tissue. Read off the six people of ``Testing/benchmarks/held_out_mr.py`` (``--sequence poor-dess``,
by earlier weights): shapes lay 0.2 to 0.6 mm from good bones; the doubtful band of cartilage with a Dice above 0.85 was
mostly below 0.62 mm, that of such menisci below 1.15 mm."""
