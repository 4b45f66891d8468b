"""What the rest of the same bone predicts: labels propagate within solid bone, and do not cross the gaps of joints.

A label that is wrong over half a bone is outvoted by the other half. Fractions are smoothed on a graph whose nodes are
blocks of voxels and whose edges conduct as well as the bone between them is solid; the smoothed fractions ``x`` solve
the linear system of a random walk with restart in the given ones ``s``::

    b_i (x_i - s_i) + sum over neighbours j of c_ij (x_i - x_j) = 0

with ``b`` the probability of bone and ``c`` the conductance (Grady, *Random walks for image segmentation*, IEEE PAMI
2006, with a prior term).
"""

from __future__ import annotations

from functools import reduce

import numpy as np
import torch
from scipy import sparse
from scipy.sparse.linalg import cg
from torch.nn import functional

from KneeSegLib.ct.settings import (
    LEAST_NODE_BONE,
    NODE_MM,
    PROPAGATION_REACH_MM,
    SOLID_BONE,
    SOLVER_ITERATIONS,
    SOLVER_TOLERANCE,
)
from KneeSegLib.geometry.grid import Grid


def propagate_fractions(bone: torch.Tensor, fractions: torch.Tensor, grid: Grid) -> tuple[torch.Tensor, Grid]:
    """Return fractions as the whole of each bone predicts them, ``(K, d, h, w)`` on a coarser grid.

    Args:
        bone: ``(D, H, W)`` probability of bone on ``grid``.
        fractions: ``(K, D, H, W)`` how it is divided among labels; sums to one where there is bone.
    """
    window = [min(max(round(NODE_MM / axis.spacing_mm), 1), axis.count) for axis in grid]
    coarse = Grid(*(axis.pooled(size) for axis, size in zip(grid, window)))
    nodes = functional.avg_pool3d(bone[None], window)[0]
    known = torch.stack([functional.avg_pool3d((fraction * bone)[None], window)[0] for fraction in fractions])
    known /= nodes.clamp(min=1e-3)
    numbers = np.full(nodes.shape, -1)
    inside = (nodes > LEAST_NODE_BONE).numpy()
    numbers[inside] = np.arange(inside.sum())
    result = known.clone()
    if not inside.any():
        return result, coarse
    weight = nodes.numpy()[inside].astype(np.float64)
    system = sparse.diags(weight) + _laplacian(bone, window, numbers, coarse)
    smooth = np.stack([_solve(system, weight, values.numpy()[inside].astype(np.float64)) for values in known])
    result[:, torch.from_numpy(inside)] = torch.from_numpy(smooth).float()
    return result.clamp(0.0, 1.0), coarse


def _laplacian(bone: torch.Tensor, window: list[int], numbers: np.ndarray, coarse: Grid) -> sparse.csr_matrix:
    """Graph Laplacian of the conductances between neighbouring nodes."""
    rows, columns, conductances = [], [], []
    for axis, (size, spacing_mm) in enumerate(zip(window, (a.spacing_mm for a in coarse))):
        here = [slice(None)] * 3
        there = [slice(None)] * 3
        here[axis], there[axis] = slice(None, -1), slice(1, None)
        a, b = numbers[tuple(here)], numbers[tuple(there)]
        solid = _thinnest_between(bone, window, axis, size, numbers.shape)
        strength = ((solid - SOLID_BONE) / (1.0 - SOLID_BONE)).clip(0.0, 1.0) * (PROPAGATION_REACH_MM / spacing_mm) ** 2
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
    bone: torch.Tensor, window: list[int], axis: int, size: int, shape: tuple[int, ...]
) -> np.ndarray:
    """The least bone on the straight lines between the middles of neighbouring nodes, averaged over the lines."""
    links = shape[axis] - 1
    if not links:
        return np.zeros((*shape[:axis], 0, *shape[axis + 1 :]), np.float32)
    across = list(window)
    across[axis] = 1

    def cut_at(place: int) -> torch.Tensor:
        cut = [slice(None)] * 3
        cut[axis] = slice(place, place + size * (links - 1) + 1, size)
        return bone[tuple(cut)]

    lines = reduce(torch.minimum, map(cut_at, range(size // 2, size // 2 + size + 1)))
    return functional.avg_pool3d(lines[None], across)[0].numpy()


def _solve(system: sparse.csr_matrix, weight: np.ndarray, known: np.ndarray) -> np.ndarray:
    diagonal = np.asarray(system.diagonal(), np.float64)
    preconditioner = sparse.diags(1.0 / diagonal)
    return cg(system, weight * known, x0=known, maxiter=SOLVER_ITERATIONS, M=preconditioner, rtol=SOLVER_TOLERANCE)[0]
