"""The edge of a bone in CT by half-maximum: on profiles, half-way between the cortex and what lies outside."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from KneeSegLib.edges.profiles import ALONG_MM
from KneeSegLib.edges.settings import (
    CORTEX_MM,
    DARKEST_OUTSIDE_HU,
    GAP_RISE,
    GAP_RISE_HU,
    LEAST_CONTRAST_HU,
    OFFSETS_MM,
    OUTSIDE_MM,
    PROFILE_STEP_MM,
    TOP_MM,
)
from KneeSegLib.quality.settings import METAL_HU

_START, _STOP = round(CORTEX_MM[0] / PROFILE_STEP_MM), round(OUTSIDE_MM[1] / PROFILE_STEP_MM)
_RELATIVE = np.arange(_START, _STOP + 1)
"""Samples of a profile that decide, from the edge as it is known so far."""
_ZERO = int(np.argmin(np.abs(ALONG_MM)))


@dataclass(frozen=True)
class LocatedEdges:
    """What profiles say about the edge.

    Attributes:
        offsets_mm: ``(N,)`` distance of the edge from the surface, + outward; NaN where neighbours have to say it.
        kept: where the image shows too little contrast, another bone or metal, so that the surface stays.
    """

    offsets_mm: np.ndarray
    kept: np.ndarray


def locate_half_maximum(profiles: np.ndarray) -> LocatedEdges:
    """Locate the half-maximum on profiles ``(N, len(ALONG_MM))`` of a CT in HU.

    Looked for twice: the second time cortex and outside are those around the edge that was found the first time.
    """
    start = np.full(len(profiles), _ZERO)
    edge, kept = _locate_near(profiles, start)
    start = start + np.where(np.isfinite(edge), np.rint(np.nan_to_num(edge)), 0).astype(int)
    start = start.clip(_ZERO + round(OFFSETS_MM[0] / PROFILE_STEP_MM), _ZERO + round(OFFSETS_MM[1] / PROFILE_STEP_MM))
    edge, kept_again = _locate_near(profiles, start)
    kept |= kept_again
    offsets_mm = (edge + start - _ZERO) * PROFILE_STEP_MM
    believed = (offsets_mm >= OFFSETS_MM[0]) & (offsets_mm <= OFFSETS_MM[1])
    return LocatedEdges(np.where(believed, offsets_mm, np.nan), kept)


def _locate_near(profiles: np.ndarray, start: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return how many samples beyond ``start`` (N,) each profile falls through its level (NaN where it does not), and
    where that is not to be told."""
    window = np.take_along_axis(profiles, start[:, None] + _RELATIVE, axis=1)
    end, gap = _find_gap(window)
    outside = np.where(gap, np.take_along_axis(window, end[:, None], axis=1)[:, 0], _median_outside(window))
    outside = np.maximum(outside, DARKEST_OUTSIDE_HU)
    position = np.arange(window.shape[1])
    before_end = position <= end[:, None]
    cortex = np.where(before_end & _within(CORTEX_MM), window, -np.inf).max(axis=1)
    level = (cortex + outside) / 2.0
    falls = (window[:, :-1] >= level[:, None]) & (window[:, 1:] < level[:, None]) & before_end[:, 1:]
    last = falls.shape[1] - 1 - falls[:, ::-1].argmax(axis=1)
    above, below = (np.take_along_axis(window, (last + step)[:, None], axis=1)[:, 0] for step in (0, 1))
    with np.errstate(invalid="ignore", divide="ignore"):
        edge = np.where(falls.any(axis=1), last + _START + (above - level) / (above - below), np.nan)
    metal = np.where(before_end, window, -np.inf).max(axis=1) > METAL_HU
    return edge, (cortex - outside < LEAST_CONTRAST_HU) | metal


def _find_gap(window: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the sample (N,) up to which each profile is the bone's own, and whether another structure rises beyond.

    That sample is the lowest between the bone and the other structure.
    """
    tops = np.flatnonzero(_within(TOP_MM))
    top = tops[0] + window[:, tops].argmax(axis=1)
    highest = np.take_along_axis(window, top[:, None], axis=1)
    beyond = np.arange(window.shape[1]) >= top[:, None]
    lowest = np.minimum.accumulate(np.where(beyond, window, np.inf), axis=1)
    with np.errstate(invalid="ignore"):
        rises = beyond & (window - lowest > np.maximum(GAP_RISE * (highest - lowest), GAP_RISE_HU))
    gap, first = rises.any(axis=1), rises.argmax(axis=1)
    in_gap = beyond & (np.arange(window.shape[1]) < np.where(gap, first, window.shape[1])[:, None])
    return np.where(gap, np.where(in_gap, window, np.inf).argmin(axis=1), window.shape[1] - 1), gap


def _median_outside(window: np.ndarray) -> np.ndarray:
    return np.median(window[:, _within(OUTSIDE_MM)], axis=1)


def _within(bounds_mm: tuple[float, float]) -> np.ndarray:
    at_mm = _RELATIVE * PROFILE_STEP_MM
    return (at_mm > bounds_mm[0] - 1e-6) & (at_mm < bounds_mm[1] + 1e-6)
