"""What the rest of the same bone says: names spread within solid bone, and do not cross the gaps of joints.

A name that is wrong over half a bone is outvoted by the other half. Shares are smoothed on a graph whose nodes are
blocks of voxels and whose edges conduct as well as the bone between them is solid; the smoothed shares ``x`` solve the
linear system of a random walk with restart in the given ones ``s``::

    b_i (x_i - s_i) + sum over neighbours j of c_ij (x_i - x_j) = 0

with ``b`` the probability of bone and ``c`` the conductance (Grady, *Random walks for image segmentation*, IEEE PAMI
2006, with a prior term).
"""

from __future__ import annotations

import numpy as np
import torch
from scipy import sparse
from scipy.sparse.linalg import cg
from torch.nn import functional

from KneeSegLib.geometry.grid import Grid

REACH_MM = 40.0
"""How far a name spreads in solid bone."""

NODE_MM = 2.1
"""Edge of a node, as nearly as whole voxels allow."""

_LEAST_BONE = 0.3
_SOLID = 0.85
_TOLERANCE = 1e-3
_ITERATIONS = 80


def spread_shares(bone: torch.Tensor, shares: torch.Tensor, grid: Grid) -> tuple[torch.Tensor, Grid]:
    """Return shares as the whole of each bone sees them, ``(K, d, h, w)`` on a coarser grid.

    Args:
        bone: ``(D, H, W)`` probability of bone on ``grid``.
        shares: ``(K, D, H, W)`` how it is divided among names; sums to one where there is bone.
    """
    window = tuple(min(max(round(NODE_MM / axis.spacing_mm), 1), axis.count) for axis in grid)
    coarse = Grid(*(axis.pooled(size) for axis, size in zip(grid, window)))
    nodes = functional.avg_pool3d(bone[None], window)[0]
    known = torch.stack([functional.avg_pool3d((share * bone)[None], window)[0] for share in shares])
    known /= nodes.clamp(min=1e-3)
    numbers = np.full(nodes.shape, -1)
    inside = (nodes > _LEAST_BONE).numpy()
    numbers[inside] = np.arange(inside.sum())
    result = known.clone()
    if not inside.any():
        return result, coarse
    weight = nodes.numpy()[inside].astype(np.float64)
    system = sparse.diags(weight) + _laplacian(bone, window, numbers, coarse)
    smooth = np.stack([_solved(system, weight, values.numpy()[inside].astype(np.float64)) for values in known])
    result[:, torch.from_numpy(inside)] = torch.from_numpy(smooth).float()
    return result.clamp(0.0, 1.0), coarse


def _laplacian(bone: torch.Tensor, window: tuple[int, ...], numbers: np.ndarray, coarse: Grid) -> sparse.csr_matrix:
    """Graph Laplacian of the conductances between neighbouring nodes."""
    rows, columns, conductances = [], [], []
    for axis, (size, spacing_mm) in enumerate(zip(window, (a.spacing_mm for a in coarse))):
        here = [slice(None)] * 3
        there = [slice(None)] * 3
        here[axis], there[axis] = slice(None, -1), slice(1, None)
        a, b = numbers[tuple(here)], numbers[tuple(there)]
        solid = _thinnest_between(bone, window, axis, size, numbers.shape)
        strength = ((solid - _SOLID) / (1.0 - _SOLID)).clip(0.0, 1.0) * (REACH_MM / spacing_mm) ** 2
        joined = (a >= 0) & (b >= 0) & (strength > 0.0)
        rows.append(a[joined])
        columns.append(b[joined])
        conductances.append(strength[joined])
    i, j, c = (np.concatenate(part) for part in (rows, columns, conductances))
    count = int(numbers.max()) + 1
    links = sparse.coo_matrix((c, (i, j)), (count, count)).tocsr()
    links = links + links.T
    return sparse.diags(np.asarray(links.sum(axis=1)).ravel()) - links


def _thinnest_between(
    bone: torch.Tensor, window: tuple[int, ...], axis: int, size: int, shape: tuple[int, ...]
) -> np.ndarray:
    """The least bone on the straight lines between the middles of neighbouring nodes, averaged over the lines."""
    links = shape[axis] - 1
    if not links:
        return np.zeros((*shape[:axis], 0, *shape[axis + 1 :]), np.float32)
    across = list(window)
    across[axis] = 1
    lines = None
    for place in range(size // 2, size // 2 + size + 1):
        cut = [slice(None)] * 3
        cut[axis] = slice(place, place + size * (links - 1) + 1, size)
        lines = bone[tuple(cut)] if lines is None else torch.minimum(lines, bone[tuple(cut)])
    return functional.avg_pool3d(lines[None], across)[0].numpy()


def _solved(system: sparse.spmatrix, weight: np.ndarray, known: np.ndarray) -> np.ndarray:
    diagonal = system.diagonal()
    preconditioner = sparse.diags(1.0 / diagonal)
    return cg(system, weight * known, x0=known, maxiter=_ITERATIONS, M=preconditioner, rtol=_TOLERANCE)[0]
