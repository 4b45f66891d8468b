"""Agreement of two masks of one structure: overlap, volume and surface distances.

A value that is not defined, because one of the masks is empty, is NaN and never 0 or 1.

Two notions of a surface are in use, as in MONAI. ASSD, HD and HD95 are measured between the outermost voxels of the
masks (those with a face on the outside), each counted once: the convention of MedPy and of most published figures. NSD
is a share of area and is measured between surface elements (:mod:`~KneeSegLib.measurements.surface_elements`). Those
are no ground for ASSD: they lie on both sides of the surface, so that two spheres whose radii differ by a fifth of a
voxel come out at a third of that. """

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import SimpleITK as sitk
from scipy.spatial import cKDTree

from KneeSegLib.measurements.surface_elements import area_of_code, corner_codes, on_surface

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
    Metric("nsd_0.5mm", "NSD 0.5", "distance", 4, "share of both surfaces within 0.5 mm of the other surface"),
    Metric("nsd_1mm", "NSD 1.0", "distance", 4, "share of both surfaces within 1 mm of the other surface"),
)

Spacing = tuple[float, float, float]


def compare_masks(reference: np.ndarray, prediction: np.ndarray, spacing_mm: Spacing) -> dict[str, float]:
    """Return every metric of :data:`METRICS` for two masks of one structure.

    Args:
        reference, prediction: bool, shape (z, y, x), the same grid. A mask that the border cuts has a surface there.
        spacing_mm: voxel spacing in the order (z, y, x).

    Returns:
        values by :attr:`Metric.key`; all NaN where either mask is empty.
    """
    if not (reference.any() and prediction.any()):
        return {metric.key: float("nan") for metric in METRICS}
    box = _common_box(reference, prediction)
    reference, prediction = reference[box], prediction[box]
    values = {
        **overlap(reference, prediction),
        **distances(reference, prediction, spacing_mm),
        **surface_shares(reference, prediction, spacing_mm),
    }
    return {metric.key: float(values[metric.key]) for metric in METRICS}


def overlap(reference: np.ndarray, prediction: np.ndarray) -> dict[str, float]:
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


def distances(reference: np.ndarray, prediction: np.ndarray, spacing_mm: Spacing) -> dict[str, float]:
    """Return ASSD, HD, HD95 and AHD in mm; both masks hold at least one voxel."""
    reference_edge, prediction_edge = outermost_voxels(reference), outermost_voxels(prediction)
    to_reference_mm = _distance_mm(reference_edge, spacing_mm)
    to_prediction_mm = _distance_mm(prediction_edge, spacing_mm)
    directed = (to_prediction_mm[reference_edge], to_reference_mm[prediction_edge])
    # From outside a mask its nearest voxel is an outermost one, and voxels inside are at distance zero.
    missed_mm = to_prediction_mm[reference & ~prediction].sum(dtype=float) / np.count_nonzero(reference)
    added_mm = to_reference_mm[prediction & ~reference].sum(dtype=float) / np.count_nonzero(prediction)
    return {
        "assd_mm": np.concatenate(directed).mean(dtype=float),
        "hd_mm": max(surface_mm.max() for surface_mm in directed),
        "hd95_mm": max(np.percentile(surface_mm, 95) for surface_mm in directed),
        "ahd_mm": (missed_mm + added_mm) / 2,
    }


def surface_shares(reference: np.ndarray, prediction: np.ndarray, spacing_mm: Spacing) -> dict[str, float]:
    """Return NSD at each of :data:`NSD_TOLERANCES_MM`; both masks hold at least one voxel."""
    points_mm, areas_mm2 = zip(*(_surface(mask, spacing_mm) for mask in (reference, prediction)), strict=True)
    reach_mm = max(NSD_TOLERANCES_MM) + ROUNDING_MM  # beyond it, too far is all that matters
    to_other_mm = np.concatenate(
        [cKDTree(other).query(own, distance_upper_bound=reach_mm)[0] for own, other in (points_mm, points_mm[::-1])]
    )
    area_mm2 = np.concatenate(areas_mm2)
    return {
        f"nsd_{tolerance_mm:g}mm": area_mm2[to_other_mm <= tolerance_mm + ROUNDING_MM].sum() / area_mm2.sum()
        for tolerance_mm in NSD_TOLERANCES_MM
    }


def outermost_voxels(mask: np.ndarray) -> np.ndarray:
    """Return the voxels of ``mask`` (z, y, x) with a face on the outside; beyond the array is outside."""
    inner = mask.copy()
    for axis in range(3):
        along = np.moveaxis(mask, axis, 0)
        inner_along = np.moveaxis(inner, axis, 0)
        inner_along[1:] &= along[:-1]
        inner_along[:-1] &= along[1:]
        inner_along[[0, -1]] = False
    return mask & ~inner


def _surface(mask: np.ndarray, spacing_mm: Spacing) -> tuple[np.ndarray, np.ndarray]:
    """Return the surface elements of ``mask``: positions (n, 3) in mm and areas (n,) in mm2."""
    codes = corner_codes(mask)
    surface = on_surface(codes)
    return np.argwhere(surface) * np.asarray(spacing_mm), area_of_code(tuple(spacing_mm))[codes[surface]]


def _distance_mm(mask: np.ndarray, spacing_mm: Spacing) -> np.ndarray:
    """Return the distance of every voxel to the nearest voxel of ``mask``: float32, 0 within the mask."""
    image = sitk.GetImageFromArray(mask.astype(np.uint8))
    image.SetSpacing([float(length) for length in reversed(spacing_mm)])
    signed = sitk.SignedMaurerDistanceMap(image, insideIsPositive=False, squaredDistance=False, useImageSpacing=True)
    return np.maximum(sitk.GetArrayViewFromImage(signed), 0)


def _common_box(*masks: np.ndarray) -> tuple[slice, ...]:
    """Return the smallest box that holds every voxel of the masks."""
    box = []
    for axis in range(3):
        others = tuple(other for other in range(3) if other != axis)
        occupied = np.flatnonzero(np.logical_or.reduce([mask.any(axis=others) for mask in masks]))
        box.append(slice(int(occupied[0]), int(occupied[-1]) + 1))
    return tuple(box)
