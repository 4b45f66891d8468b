"""Figures of a result on a real scan that need no reference labels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import SimpleITK as sitk
from scipy import ndimage
from vtkmodules.vtkCommonDataModel import vtkPolyData

from KneeSegLib.geometry.boxes import ArrayBox, box_shape, find_mask_box, grow_box
from KneeSegLib.geometry.masks import label_components, measure_distance_mm
from KneeSegLib.geometry.mesh import point_normals, points_of, triangles_of

ALONG_MM = np.arange(-2.0, 3.05, 0.1)
"""Where a profile along the outward normal is read, from the surface."""
CORTEX_MM, OUTSIDE_MM = (-2.0, 0.8), (1.5, 3.0)
LEAST_CONTRAST_HU = 300.0
FREE_MM, BORDER_MM = 5.0, 4.0
"""Points so near to another structure or to the border of the scan are left out."""
MOST_POINTS = 6000
OPENED_MM, CLOSED_MM = 3.0, 2.5


def measure_edge_mm(surface: vtkPolyData, mask: np.ndarray, labels: np.ndarray, image: sitk.Image) -> float | None:
    """Return how far outside of a bone's surface the CT falls through half-way between cortex and what lies outside.

    The mean over points spread over the surface, without the outer tenth; positive where the bone is drawn too small.
    None where too few points have contrast and lie free.

    Args:
        surface: LPS, mm.
        mask, labels: ``[z, y, x]`` on the grid of ``image``: the bone, and all structures.
    """
    spacing_mm = image.GetSpacing()[::-1]
    points, normals = points_of(surface), point_normals(points_of(surface), triangles_of(surface))
    chosen = np.random.default_rng(0).permutation(len(points))[:MOST_POINTS]
    points, normals = points[chosen], normals[chosen]
    to_index = np.linalg.inv(np.reshape(image.GetDirection(), (3, 3)) * image.GetSpacing())
    at = ((points - image.GetOrigin()) @ to_index.T)[:, ::-1]
    free = _lie_inside(at, labels.shape, spacing_mm)
    box = _find_box(mask, spacing_mm, FREE_MM)
    others = (labels[box] > 0) & ~mask[box]
    if others.any():
        away_mm = measure_distance_mm(others, spacing_mm)
        within = at - [side.start for side in box]
        free &= ndimage.map_coordinates(away_mm, within.T, order=1, mode="nearest") > FREE_MM
    points, normals = points[free], normals[free]
    if not len(points):
        return None
    places = points[:, None] + ALONG_MM[None, :, None] * normals[:, None]
    index = ((places - image.GetOrigin()) @ to_index.T)[..., ::-1].reshape(-1, 3)
    values = sitk.GetArrayViewFromImage(image).astype(np.float32)
    profiles = ndimage.map_coordinates(values, index.T, order=1, mode="nearest").reshape(len(points), -1)
    cortex, outside = profiles[:, _within(CORTEX_MM)].max(axis=1), np.median(profiles[:, _within(OUTSIDE_MM)], axis=1)
    edges_mm = find_last_fall(profiles, (cortex + outside) / 2.0)
    edges_mm = np.sort(edges_mm[(cortex - outside > LEAST_CONTRAST_HU) & np.isfinite(edges_mm)])
    cut = len(edges_mm) // 20
    return float(edges_mm[cut : len(edges_mm) - cut].mean()) if len(edges_mm) > 50 else None


def find_last_fall(profiles: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """Return where along :data:`ALONG_MM` each profile ``(N, K)`` falls below its level for the last time, or NaN."""
    above = profiles >= levels[:, None]
    last = profiles.shape[1] - 1 - above[:, ::-1].argmax(axis=1)
    found = above.any(axis=1) & (last + 1 < profiles.shape[1])
    row, last = np.flatnonzero(found), last[found]
    before, after = profiles[row, last], profiles[row, last + 1]
    fallen = np.full(len(profiles), np.nan)
    fallen[row] = ALONG_MM[last] + 0.1 * (before - levels[row]) / (before - after)
    return fallen


def measure_spike_mm(mask: np.ndarray, spacing_mm: Sequence[float]) -> float | None:
    """Return the largest distance of a bone from itself opened by a ball of :data:`OPENED_MM`; None if all is thin."""
    mask = mask[_find_box(mask, spacing_mm, OPENED_MM)]
    core = mask & (measure_distance_mm(~mask, spacing_mm) > OPENED_MM)
    if not core.any():
        return None
    opened = measure_distance_mm(core, spacing_mm) <= OPENED_MM
    return float(measure_distance_mm(opened, spacing_mm)[mask].max())


def measure_hole_mm(mask: np.ndarray, spacing_mm: Sequence[float]) -> float:
    """Return the longest side of the largest component that closing with a ball of :data:`CLOSED_MM` fills, or 0."""
    mask = mask[_find_box(mask, spacing_mm, 2.0 * CLOSED_MM)]
    grown = measure_distance_mm(mask, spacing_mm) <= CLOSED_MM
    closed = measure_distance_mm(~grown, spacing_mm) > CLOSED_MM
    numbers, voxels = label_components(closed & ~mask)
    if len(voxels) < 2:
        return 0.0
    box = find_mask_box(numbers == 1 + int(voxels[1:].argmax()))
    return 0.0 if box is None else float(max(n * mm for n, mm in zip(box_shape(box), spacing_mm)))


def _within(bounds_mm: tuple[float, float]) -> np.ndarray:
    return np.abs(ALONG_MM - np.mean(bounds_mm)) <= np.ptp(bounds_mm) / 2.0 + 1e-6


def _lie_inside(at: np.ndarray, shape: Sequence[int], spacing_mm: Sequence[float]) -> np.ndarray:
    rim = np.ceil(BORDER_MM / np.asarray(spacing_mm))
    return np.all((at >= rim) & (at <= np.asarray(shape) - 1 - rim), axis=1)


def _find_box(mask: np.ndarray, spacing_mm: Sequence[float], rim_mm: float) -> ArrayBox:
    """The mask's box with a rim; a bone that the scan cuts goes on beyond the border, so nothing is added there."""
    box = find_mask_box(mask)
    assert box is not None  # a structure of the labels
    return grow_box(box, [int(np.ceil(rim_mm / mm)) + 1 for mm in spacing_mm], mask.shape)
