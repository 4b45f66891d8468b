"""What is measured of one labelled structure without knowing the truth; ``assessment`` says what the numbers mean."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import nan


@dataclass(frozen=True)
class QualityFeatures:
    """The features of one structure; NaN where one could not be measured. ``case.json`` holds them by these names.

    Attributes:
        volume_cm3: of the part in view.
        extent_mm: of its box along z, y and x.
        whole: it touches no border, neither of the scan nor of the stretch of leg that was segmented.
        border_mm2: area in which it touches each border of the scan, by the border's name; only those that it touches.
        slice_mm: distance of the scan's slices: across the leg in CT, from one side of a knee to the other in MR.
        uncertain_band_mm: thickness of the layer along its surface in which no class clearly leads.
        uncertain_contact_mm2: area in which it touches another bone of the knee and its label does not clearly lead.
        disputed_fraction: fraction of its probability that slices and fusion give to other bones.
        refined_mm: how far the refinement moved its surface, on average; NaN where there was none.
        localiser_agreement: Dice of its labels and the localiser's coarse region, with one coarse voxel of tolerance.
        localiser_certainty: mean probability that the localiser gives its region; 0 where it saw none.
        side_certainty: how clearly the leg is a right or a left one, 0..1.
        cleaned_fraction: volume that cleaning removed or relabelled, as a fraction of the bone's.
        components: of how many connected components (by faces of voxels) it consists.
        contact_fraction: fraction of its surface that lies against another bone with nothing in between.
        edge_hu: median step of the image across its surface, from outside in.
        edgeless_fraction: fraction of its surface at which the image has no such step.
        air_fraction: fraction of its surface that lies at air.
        blank_fraction: fraction of its surface beyond which the image is exactly constant.
        continuing_fraction: fraction of the dense bone at an end of it that goes on beyond without a label.
        unlabelled_cm3: the largest component of bone in a bay or cavity of it that has no label.
        noise_hu: standard deviation of the noise around it.
        soft_tissue_hu: median of what is neither bone nor air around it.
        ceiling_hu: the value at which its own values were cut off; NaN where they were not.
        jump_mm: largest sideways jump of its outline within 3 mm along the leg.
        sway_mm: median step of its outline from slice to slice, per mm along the leg.
        metal_cm3: metal within 5 mm of it.
        shape_residual_mm: mean distance of a fitted shape's points from its surface.
        shape_lost: a shape was to be fitted and lies out of view.
    """

    volume_cm3: float
    extent_mm: tuple[float, float, float]
    whole: bool = False
    border_mm2: Mapping[str, float] = field(default_factory=dict)
    slice_mm: float = nan
    uncertain_band_mm: float = nan
    uncertain_contact_mm2: float = nan
    disputed_fraction: float = nan
    refined_mm: float = nan
    localiser_agreement: float = nan
    localiser_certainty: float = nan
    side_certainty: float = nan
    cleaned_fraction: float = nan
    components: int = 1
    contact_fraction: float = nan
    edge_hu: float = nan
    edgeless_fraction: float = nan
    air_fraction: float = nan
    blank_fraction: float = nan
    continuing_fraction: float = nan
    unlabelled_cm3: float = nan
    noise_hu: float = nan
    soft_tissue_hu: float = nan
    ceiling_hu: float = nan
    jump_mm: float = nan
    sway_mm: float = nan
    metal_cm3: float = 0.0
    shape_residual_mm: float = nan
    shape_lost: bool = False
