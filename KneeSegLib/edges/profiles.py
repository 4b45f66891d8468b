"""Points of a bone's surface, and the image along their normals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from KneeSegLib.edges.lattice import Lattice
from KneeSegLib.edges.settings import NORMAL_SIGMA_MM, PROFILE_MM, PROFILE_STEP_MM

ALONG_MM = np.arange(round((PROFILE_MM[1] - PROFILE_MM[0]) / PROFILE_STEP_MM) + 1) * PROFILE_STEP_MM + PROFILE_MM[0]
"""Where a profile is read, from the surface outward."""


@dataclass(frozen=True)
class SurfacePoints:
    """Points spread evenly over a bone's surface.

    Attributes:
        index: ``(3, N)`` in the crop, to a fraction of a voxel.
        normals: ``(3, N)``, outward, of length 1 in mm along z, y and x.
    """

    index: np.ndarray
    normals: np.ndarray


def find_normals(field: np.ndarray, lattice: Lattice) -> np.ndarray:
    """Return the outward normal ``(3, *lattice.shape)`` at each node, of length 1 where there is any, in mm.

    Args:
        field: ``(D, H, W)`` of the crop, positive inside the bone, and of one size far from its surface.
    """
    blurred = lattice.smooth(lattice.pool(field), NORMAL_SIGMA_MM)
    blurred = np.pad(blurred, 1, mode="edge")
    inner = slice(1, -1)
    gradient = np.stack(
        [
            -np.gradient(blurred, step, axis=axis)[inner, inner, inner]
            for axis, step in enumerate(lattice.node_spacing_mm)
        ]
    )
    length = np.sqrt(np.einsum("izyx,izyx->zyx", gradient, gradient))
    return (gradient / np.maximum(length, 1e-6)).astype(np.float32)


def find_surface_points(field: np.ndarray, normals: np.ndarray, lattice: Lattice) -> SurfacePoints:
    """Return where the field changes its sign between voxels, at most one point for each cell of the lattice."""
    inside = field > 0
    found = []
    for axis in range(3):
        lower = [slice(None)] * 3
        upper = [slice(None)] * 3
        lower[axis], upper[axis] = slice(None, -1), slice(1, None)
        below = np.stack(np.nonzero(inside[tuple(lower)] != inside[tuple(upper)]))
        above = below.copy()
        above[axis] += 1
        first, second = (field[tuple(place)].astype(np.float32) for place in (below, above))
        point = below.astype(np.float32)
        point[axis] += first / (first - second)
        found.append(point)
    index = np.concatenate(found, axis=1)
    _, kept = np.unique(lattice.cell_numbers(index), return_index=True)
    index = index[:, kept]
    outward = np.stack([lattice.sample(component, index) for component in normals])
    outward /= np.maximum(np.linalg.norm(outward, axis=0), 1e-6)
    return SurfacePoints(index, outward)


def sample_profiles(values: np.ndarray, points: SurfacePoints, spacing_mm: Sequence[float]) -> np.ndarray:
    """Return the image ``(N, len(ALONG_MM))`` along the normals, linearly interpolated; its border is held beyond.

    Args:
        values: ``(D, H, W)``, the crop that the points' indices count in.
        spacing_mm: (z, y, x).
    """
    steps = points.normals / np.array(spacing_mm, np.float32)[:, None]
    places = points.index[:, :, None] + steps[:, :, None] * ALONG_MM.astype(np.float32)
    sampled = ndimage.map_coordinates(
        values, places.reshape(3, -1), order=1, mode="nearest", output=np.float32, prefilter=False
    )
    return sampled.reshape(-1, len(ALONG_MM))
