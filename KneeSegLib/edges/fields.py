"""Margins as fields that are straight across a bone's surface, and back."""

from __future__ import annotations

import numpy as np

from KneeSegLib.edges.settings import FIELD_STEPS, MARGIN_LIMIT, MARGIN_SCALE


def _tabulate() -> np.ndarray:
    """The field of every int8, in the order of their bytes."""
    margins = np.arange(256, dtype=np.uint8).view(np.int8).astype(np.float64) / MARGIN_SCALE
    return np.rint(FIELD_STEPS * np.arctanh(np.clip(margins, -MARGIN_LIMIT, MARGIN_LIMIT))).astype(np.int16)


_FIELD_OF_BYTE = _tabulate()


def field_of(margins: np.ndarray) -> np.ndarray:
    """Return the int16 field of int8 margins: positive where they are.

    The margin of a two-class softmax is tanh(distance / width); its inverse can be interpolated linearly.
    """
    return _FIELD_OF_BYTE[np.ascontiguousarray(margins).view(np.uint8)]


def margin_of(field: np.ndarray) -> np.ndarray:
    """Return the int8 margins of a field; never 0, so that every voxel is on one side of the surface."""
    scaled = np.rint(MARGIN_SCALE * np.tanh(field / FIELD_STEPS))
    return np.where(field > 0, np.maximum(scaled, 1), np.minimum(scaled, -1)).astype(np.int8)


def split_overlap(first: np.ndarray, second: np.ndarray) -> None:
    """Let the int8 margins of two bones meet half-way, by their fields, where both claim a voxel; in place."""
    one, other = field_of(first).astype(np.int32), field_of(second).astype(np.int32)
    contested = (one + other > 0) & ((one > 0) | (other > 0))
    lead = (one[contested] - other[contested]) / 2.0
    first[contested] = margin_of(lead)
    second[contested] = -first[contested]
