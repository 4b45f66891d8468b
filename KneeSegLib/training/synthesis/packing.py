"""Small files for fields on a grid: LZMA, after differences between neighbours where fields change slowly.

Differences are those of the three-dimensional predictor of Ibarria et al., *Out-of-core compression and decompression
of large n-dimensional scalar fields*, 2003; the sums that undo them are exact, because unsigned integers wrap.
"""

from __future__ import annotations

import lzma

import numpy as np


def pack_field(field: np.ndarray) -> np.ndarray:
    """Return the bytes of a field, compressed (uint8 vector)."""
    return np.frombuffer(lzma.compress(np.ascontiguousarray(field).tobytes()), np.uint8)


def unpack_field(content: np.ndarray, shape: tuple[int, ...], kind: type = np.uint8) -> np.ndarray:
    """Return the field of a shape and kind that :func:`pack_field` compressed, writable, as torch wants it."""
    return np.frombuffer(bytearray(lzma.decompress(content.tobytes())), kind).reshape(shape)


def take_differences(field: np.ndarray) -> np.ndarray:
    """Return the difference of each value from its neighbours along the last three axes, unsigned, of the same size."""
    values = field.view(f"u{field.dtype.itemsize}")
    for axis in (-3, -2, -1):
        values = np.diff(values, axis=axis, prepend=values.dtype.type(0))
    return values


def sum_differences(differences: np.ndarray, kind: type) -> np.ndarray:
    """Return the field, of type ``kind``, whose :func:`take_differences` are given."""
    values = differences
    for axis in (-3, -2, -1):
        values = np.cumsum(values, axis=axis, dtype=values.dtype)
    return values.view(kind)
