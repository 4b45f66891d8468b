"""All quality features of the bones of one leg, each measured in the bone's own box."""

from __future__ import annotations

from collections.abc import Mapping
from math import nan
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

from KneeSegLib.anatomy import BONES, Side, structure
from KneeSegLib.geometry.boxes import crop_box, find_border_faces, find_label_boxes, grow_box, uncrop_box
from KneeSegLib.geometry.masks import label_components
from KneeSegLib.inference.settings import MARGIN_SCALE
from KneeSegLib.quality.agreement import measure_region_agreement
from KneeSegLib.quality.bays import measure_unlabelled_bone_cm3
from KneeSegLib.quality.borders import measure_border_areas_mm2
from KneeSegLib.quality.changes import count_changed_voxels
from KneeSegLib.quality.edges import estimate_noise_hu, measure_edges
from KneeSegLib.quality.ends import measure_continuing_fraction
from KneeSegLib.quality.features import QualityFeatures
from KneeSegLib.quality.metal import find_metal, measure_metal_cm3
from KneeSegLib.quality.outlines import measure_outline_steps
from KneeSegLib.quality.settings import AROUND_VOXELS, MET_AT_THE_KNEE
from KneeSegLib.quality.sizes import measure_extent_mm
from KneeSegLib.quality.uncertainty import (
    measure_refinement_mm,
    measure_uncertain_band_mm,
    measure_uncertain_contact_mm2,
)
from KneeSegLib.quality.values import find_ceiling_hu, measure_soft_tissue_hu

if TYPE_CHECKING:
    from KneeSegLib.ct.leg import Leg
    from KneeSegLib.ct.refinement import Residual
    from KneeSegLib.geometry.grid import Grid
    from KneeSegLib.inference.labels import LegLabels
    from KneeSegLib.inference.scan import Scan


def measure_leg_features(
    labelled: LegLabels,
    before_cleaning: np.ndarray,
    disputed: Mapping[str, float],
    leg: Leg | None,
    scan: Scan,
    residuals: Mapping[str, Residual] = MappingProxyType({}),
) -> dict[str, QualityFeatures]:
    """Return the quality features of every bone that the labels of a leg hold, by the key of its structure.

    Args:
        labelled: the cleaned labels with their margins.
        before_cleaning: uint8, the labels as they were before, on the same crop.
        disputed: see :func:`KneeSegLib.quality.uncertainty.measure_disputed_fractions`.
        leg: what the localiser found; None where none was asked.
        scan: the whole scan, in HU.
        residuals: what a refinement added, by bone.
    """
    labels, spacing_mm = labelled.labels, scan.grid.spacing_mm
    crop, hu = scan.grid.part(labelled.place), scan.values[labelled.place]
    boxes = find_label_boxes(labels)
    changed = count_changed_voxels(before_cleaning, labels)
    metal = find_metal(hu, spacing_mm)
    voxel_cm3 = float(np.prod(spacing_mm)) / 1000.0
    found = {}
    for bone in BONES:
        value = structure(bone, labelled.side).label_value
        box = boxes.get(value)
        if box is None:
            continue
        around = grow_box(box, (AROUND_VOXELS,) * 3, labels.shape)
        bones, image = labels[around] != 0, hu[around]
        mask = labels[around] == value
        own = mask[crop_box(box, around)]
        volume_cm3 = float(np.count_nonzero(own)) * voxel_cm3
        borders = measure_border_areas_mm2(own, uncrop_box(box, labelled.place), scan.grid.shape, spacing_mm)
        edges = measure_edges(mask, bones & ~mask, image, spacing_mm)
        steps = measure_outline_steps(own, spacing_mm)
        soft_tissue_hu = measure_soft_tissue_hu(image, bones)
        margin = labelled.margins[bone]
        leads = margin.values * np.float32(1.0 / MARGIN_SCALE)
        seen = labels[margin.place]
        residual = residuals.get(bone)
        agreement, certainty = _compare_with_localiser(bone, mask, crop.part(around), leg)
        found[structure(bone, labelled.side).key] = QualityFeatures(
            volume_cm3=volume_cm3,
            extent_mm=measure_extent_mm(box, spacing_mm),
            whole=not borders and not any(find_border_faces(box, labels.shape)[0]),
            border_mm2=borders,
            slice_mm=spacing_mm[0],
            uncertain_band_mm=measure_uncertain_band_mm(leads, seen == value, spacing_mm),
            uncertain_contact_mm2=measure_uncertain_contact_mm2(
                leads, seen == value, find_knee_partners(bone, seen, labelled.side), spacing_mm
            ),
            disputed_fraction=disputed.get(bone, nan),
            refined_mm=measure_refinement_mm(residual.values.numpy(), mask, spacing_mm) if residual else nan,
            localiser_agreement=agreement,
            localiser_certainty=certainty,
            side_certainty=leg.side_confidence if leg else nan,
            cleaned_fraction=changed.get(value, 0) * voxel_cm3 / volume_cm3,
            components=len(label_components(own)[1]) - 1,
            contact_fraction=edges.contact_fraction,
            edge_hu=edges.edge_hu,
            edgeless_fraction=edges.edgeless_fraction,
            air_fraction=edges.air_fraction,
            blank_fraction=edges.blank_fraction,
            continuing_fraction=measure_continuing_fraction(mask, bones, image, soft_tissue_hu, spacing_mm),
            unlabelled_cm3=measure_unlabelled_bone_cm3(mask, bones, image, spacing_mm),
            noise_hu=estimate_noise_hu(image),
            soft_tissue_hu=soft_tissue_hu,
            ceiling_hu=find_ceiling_hu(image, mask),
            jump_mm=steps.jump_mm,
            sway_mm=steps.sway_mm,
            metal_cm3=measure_metal_cm3(metal, mask, around, spacing_mm),
        )
    return found


def find_knee_partners(bone: str, labels: np.ndarray, side: Side) -> np.ndarray:
    """Mark the bones that a bone meets at the knee."""
    return np.isin(labels, [structure(partner, side).label_value for partner in MET_AT_THE_KNEE.get(bone, ())])


def _compare_with_localiser(bone: str, mask: np.ndarray, grid: Grid, leg: Leg | None) -> tuple[float, float]:
    """Return how far the localiser agrees and how certain it is; NaN without one, 0 where it did not see the bone."""
    if leg is None:
        return nan, nan
    localised = leg.bones.get(bone)
    if localised is None:
        return 0.0, 0.0
    return measure_region_agreement(mask, grid, leg.regions[bone], leg.grid), localised.confidence
