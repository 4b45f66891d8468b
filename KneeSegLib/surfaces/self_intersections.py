"""Where a surface runs through itself: printers and solid modellers refuse such meshes."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy.spatial import cKDTree  # pyright: ignore[reportAttributeAccessIssue]: compiled; KDTree orders otherwise

_PAIRS_AT_A_TIME = 1_000_000
_LARGE = 3.0
"""Triangles of more than this many times the median radius are looked up one by one."""


def count_self_intersections(points: np.ndarray, triangles: np.ndarray) -> int:
    """Return how many pairs of triangles without a common corner pass through each other.

    Touching without passing and coplanar overlap are not counted.

    Args:
        points: (N, 3) mm.
        triangles: (M, 3).
    """
    corners = points[triangles]
    low, high = corners.min(axis=1), corners.max(axis=1)
    count = 0
    for first, second in _pairs_nearby(corners):
        near = ((low[first] <= high[second]) & (low[second] <= high[first])).all(axis=1)
        first, second = first[near], second[near]
        apart = (triangles[first][:, :, None] != triangles[second][:, None, :]).all(axis=(1, 2))
        first, second = corners[first[apart]], corners[second[apart]]
        passing = np.zeros(len(first), bool)
        for corner in range(3):
            following = (corner + 1) % 3
            passing |= _passes_through(first[:, corner], first[:, following], second)
            passing |= _passes_through(second[:, corner], second[:, following], first)
        count += int(passing.sum())
    return count


def _pairs_nearby(corners: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield every pair of triangles whose bounding balls overlap, once, as two arrays of triangle numbers."""
    centers = corners.mean(axis=1)
    radius = np.linalg.norm(corners - centers[:, None], axis=2).max(axis=1)
    is_large = radius > _LARGE * np.median(radius)
    small = np.flatnonzero(~is_large)
    pairs = cKDTree(centers[small]).query_pairs(2 * radius[small].max(), output_type="ndarray")
    for start in range(0, len(pairs), _PAIRS_AT_A_TIME):
        first, second = small[pairs[start : start + _PAIRS_AT_A_TIME]].T
        yield first, second
    everything = cKDTree(centers)
    for number in np.flatnonzero(is_large):
        near = np.array(everything.query_ball_point(centers[number], radius[number] + radius.max()), dtype=np.int64)
        near = near[~is_large[near] | (near > number)]
        yield np.full(len(near), number), near


def _passes_through(start: np.ndarray, end: np.ndarray, triangle: np.ndarray) -> np.ndarray:
    """Whether each segment (K, 3) to (K, 3) crosses the inside of its triangle (K, 3, 3) (Möller, Trumbore 1997)."""
    direction = end - start
    first, second = triangle[:, 1] - triangle[:, 0], triangle[:, 2] - triangle[:, 0]
    across = np.cross(direction, second)
    determinant = np.einsum("ij,ij->i", first, across)
    is_crossing = np.abs(determinant) > 1e-12
    inverse = 1.0 / np.where(is_crossing, determinant, 1.0)
    offset = start - triangle[:, 0]
    u = np.einsum("ij,ij->i", offset, across) * inverse
    around = np.cross(offset, first)
    v = np.einsum("ij,ij->i", direction, around) * inverse
    along = np.einsum("ij,ij->i", second, around) * inverse
    return is_crossing & (u > 0) & (v > 0) & (u + v < 1) & (along > 0) & (along < 1)
