"""How the triangles of a surface hang together, whatever its shape."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from KneeSegLib.geometry.mesh import directed_edges


@dataclass(frozen=True)
class Topology:
    """What stays the same however a surface is bent.

    Attributes:
        open_edges: edges with a single triangle.
        non_manifold_edges: edges with three triangles or more.
        is_oriented: neighbouring triangles run through their common edge in opposite directions.
        components: connected pieces.
        euler_characteristic: points - edges + triangles: 2 for each ball, 0 for each ring.
    """

    open_edges: int
    non_manifold_edges: int
    is_oriented: bool
    components: int
    euler_characteristic: int

    @property
    def is_watertight(self) -> bool:
        """Every edge has exactly two triangles, which run through it in opposite directions."""
        return self.open_edges == 0 and self.non_manifold_edges == 0 and self.is_oriented


def topology_of(triangles: np.ndarray) -> Topology:
    """Return the topology of ``triangles`` (M, 3); points that no triangle uses do not count."""
    used, corners = np.unique(triangles, return_inverse=True)
    directed = directed_edges(corners.reshape(-1, 3))
    key = np.array([len(used), 1])
    _, runs = np.unique(directed @ key, return_counts=True)
    _, uses = np.unique(np.sort(directed, axis=1) @ key, return_counts=True)
    graph = sparse.coo_matrix((np.ones(len(directed), np.int8), tuple(directed.T)), shape=(len(used), len(used)))
    return Topology(
        open_edges=int((uses == 1).sum()),
        non_manifold_edges=int((uses > 2).sum()),
        is_oriented=bool((runs == 1).all()),
        components=int(connected_components(graph, directed=False, return_labels=False)),
        euler_characteristic=len(used) - len(uses) + len(triangles),
    )
