"""What the image shows along a bone's surface: an edge, nothing, air, another bone, or no image at all."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import ceil, nan

import numpy as np

from KneeSegLib.quality.settings import AIR_HU, BLANK_OFFSETS, EDGE_REACH_MM, LEAST_EDGE_HU, MOST_FACES, NOISE_SLICES

_NORMAL_FROM_MEDIAN = 1.4826
"""The standard deviation of a normal distribution over the median of its absolute values."""


@dataclass(frozen=True)
class EdgeFeatures:
    """See the fields of the same name of :class:`~KneeSegLib.quality.features.QualityFeatures`."""

    edge_hu: float
    edgeless_fraction: float
    air_fraction: float
    blank_fraction: float
    contact_fraction: float


def measure_edges(mask: np.ndarray, others: np.ndarray, hu: np.ndarray, spacing_mm: Sequence[float]) -> EdgeFeatures:
    """Evaluate the image across the faces between the bone's voxels and those around, or an even selection of them.

    Args:
        mask: bool (Z, Y, X), the bone, with some voxels around it; faces on the array's border do not count.
        others: bool, other bones.
        hu: the image. Where it is constant it is blank, but for its lowest and highest value: there it may be clipped.
        spacing_mm: (z, y, x).
    """
    steps, air, blank, contact = [], [], [], []
    lowest, highest = max(AIR_HU, hu.min()), hu.max()
    for axis, inside, outward in _select_faces(mask):
        reach = max(round(EDGE_REACH_MM / spacing_mm[axis]), 2)
        within = _values_along(hu, inside, outward, axis, range(0, -reach, -1)).mean(axis=0)
        beyond = _values_along(hu, inside, outward, axis, range(1, reach + 1)).mean(axis=0)
        far = _values_along(hu, inside, outward, axis, BLANK_OFFSETS)
        last = inside[axis] + BLANK_OFFSETS[-1] * outward
        in_view = (last >= 0) & (last < hu.shape[axis])
        touches = _values_along(others, inside, outward, axis, range(1, 2))[0]
        contact.append(touches)
        outside = beyond[~touches]
        steps.append(within[~touches] - outside)
        air.append(outside < AIR_HU)
        blank.append(((far == far[0]).all(axis=0) & (far[0] > lowest) & (far[0] < highest) & in_view)[~touches])
    if not contact:
        return EdgeFeatures(nan, nan, nan, nan, nan)
    contact_fraction = float(np.concatenate(contact).mean())
    if contact_fraction == 1.0:
        return EdgeFeatures(nan, nan, nan, nan, contact_fraction)
    steps_hu = np.concatenate(steps)
    return EdgeFeatures(
        edge_hu=float(np.median(steps_hu)),
        edgeless_fraction=float(np.mean(steps_hu < LEAST_EDGE_HU)),
        air_fraction=float(np.concatenate(air).mean()),
        blank_fraction=float(np.concatenate(blank).mean()),
        contact_fraction=contact_fraction,
    )


def estimate_noise_hu(hu: np.ndarray) -> float:
    """Return the standard deviation of white noise in a CT (Z, Y, X) from its mixed second differences, in HU.

    Robust, since most voxels lie on no edge: Immerkaer, *Fast noise variance estimation*, 1996, with a median for the
    mean. Air does not count. NaN where all is air.
    """
    slices = hu[:: max(len(hu) // NOISE_SLICES, 1)].astype(np.float32)
    mixed = slices[:, 1:, 1:] - slices[:, 1:, :-1] - slices[:, :-1, 1:] + slices[:, :-1, :-1]
    mixed = mixed[slices[:, 1:, 1:] > AIR_HU]
    return float(np.median(np.abs(mixed)) * _NORMAL_FROM_MEDIAN / 2.0) if mixed.size else nan


def _select_faces(mask: np.ndarray) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """For each axis the voxels (3, N) inside faces that lie across it, and which way (+1, -1) each face points."""
    for axis in range(3):
        layers = np.moveaxis(mask, axis, 0)
        change = layers[1:] != layers[:-1]
        chosen = np.flatnonzero(change)
        if not chosen.size:
            continue
        lower = np.stack(np.unravel_index(chosen[:: ceil(len(chosen) / MOST_FACES)], change.shape))
        outward = np.where(layers[tuple(lower)], 1, -1)
        lower[0] += outward < 0
        yield axis, np.insert(lower[1:], axis, lower[0], axis=0), outward


def _values_along(
    values: np.ndarray, inside: np.ndarray, outward: np.ndarray, axis: int, offsets: Sequence[int]
) -> np.ndarray:
    """Return values (offset, N) so many voxels outward of the faces; at the array's border the last one is held."""
    found = []
    for offset in offsets:
        place = inside.copy()
        place[axis] = np.clip(place[axis] + offset * outward, 0, values.shape[axis] - 1)
        found.append(values[tuple(place)])
    return np.stack(found)
