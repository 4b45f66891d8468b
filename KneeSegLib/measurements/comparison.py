"""A prediction against a reference: every structure that either of them holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import SimpleITK as sitk

from KneeSegLib.anatomy import Structure, structure_of_label
from KneeSegLib.errors import InputError
from KneeSegLib.geometry.boxes import ArrayBox, enclose_boxes, find_label_boxes
from KneeSegLib.measurements.metrics import Spacing, compare_masks
from KneeSegLib.progress import Progress, no_progress, report_each

Presence = Literal["both", "reference only", "prediction only"]
GRID_TOLERANCE_VOXELS = 0.02
"""File formats round positions differently; a shift of a fiftieth of a voxel is below anything the metrics show."""


@dataclass(frozen=True)
class Agreement:
    """One structure: in which of the two it is, its volumes in mm3 and its metrics (NaN where it is not in both)."""

    structure: Structure
    presence: Presence
    reference_mm3: float
    prediction_mm3: float
    metrics: Mapping[str, float]


def evaluate(
    reference: sitk.Image,
    prediction: sitk.Image,
    within_reference: bool = False,
    progress: Progress = no_progress,
) -> dict[str, Agreement]:
    """Compare two label images structure by structure.

    Args:
        reference: 3D label image with the values of :mod:`KneeSegLib.anatomy`.
        prediction: another one on the same grid.
        within_reference: look only inside the box that holds the reference's labels, for references that were drawn
            on a part of the scan.

    Returns:
        agreement by structure key, in the order of the anatomy table.

    Raises:
        InputError: the grids differ, or neither image holds a label.
    """
    check_same_grid(reference, prediction)
    reference_labels = sitk.GetArrayViewFromImage(reference)
    prediction_labels = sitk.GetArrayViewFromImage(prediction)
    if within_reference:
        box = _box_of_labels(reference_labels)
        reference_labels, prediction_labels = reference_labels[box], prediction_labels[box]
    boxes = _common_boxes(reference_labels, prediction_labels)
    if not boxes:
        raise InputError("Neither the reference nor the prediction holds a structure; there is nothing to compare.")
    spacing_mm = tuple(reversed(reference.GetSpacing()))
    agreements = {}
    for label_value in report_each(sorted(boxes), progress, "Comparing"):
        box = boxes[label_value]
        agreement = measure_agreement(
            _known_structure(label_value),
            reference_labels[box] == label_value,
            prediction_labels[box] == label_value,
            spacing_mm,
        )
        agreements[agreement.structure.key] = agreement
    return agreements


def measure_agreement(
    found: Structure, reference: np.ndarray, prediction: np.ndarray, spacing_mm: Spacing
) -> Agreement:
    """Compare two masks (bool, ``[z, y, x]``) of one structure on one grid, at least one of them not empty."""
    voxel_mm3 = float(np.prod(spacing_mm))
    reference_voxels, prediction_voxels = int(np.count_nonzero(reference)), int(np.count_nonzero(prediction))
    presence: Presence = "both"
    if not prediction_voxels:
        presence = "reference only"
    elif not reference_voxels:
        presence = "prediction only"
    metrics = compare_masks(reference, prediction, spacing_mm)
    return Agreement(found, presence, reference_voxels * voxel_mm3, prediction_voxels * voxel_mm3, metrics)


def check_same_grid(reference: sitk.Image, prediction: sitk.Image, second: str = "prediction") -> None:
    """Raise :class:`InputError` unless both images have the same voxels at the same places.

    Args:
        second: what sentences call the second image.
    """
    if reference.GetSize() != prediction.GetSize():
        raise InputError(
            f"The reference has {_times(reference.GetSize())} voxels and the {second} {_times(prediction.GetSize())};"
            " both must be on the same grid. Compare with the labels of the same scan, not resampled or cropped."
        )
    opposite = [size - 1 for size in reference.GetSize()]
    corners = [[opposite[axis] if bits >> axis & 1 else 0 for axis in range(3)] for bits in range(8)]
    shift_mm = max(
        float(np.linalg.norm(np.subtract(_position(reference, corner), _position(prediction, corner))))
        for corner in corners
    )
    if shift_mm > GRID_TOLERANCE_VOXELS * min(reference.GetSpacing()):
        raise InputError(
            f"The voxels of reference and {second} lie up to {shift_mm:.2f} mm apart (spacing {_mm(reference)} "
            f"and {_mm(prediction)}); both must be on the same grid. Compare with the labels of the same scan, "
            "not resampled."
        )


def _known_structure(label_value: int) -> Structure:
    try:
        return structure_of_label(label_value)
    except KeyError:
        raise InputError(
            f"The label value {label_value} stands for no structure of KneeSeg; read the file with "
            "read_label_map(path, labels) and say what its values stand for."
        ) from None


def _common_boxes(*label_arrays: np.ndarray) -> dict[int, ArrayBox]:
    """Return for each label value the smallest box that holds its voxels in all arrays."""
    boxes: dict[int, ArrayBox] = {}
    for labels in label_arrays:
        for label_value, box in find_label_boxes(labels).items():
            boxes[label_value] = enclose_boxes([box, boxes.get(label_value, box)])
    return boxes


def _box_of_labels(labels: np.ndarray) -> ArrayBox:
    boxes = list(_common_boxes(labels).values())
    if not boxes:
        raise InputError("The reference holds no structure; there is nothing to compare with.")
    return enclose_boxes(boxes)


def _position(image: sitk.Image, index: list[int]) -> tuple[float, ...]:
    return image.TransformContinuousIndexToPhysicalPoint([float(number) for number in index])


def _times(size: tuple[int, ...]) -> str:
    return " x ".join(str(number) for number in size)


def _mm(image: sitk.Image) -> str:
    return " x ".join(f"{length:.3g}" for length in image.GetSpacing()) + " mm"
