"""What the image shows where a bone's surface was drawn: an edge, nothing, air, another bone, or no image at all."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import ceil, nan

import numpy as np

LEAST_EDGE_HU = 60.0
"""A smaller step from outside to inside is no edge of a bone, not even of a thin cortex in fat marrow."""

AIR_HU = -400.0
_REACH_MM = 1.5
_BLANK_OFFSETS = (2, 3, 4)
_FACES_PER_AXIS = 6000
_NOISE_SLICES = 12
_NORMAL_FROM_MEDIAN = 1.4826


@dataclass(frozen=True)
class EdgeFeatures:
    """See the fields of the same name of :class:`~KneeSegLib.quality.features.QualityFeatures`."""

    edge_hu: float
    edgeless_fraction: float
    air_fraction: float
    blank_fraction: float
    contact_fraction: float


def measure_edges(
    mask: np.ndarray, others: np.ndarray, hu: np.ndarray, spacing_mm: Sequence[float], faces: int = _FACES_PER_AXIS
) -> EdgeFeatures:
    """Look at the image across an even selection of the faces between the bone's voxels and those around.

    Args:
        mask: bool (Z, Y, X), the bone, with some voxels around it; faces on the array's border do not count.
        others: bool, other bones.
        hu: the image. Where it is constant it is blank, but for its lowest and highest value: there it may be clipped.
        spacing_mm: (z, y, x).
        faces: no more than so many of each direction are looked at.
    """
    steps, air, blank, contact = [], [], [], []
    lowest, highest = max(AIR_HU, hu.min()), hu.max()
    for axis, inside, outward in _faces(mask, faces):
        reach = max(round(_REACH_MM / spacing_mm[axis]), 2)
        within = _along(hu, inside, outward, axis, range(0, -reach, -1)).mean(axis=0)
        beyond = _along(hu, inside, outward, axis, range(1, reach + 1)).mean(axis=0)
        far = _along(hu, inside, outward, axis, _BLANK_OFFSETS)
        last = inside[axis] + _BLANK_OFFSETS[-1] * outward
        in_view = (last >= 0) & (last < hu.shape[axis])
        touches = _along(others, inside, outward, axis, range(1, 2))[0]
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
    steps = np.concatenate(steps)
    return EdgeFeatures(
        edge_hu=float(np.median(steps)),
        edgeless_fraction=float(np.mean(steps < LEAST_EDGE_HU)),
        air_fraction=float(np.concatenate(air).mean()),
        blank_fraction=float(np.concatenate(blank).mean()),
        contact_fraction=contact_fraction,
    )


def estimate_noise_hu(hu: np.ndarray) -> float:
    """Return the standard deviation of white noise in a CT (Z, Y, X) from its mixed second differences, in HU.

    Robust, since most voxels lie on no edge (after Immerkaer, *Fast noise variance estimation*, 1996, with a median
    for the mean). Air does not count. NaN where all is air.
    """
    slices = hu[:: max(len(hu) // _NOISE_SLICES, 1)].astype(np.float32)
    mixed = slices[:, 1:, 1:] - slices[:, 1:, :-1] - slices[:, :-1, 1:] + slices[:, :-1, :-1]
    mixed = mixed[slices[:, 1:, 1:] > AIR_HU]
    return float(np.median(np.abs(mixed)) * _NORMAL_FROM_MEDIAN / 2.0) if mixed.size else nan


def _faces(mask: np.ndarray, most: int) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """For each axis the voxels (3, N) inside faces that lie across it, and which way (+1, -1) each face looks."""
    for axis in range(3):
        layers = np.moveaxis(mask, axis, 0)
        change = layers[1:] != layers[:-1]
        chosen = np.flatnonzero(change)
        if not chosen.size:
            continue
        lower = np.stack(np.unravel_index(chosen[:: ceil(len(chosen) / most)], change.shape))
        outward = np.where(layers[tuple(lower)], 1, -1)
        lower[0] += outward < 0
        yield axis, np.insert(lower[1:], axis, lower[0], axis=0), outward


def _along(
    values: np.ndarray, inside: np.ndarray, outward: np.ndarray, axis: int, offsets: Sequence[int]
) -> np.ndarray:
    """Return values (offset, N) so many voxels outward of the faces; at the array's border the last one is held."""
    found = []
    for offset in offsets:
        place = inside.copy()
        place[axis] = np.clip(place[axis] + offset * outward, 0, values.shape[axis] - 1)
        found.append(values[tuple(place)])
    return np.stack(found)
