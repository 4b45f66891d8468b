"""Small cases with shapes whose size and place are known, made without any network."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import SimpleITK as sitk

from KneeSegLib.anatomy import Structure, structure
from KneeSegLib.case import Case, ScanResult
from KneeSegLib.io.volume import Volume
from KneeSegLib.measurements.structures import measure_structures
from KneeSegLib.quality import QualityFeatures, assess_quality

SPACING_MM = (1.0, 1.25, 2.0)

# Boxes in voxels [k, j, i] of a right knee: the femur leaves the scan at the top, the tibia at the bottom.
KNEE_BOXES = {
    "femur_right": (slice(28, 50), slice(14, 34), slice(16, 44)),
    "tibia_right": (slice(0, 26), slice(15, 33), slice(17, 43)),
    "patella_right": (slice(26, 36), slice(6, 11), slice(24, 36)),
    "fibula_right": (slice(4, 22), slice(34, 40), slice(6, 13)),
}
KNEE_SHAPE = (50, 48, 60)


def box_labels(boxes: dict[str, Sequence[slice]], shape: tuple[int, int, int]) -> sitk.Image:
    """Return a label image with one box per structure key, ``SPACING_MM``, axes along LPS."""
    array = np.zeros(shape, np.uint8)
    for key, box in boxes.items():
        array[tuple(box)] = structure(key).label_value
    image = sitk.GetImageFromArray(array)
    image.SetSpacing(SPACING_MM)
    image.SetOrigin((-80.0, -20.0, 400.0))
    return image


def case_of(
    labels: sitk.Image, source: str = "CT knee 1.0", warnings: Sequence[str] = (), **provenance: object
) -> Case:
    """Return the case of a CT in which structures have 900 HU and the rest 40 HU."""
    image = sitk.Cast(labels > 0, sitk.sitkInt16) * 860 + 40
    recorded = {
        "version": "0.1.0",
        "pipeline": "ct-knee",
        "pipeline_title": "CT: knee",
        "options": {"side": "auto", "quality": "standard"},
        "bundles": [{"name": "ct-knee", "version": "1.2.3", "sha256": "0123456789abcdef" * 4}],
        "device": "cpu",
        "timings": {"reading": 0.5, "knee, right": 12.25},
        "date": "2026-03-09T08:05:00+00:00",
    }
    volume = Volume(image, "CT", source, ())
    scan = ScanResult(volume, labels, {}, measure_structures(labels))
    return Case([scan], list(warnings), {**recorded, **provenance})


def knee_case(**changes: object) -> Case:
    """Return the case of the box-shaped right knee."""
    return case_of(box_labels(KNEE_BOXES, KNEE_SHAPE), **changes)


def assessed_knee_case(thick: bool = False, **changes: object) -> Case:
    """Return the knee with results: the patella is to be checked, the others are good, or limited by thick slices."""
    case = knee_case(**changes)
    for found in case.structures:
        doubtful = found.structure.tissue.key == "patella"
        features = QualityFeatures(
            found.volume_mm3 / 1000.0,
            (20.0, 20.0, 40.0),
            slice_mm=3.0 if thick else 0.6,
            jump_mm=4.0 if doubtful else 0.1,
            edge_hu=float("nan"),
        )
        found.quality = assess_quality(found.structure, features)
    return case


def voxels_of(part: Structure) -> int:
    """Return how many voxels a structure of :data:`KNEE_BOXES` has."""
    return int(np.prod([bounds.stop - bounds.start for bounds in KNEE_BOXES[part.key]]))
