"""From offsets at points of a surface to a margin that has its surface there."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from KneeSegLib.edges.half_maximum import LocatedEdges
from KneeSegLib.edges.lattice import Lattice
from KneeSegLib.edges.profiles import SurfacePoints
from KneeSegLib.edges.settings import NEIGHBOURS_SIGMA_MM, OUTLIER_MM, SMOOTHING_SIGMA_MM, TOLD_FRACTION


def smooth_offsets(located: LocatedEdges, points: SurfacePoints, lattice: Lattice) -> np.ndarray:
    """Return by how much the surface is moved at each of the lattice's nodes near it, mm.

    A point that differs much from those around it, or has no offset, takes their mean. Where most points are kept the
    surface stays.
    """
    cells = lattice.cell_numbers(points.index)
    told = ~located.kept
    offsets_mm, there = located.offsets_mm[told], cells[told]
    given = np.isfinite(offsets_mm)
    usual, _ = _average(offsets_mm[given], there[given], lattice, NEIGHBOURS_SIGMA_MM)
    usual = usual.ravel()[there]
    with np.errstate(invalid="ignore"):
        agrees = np.abs(offsets_mm - usual) <= OUTLIER_MM
    smoothed, told_weight = _average(np.where(agrees, offsets_mm, usual), there, lattice, SMOOTHING_SIGMA_MM)
    _, weight = _average(np.zeros(len(cells)), cells, lattice, SMOOTHING_SIGMA_MM)
    low, high = TOLD_FRACTION
    return smoothed * np.clip((told_weight / np.maximum(weight, 1e-6) - low) / (high - low), 0.0, 1.0)


def move_field(
    field: np.ndarray, index: np.ndarray, offsets_mm: np.ndarray, normals: np.ndarray, lattice: Lattice
) -> np.ndarray:
    """Return the field at some voxels of the crop after its zero level was moved outward along the normals.

    Args:
        field: ``(D, H, W)``, positive inside.
        index: ``(3, N)`` of the voxels.
        offsets_mm: of the nodes.
        normals: ``(3, *lattice.shape)``.
    """
    places = index.astype(np.float32)
    for axis, step in enumerate(lattice.spacing_mm):
        places[axis] -= lattice.sample(normals[axis] * (offsets_mm / step), index)
    return ndimage.map_coordinates(field, places, order=1, mode="nearest", output=np.float32, prefilter=False)


def _average(values: np.ndarray, cells: np.ndarray, lattice: Lattice, sigma_mm: float) -> tuple[np.ndarray, np.ndarray]:
    """The mean of values at some cells around every node, weighted by a Gaussian, and the weight; 0 far from all."""
    count = int(np.prod(lattice.shape))
    total, weight = (
        lattice.smooth(np.bincount(cells, weights, count).astype(np.float32).reshape(lattice.shape), sigma_mm)
        for weights in (values, None)
    )
    return np.where(weight > 1e-6, total / np.maximum(weight, 1e-6), 0.0).astype(np.float32), weight
