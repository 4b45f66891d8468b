"""All quality features of the structures of a knee in MR, each measured in the structure's own box."""

from __future__ import annotations

from collections.abc import Mapping
from math import isnan, nan
from typing import TYPE_CHECKING

import numpy as np

from KneeSegLib.anatomy import structure
from KneeSegLib.geometry.boxes import find_label_boxes, uncrop_box
from KneeSegLib.inference.settings import MARGIN_SCALE
from KneeSegLib.quality.borders import measure_border_areas_mm2
from KneeSegLib.quality.changes import count_changed_voxels
from KneeSegLib.quality.features import QualityFeatures
from KneeSegLib.quality.sizes import measure_extent_mm
from KneeSegLib.quality.uncertainty import measure_uncertain_band_mm

if TYPE_CHECKING:
    from KneeSegLib.geometry.grid import Grid
    from KneeSegLib.inference.labels import LegLabels
    from KneeSegLib.mr.shape_fit import FittedShape

WHOLE_IN_VIEW = ("patella",)
"""Of the bones of a knee only this one is in view as a whole, so that its size can be judged."""


def measure_knee_features(
    labelled: LegLabels, before_cleaning: np.ndarray, shapes: Mapping[str, FittedShape], grid: Grid
) -> dict[str, QualityFeatures]:
    """Return the features of every structure that the labels of a knee hold, by its key.

    Args:
        labelled: the cleaned labels with their margins.
        before_cleaning: uint8, the labels as they were before, on the same crop.
        shapes: fitted to bones.
        grid: of the whole scan.
    """
    labels, spacing_mm = labelled.labels, grid.spacing_mm
    boxes = find_label_boxes(labels)
    changed = count_changed_voxels(before_cleaning, labels)
    voxel_cm3 = float(np.prod(spacing_mm)) / 1000.0
    found = {}
    for tissue, margin in labelled.margins.items():
        value = structure(tissue, labelled.side).label_value
        box = boxes.get(value)
        if box is None:
            continue
        mask = labels[box] == value
        volume_cm3 = float(np.count_nonzero(mask)) * voxel_cm3
        borders = measure_border_areas_mm2(mask, uncrop_box(box, labelled.place), grid.shape, spacing_mm)
        shape_mm = shapes[tissue].mean_residual_mm if tissue in shapes else None
        found[structure(tissue, labelled.side).key] = QualityFeatures(
            volume_cm3=volume_cm3,
            extent_mm=measure_extent_mm(box, spacing_mm),
            whole=tissue in WHOLE_IN_VIEW and not borders,
            border_mm2=borders,
            slice_mm=grid.x.spacing_mm,
            uncertain_band_mm=measure_uncertain_band_mm(
                margin.values * np.float32(1.0 / MARGIN_SCALE), labels[margin.place] == value, spacing_mm
            ),
            cleaned_fraction=changed.get(value, 0) * voxel_cm3 / volume_cm3,
            shape_residual_mm=nan if shape_mm is None else shape_mm,
            shape_lost=shape_mm is not None and isnan(shape_mm),
        )
    return found
