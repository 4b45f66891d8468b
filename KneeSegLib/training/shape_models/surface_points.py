"""Evenly spread points on a bone's surface, and the triangles between them."""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk
from scipy.sparse import coo_array
from scipy.sparse.csgraph import dijkstra

from KneeSegLib.errors import InputError
from KneeSegLib.geometry.mesh import directed_edges
from KneeSegLib.surfaces.meshing import marching_cubes
from KneeSegLib.training.shape_models.bone_image import BoneImage
from KneeSegLib.training.shape_models.settings import AWAY_FROM_CUT_VOXELS, REFINEMENTS, VERTICES_PER_POINT


def place_surface_points(bone: BoneImage, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return points (count, 3) on the surface, LPS mm, and triangles (T, 3), outward, that have them as corners.

    The face where a shaft was cut is no surface of the bone: it gets no points, and the triangles leave it open.
    Points are drawn at random in the paper; here each next one is the vertex farthest from those chosen (T. Gonzalez,
    Clustering to minimize the maximum intercluster distance, 1985), so that nothing is left uncovered. Three points are
    joined where the parts of the surface nearest to each of them meet: the dual of a geodesic Voronoi diagram.

    Raises:
        InputError: the voxels are too coarse for so many points.
    """
    vertices, triangles = _make_fine_surface(bone, count)
    chosen = _choose_far_apart(vertices, count)
    return vertices[chosen], _join(vertices, triangles, chosen)


def _make_fine_surface(bone: BoneImage, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the surface in voxels no finer than so many points need."""
    vertices = np.empty((0, 3))
    for refinement in REFINEMENTS:
        vertices, triangles = _make_surface(bone, refinement)
        if len(vertices) >= count * VERTICES_PER_POINT:
            return vertices, triangles
    raise InputError(
        f"A surface of {len(vertices)} vertices is too coarse for {count} points; choose smaller voxels "
        "(--spacing) or fewer points (--points)."
    )


def _make_surface(bone: BoneImage, refinement: int) -> tuple[np.ndarray, np.ndarray]:
    """Vertices and triangles of the zero level, without the cut."""
    distance = sitk.Expand(bone.distance, [refinement] * 3, sitk.sitkBSpline) if refinement > 1 else bone.distance
    vertices, triangles = marching_cubes(-sitk.GetArrayViewFromImage(distance))
    vertices = vertices * distance.GetSpacing() + distance.GetOrigin()
    if bone.cut_mm is not None:
        kept = np.abs(vertices[:, 2] - bone.cut_mm) > AWAY_FROM_CUT_VOXELS * bone.spacing_mm
        triangles = triangles[kept[triangles].all(axis=1)]
    used, triangles = np.unique(triangles, return_inverse=True)
    return vertices[used], triangles.reshape(-1, 3)


def _choose_far_apart(vertices: np.ndarray, count: int) -> np.ndarray:
    chosen = np.empty(count, int)
    chosen[0] = np.argmax(np.linalg.norm(vertices - vertices.mean(axis=0), axis=1))
    squared = np.full(len(vertices), np.inf)
    for number in range(1, count):
        offset = vertices - vertices[chosen[number - 1]]
        np.minimum(squared, np.einsum("vx,vx->v", offset, offset), out=squared)
        chosen[number] = np.argmax(squared)
    return chosen


def _join(vertices: np.ndarray, triangles: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """Return the triangles between the chosen vertices."""
    edges = directed_edges(triangles)
    lengths = np.linalg.norm(vertices[edges[:, 0]] - vertices[edges[:, 1]], axis=1)
    ends = edges.T.astype(np.int32)  # all that SciPy 1.12 takes
    graph = coo_array((np.maximum(lengths, 1e-9), ends), shape=(len(vertices),) * 2).tocsr()
    _, _, nearest = dijkstra(graph, indices=chosen, min_only=True, return_predecessors=True, directed=False)
    number = np.full(len(vertices), -1)
    number[chosen] = np.arange(len(chosen))
    corners = number[np.where(nearest < 0, chosen[0], nearest)][triangles]
    meeting = (corners != np.roll(corners, 1, axis=1)).all(axis=1) & (nearest[triangles] >= 0).all(axis=1)
    corners = corners[meeting]
    _, first = np.unique(np.sort(corners, axis=1), axis=0, return_index=True)
    return corners[np.sort(first)]
