"""Agreement of two masks of one structure: overlap, volume and surface distances.

A value that is not defined, because one of the masks is empty, is NaN and never 0 or 1.

Two notions of a surface are in use, as in MONAI, which measures them. ASSD, HD and HD95 are measured between the
outermost voxels of the masks (those with a face on the outside), each counted once: the convention of MedPy and of most
published figures. NSD is a fraction of area and is measured between surface elements, as by the surface-distance
package (S. Nikolov et al., JMIR 2021). Those are no ground for ASSD: they lie on both sides of the surface, so that two
spheres whose radii differ by a fifth of a voxel come out at a third of that. Voxels are counted here: MONAI's counts
are single precision, which ends at 16.7 million.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import numpy as np
import SimpleITK as sitk

from KneeSegLib.geometry.boxes import enclose_boxes, find_mask_box

NSD_TOLERANCES_MM = (0.5, 1.0)
ROUNDING_MM = 1e-6
"""A distance of exactly the tolerance is within it, however it was rounded."""


@dataclass(frozen=True)
class Metric:
    """One column of a table."""

    key: str
    title: str
    group: Literal["overlap", "distance"]
    digits: int
    definition: str


METRICS: tuple[Metric, ...] = (
    Metric("dice", "Dice", "overlap", 4, "2TP / (2TP + FP + FN)"),
    Metric("jaccard", "Jaccard", "overlap", 4, "TP / (TP + FP + FN)"),
    Metric("precision", "Precision", "overlap", 4, "TP / (TP + FP)"),
    Metric("recall", "Recall", "overlap", 4, "TP / (TP + FN)"),
    Metric("volume_similarity", "Volume sim.", "overlap", 4, "1 - abs(FN - FP) / (2TP + FP + FN)"),
    Metric("assd_mm", "ASSD", "distance", 3, "mean of the pooled directed surface distances, mm"),
    Metric("hd_mm", "HD", "distance", 2, "largest surface distance, mm"),
    Metric("hd95_mm", "HD95", "distance", 2, "larger of the two directed 95th percentiles of the surface distance, mm"),
    Metric(
        "ahd_mm", "AHD", "distance", 3, "half the sum of the two mean directed distances over all foreground voxels, mm"
    ),
    Metric("nsd_0.5mm", "NSD 0.5", "distance", 4, "fraction of both surfaces within 0.5 mm of the other surface"),
    Metric("nsd_1mm", "NSD 1.0", "distance", 4, "fraction of both surfaces within 1 mm of the other surface"),
)

Spacing = tuple[float, float, float]


def compare_masks(reference: np.ndarray, prediction: np.ndarray, spacing_mm: Spacing) -> dict[str, float]:
    """Return every metric of :data:`METRICS` for two masks of one structure.

    Args:
        reference: bool, shape (z, y, x). A mask that the border cuts has a surface there.
        prediction: the same on the same grid.
        spacing_mm: voxel spacing in the order (z, y, x).

    Returns:
        values by :attr:`Metric.key`; all NaN where either mask is empty.
    """
    boxes = find_mask_box(reference), find_mask_box(prediction)
    if boxes[0] is None or boxes[1] is None:
        return {metric.key: float("nan") for metric in METRICS}
    box = enclose_boxes([boxes[0], boxes[1]])
    # What the border cuts has a surface there.
    reference, prediction = (np.pad(mask[box], 1) for mask in (reference, prediction))
    values = {
        **measure_overlap(reference, prediction),
        **measure_distances(reference, prediction, spacing_mm),
        **measure_surface_dice(reference, prediction, spacing_mm),
    }
    return {metric.key: float(values[metric.key]) for metric in METRICS}


def measure_overlap(reference: np.ndarray, prediction: np.ndarray) -> dict[str, float]:
    """Return the metrics that only count voxels; both masks hold at least one."""
    both = int(np.count_nonzero(reference & prediction))
    missed = int(np.count_nonzero(reference)) - both
    added = int(np.count_nonzero(prediction)) - both
    return {
        "dice": 2 * both / (2 * both + added + missed),
        "jaccard": both / (both + added + missed),
        "precision": both / (both + added),
        "recall": both / (both + missed),
        "volume_similarity": 1 - abs(missed - added) / (2 * both + added + missed),
    }


def measure_distances(reference: np.ndarray, prediction: np.ndarray, spacing_mm: Spacing) -> dict[str, float]:
    """Return ASSD, HD, HD95 and AHD in mm; both masks hold at least one voxel."""
    import torch
    from monai.metrics.utils import get_edge_surface_distance

    masks = torch.from_numpy(prediction), torch.from_numpy(reference)
    with _without_deprecations():
        _, directed, _ = get_edge_surface_distance(*masks, spacing=spacing_mm, symmetric=True)
    directed_mm = [surface.numpy().astype(float) for surface in directed]
    to_reference_mm, to_prediction_mm = (_distance_mm(mask, spacing_mm) for mask in (reference, prediction))
    # From outside a mask its nearest voxel is an outermost one, and voxels inside are at distance zero.
    missed_mm = to_prediction_mm[reference & ~prediction].sum(dtype=float) / np.count_nonzero(reference)
    added_mm = to_reference_mm[prediction & ~reference].sum(dtype=float) / np.count_nonzero(prediction)
    return {
        "assd_mm": np.concatenate(directed_mm).mean(),
        "hd_mm": max(surface_mm.max() for surface_mm in directed_mm),
        "hd95_mm": max(np.percentile(surface_mm, 95) for surface_mm in directed_mm),
        "ahd_mm": (missed_mm + added_mm) / 2,
    }


def measure_surface_dice(reference: np.ndarray, prediction: np.ndarray, spacing_mm: Spacing) -> dict[str, float]:
    """Return NSD at each of :data:`NSD_TOLERANCES_MM`; both masks hold at least one voxel."""
    import torch
    from monai.metrics.surface_dice import compute_surface_dice

    predicted, expected = (torch.from_numpy(mask)[None, None] for mask in (prediction, reference))
    fractions = {}
    for tolerance_mm in NSD_TOLERANCES_MM:
        thresholds = [tolerance_mm + ROUNDING_MM]
        with _without_deprecations():
            fraction = compute_surface_dice(
                predicted, expected, thresholds, include_background=True, spacing=spacing_mm, use_subvoxels=True
            )
        fractions[f"nsd_{tolerance_mm:g}mm"] = float(fraction)
    return fractions


@contextmanager
def _without_deprecations() -> Iterator[None]:
    """What MONAI warns itself about is of no use to who compares two segmentations."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        yield


def _distance_mm(mask: np.ndarray, spacing_mm: Spacing) -> np.ndarray:
    """Return the distance of every voxel to the nearest voxel of ``mask``: float32, 0 within the mask."""
    image = sitk.GetImageFromArray(mask.astype(np.uint8))
    image.SetSpacing([float(length) for length in reversed(spacing_mm)])
    signed = sitk.SignedMaurerDistanceMap(image, insideIsPositive=False, squaredDistance=False, useImageSpacing=True)
    return np.maximum(sitk.GetArrayViewFromImage(signed), 0)
