"""All quality features of the bones of one leg, each measured in the bone's own box."""

from __future__ import annotations

from collections.abc import Mapping
from math import nan
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from KneeSegLib.anatomy import BONES, structure
from KneeSegLib.geometry.boxes import find_label_boxes
from KneeSegLib.quality.agreement import measure_region_agreement
from KneeSegLib.quality.borders import measure_border_areas_mm2
from KneeSegLib.quality.changes import count_changed_voxels
from KneeSegLib.quality.edges import estimate_noise_hu, measure_edges
from KneeSegLib.quality.ends import measure_continuing_fraction
from KneeSegLib.quality.features import QualityFeatures
from KneeSegLib.quality.metal import find_metal, measure_metal_cm3
from KneeSegLib.quality.outlines import measure_outline_steps
from KneeSegLib.quality.uncertainty import measure_refinement_mm, measure_uncertain_band_mm
from KneeSegLib.quality.values import find_ceiling_hu, measure_soft_tissue_hu

if TYPE_CHECKING:
    from KneeSegLib.ct.leg import Leg
    from KneeSegLib.ct.refinement import Residual
    from KneeSegLib.inference.labels import LegLabels
    from KneeSegLib.inference.scan import Scan

_AROUND_VOXELS = 5


def measure_leg_features(
    labelled: LegLabels,
    before_cleaning: np.ndarray,
    disputed: Mapping[str, float],
    leg: Leg,
    scan: Scan,
    residuals: Mapping[str, Residual] = MappingProxyType({}),
) -> dict[str, QualityFeatures]:
    """Return the quality features of every bone that the labels of a leg hold, by the key of its structure.

    Args:
        labelled: the cleaned labels with their margins.
        before_cleaning: uint8, the labels as they were before, on the same crop.
        disputed: see :func:`KneeSegLib.quality.uncertainty.measure_disputed_fractions`.
        leg: what the localiser found.
        scan: the whole scan, in HU.
        residuals: what a refinement added, by bone.
    """
    from KneeSegLib.inference.settings import MARGIN_SCALE

    labels, spacing_mm = labelled.labels, scan.grid.spacing_mm
    crop, hu = scan.grid.part(labelled.place), scan.values[labelled.place]
    boxes = find_label_boxes(labels)
    cleaned = count_changed_voxels(before_cleaning, labels)
    metal = find_metal(hu, spacing_mm)
    voxel_cm3 = float(np.prod(spacing_mm)) / 1000.0
    found = {}
    for bone in BONES:
        value = structure(bone, leg.side).label_value
        box = boxes.get(value)
        if box is None:
            continue
        around = _grown(box, labels.shape)
        part = labels[around]
        mask = part == value
        volume_cm3 = float(np.count_nonzero(mask)) * voxel_cm3
        own = tuple(slice(b.start - a.start, b.stop - a.start) for a, b in zip(around, box))
        edges = measure_edges(mask, (part != 0) & ~mask, hu[around], spacing_mm)
        steps = measure_outline_steps(mask[own], spacing_mm)
        soft_hu = measure_soft_tissue_hu(hu[around], part != 0)
        margin = labelled.margins[bone]
        band_mm = measure_uncertain_band_mm(
            margin.values * np.float32(1.0 / MARGIN_SCALE), labels[margin.place] == value, spacing_mm
        )
        in_scan = [slice(outer.start + b.start, outer.start + b.stop) for outer, b in zip(labelled.place, box)]
        borders = measure_border_areas_mm2(mask[own], in_scan, scan.grid.shape, spacing_mm)
        segmented_to_the_end = box[0].start == 0 or box[0].stop == len(labels)
        seen = leg.bones.get(bone)
        found[structure(bone, leg.side).key] = QualityFeatures(
            volume_cm3=volume_cm3,
            extent_mm=tuple((b.stop - b.start) * step for b, step in zip(box, spacing_mm)),
            whole=not borders and not segmented_to_the_end,
            border_mm2=borders,
            slice_mm=spacing_mm[0],
            uncertain_band_mm=band_mm,
            disputed_fraction=disputed.get(bone, nan),
            refined_mm=measure_refinement_mm(residuals[bone].values.numpy(), mask, spacing_mm)
            if bone in residuals
            else nan,
            localiser_agreement=(
                measure_region_agreement(mask, crop.part(around), leg.regions[bone], leg.grid) if seen else 0.0
            ),
            localiser_certainty=seen.confidence if seen else 0.0,
            side_certainty=leg.side_confidence,
            cleaned_fraction=cleaned.get(value, 0) * voxel_cm3 / volume_cm3,
            components=ndimage.label(mask[own])[1],
            contact_fraction=edges.contact_fraction,
            edge_hu=edges.edge_hu,
            edgeless_fraction=edges.edgeless_fraction,
            air_fraction=edges.air_fraction,
            blank_fraction=edges.blank_fraction,
            continuing_fraction=measure_continuing_fraction(mask, part != 0, hu[around], soft_hu, spacing_mm),
            noise_hu=estimate_noise_hu(hu[around]),
            soft_tissue_hu=soft_hu,
            ceiling_hu=find_ceiling_hu(hu[around], mask),
            jump_mm=steps.jump_mm,
            sway_mm=steps.sway_mm,
            metal_cm3=measure_metal_cm3(metal, box, spacing_mm),
        )
    return found


def _grown(box: tuple[slice, ...], shape: tuple[int, ...]) -> tuple[slice, ...]:
    return tuple(
        slice(max(bounds.start - _AROUND_VOXELS, 0), min(bounds.stop + _AROUND_VOXELS, size))
        for bounds, size in zip(box, shape)
    )
