"""Signed distances from a closed mesh on a regular grid.

Near the surface the distance is exact, to the triangle that holds the nearest of densely set surface points; further
away it is the distance to the piece of surface that a nearer voxel found. VTK's polygon stencil finds what is inside.
"""

from __future__ import annotations

import numpy as np
from scipy.ndimage import distance_transform_edt
from scipy.spatial import KDTree

from KneeSegLib.training.synthesis.cubic_grid import CubicGrid
from KneeSegLib.training.synthesis.meshes import Mesh, sample_surface
from KneeSegLib.training.synthesis.settings import DISC_VOXELS, EXACT_MM, FOOT_STEPS, POINT_SPACING_MM, REACH_MM


def measure_signed_distance(mesh: Mesh, grid: CubicGrid, open_triangles: np.ndarray | None = None) -> np.ndarray:
    """Return the signed distance in mm, negative inside, clipped to +-:data:`~.settings.REACH_MM`; float32 (z, y, x).

    Args:
        mesh: closed surface.
        open_triangles: boolean (T,), triangles that close the mesh but are no real surface (a cut through a shaft):
            they count for what is inside, not for the distance.
    """
    inside = _find_inside(mesh, grid)
    surface = mesh if open_triangles is None else mesh.remove(open_triangles)
    corners = surface.vertices[surface.triangles]
    low, high = grid.corners()
    reach = REACH_MM + grid.spacing_mm
    near_grid = np.all((corners.max(axis=1) > low - reach) & (corners.min(axis=1) < high + reach), axis=1)
    if not near_grid.any():
        return np.where(inside, -REACH_MM, REACH_MM).astype(np.float32)
    distance = _measure_unsigned_distance(surface.remove(~near_grid), grid)
    return np.where(inside, -distance, distance)


def _measure_unsigned_distance(surface: Mesh, grid: CubicGrid) -> np.ndarray:
    """Return the distance in mm to an open surface, clipped to :data:`~.settings.REACH_MM`; float32 (z, y, x)."""
    points, owners = sample_surface(surface, POINT_SPACING_MM)
    where = np.nonzero(_find_near(points, grid, EXACT_MM))
    positions = np.array(grid.origin_mm) + np.column_stack(where[::-1]) * grid.spacing_mm
    reached, nearest = map(np.asarray, KDTree(points).query(positions, distance_upper_bound=EXACT_MM))
    close = np.isfinite(reached)
    where, positions = tuple(axis[close] for axis in where), positions[close]
    triangles = surface.vertices[surface.triangles[owners[nearest[close]]]]
    feet = find_nearest_on_triangles(positions, triangles)
    exact = np.linalg.norm(positions - feet, axis=1)
    if len(exact) == 0:
        return np.full(grid.shape, REACH_MM, np.float32)

    # Further away, the foot is that of the nearest voxel of the exact layer.
    foot_index = np.full(grid.shape, -1, np.int32)
    foot_index[where] = np.arange(len(feet))
    indices = find_nearest_marked(foot_index >= 0)
    discs = feet.astype(np.float32), _compute_normals(triangles).astype(np.float32)
    distance = np.minimum(_measure_distance_to_discs(foot_index[indices], *discs, grid), REACH_MM)
    distance[where] = exact
    return distance


def _measure_distance_to_discs(index: np.ndarray, feet: np.ndarray, normals: np.ndarray, grid: CubicGrid) -> np.ndarray:
    """Return the distance of each voxel to its own foot or, if nearer, to that of a neighbour.

    This is Danielsson's correction. Feet lie about a voxel apart, so each stands for a disc of surface.
    """
    along = [axis.astype(np.float32) for axis in grid.coordinates()]
    radius_squared = np.float32((DISC_VOXELS * grid.spacing_mm) ** 2)

    def squared_distance(indices: np.ndarray, part: tuple[slice, ...]) -> np.ndarray:
        height, squared = np.float32(0), np.float32(0)
        for axis in range(3):
            shape = [1, 1, 1]
            shape[2 - axis] = -1
            offset = along[axis][part[2 - axis]].reshape(shape) - feet[indices, axis]
            height = height + offset * normals[indices, axis]
            squared = squared + offset * offset
        return np.maximum(height * height, squared - radius_squared)

    squared = squared_distance(index, (slice(None),) * 3)
    for reach in FOOT_STEPS:
        for axis in range(3):
            for lower, upper in ((slice(None, -reach), slice(reach, None)), (slice(reach, None), slice(None, -reach))):
                part, neighbour = [slice(None)] * 3, [slice(None)] * 3
                part[axis], neighbour[axis] = lower, upper
                candidates = index[tuple(neighbour)]
                offered = squared_distance(candidates, tuple(part))
                better = offered < squared[tuple(part)]
                squared[tuple(part)][better] = offered[better]
                index[tuple(part)][better] = candidates[better]
    return np.sqrt(squared)


def find_nearest_marked(marked: np.ndarray) -> tuple[np.ndarray, ...]:
    """Return for each voxel the index, along every axis, of the nearest voxel that is marked in a mask."""
    return tuple(np.asarray(distance_transform_edt(~marked, return_distances=False, return_indices=True)))


def find_nearest_on_triangles(points: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """Return the point of each triangle (N, 3, 3) that is nearest to its point (N, 3)."""
    a, normal = triangles[:, 0], _compute_normals(triangles)
    feet = points - np.einsum("nx,nx->n", points - a, normal)[:, None] * normal
    over = np.ones(len(points), bool)
    squared = np.full(len(points), np.inf)
    edge_feet = np.empty_like(points)
    for corner in range(3):
        start = triangles[:, corner]
        edge = triangles[:, (corner + 1) % 3] - start
        offset = points - start
        over &= np.einsum("nx,nx->n", np.cross(normal, edge), offset) >= 0
        along = np.einsum("nx,nx->n", offset, edge) / np.maximum(np.einsum("nx,nx->n", edge, edge), 1e-12)
        foot = start + np.clip(along, 0, 1)[:, None] * edge
        distance = np.einsum("nx,nx->n", points - foot, points - foot)
        nearer = distance < squared
        squared[nearer], edge_feet[nearer] = distance[nearer], foot[nearer]
    return np.where(over[:, None], feet, edge_feet)


def _compute_normals(triangles: np.ndarray) -> np.ndarray:
    """Return unit normals (N, 3) of triangles (N, 3, 3)."""
    normals = np.cross(triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0])
    return normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)


def _find_near(points: np.ndarray, grid: CubicGrid, reach_mm: float, block: int = 4) -> np.ndarray:
    """Mark the voxels that may lie within ``reach_mm``: blocks whose centre is near enough to a surface point."""
    half_diagonal = np.sqrt(3) / 2 * block * grid.spacing_mm
    sizes = [-(-extent // block) for extent in grid.shape]
    indices = np.indices(sizes).reshape(3, -1).T * block + (block - 1) / 2
    centers = np.array(grid.origin_mm) + indices[:, ::-1] * grid.spacing_mm
    distances, _ = KDTree(points).query(centers, distance_upper_bound=reach_mm + half_diagonal)
    blocks = np.isfinite(distances).reshape(sizes)
    for axis in range(3):
        blocks = np.repeat(blocks, block, axis=axis)
    return blocks[: grid.shape[0], : grid.shape[1], : grid.shape[2]]


def _find_inside(mesh: Mesh, grid: CubicGrid) -> np.ndarray:
    """Mark the voxel centres (z, y, x) inside the closed mesh."""
    from vtkmodules.util.numpy_support import numpy_to_vtk, numpy_to_vtkIdTypeArray, vtk_to_numpy
    from vtkmodules.vtkCommonCore import vtkPoints
    from vtkmodules.vtkCommonDataModel import vtkCellArray, vtkPolyData
    from vtkmodules.vtkImagingStencil import vtkImageStencilToImage, vtkPolyDataToImageStencil

    surface, points, cells = vtkPolyData(), vtkPoints(), vtkCellArray()
    points.SetData(numpy_to_vtk(np.ascontiguousarray(mesh.vertices, np.float64), deep=True))
    offsets = numpy_to_vtkIdTypeArray(np.arange(0, 3 * len(mesh.triangles) + 1, 3, dtype=np.int64), deep=True)
    cells.SetData(offsets, numpy_to_vtkIdTypeArray(np.ascontiguousarray(mesh.triangles, np.int64).ravel(), deep=True))
    surface.SetPoints(points)
    surface.SetPolys(cells)
    stencil = vtkPolyDataToImageStencil()
    stencil.SetInputData(surface)
    stencil.SetTolerance(0.0)
    stencil.SetOutputOrigin(grid.origin_mm)
    stencil.SetOutputSpacing((grid.spacing_mm,) * 3)
    stencil.SetOutputWholeExtent([bound for extent in grid.shape[::-1] for bound in (0, extent - 1)])
    image = vtkImageStencilToImage()
    image.SetInputConnection(stencil.GetOutputPort())
    image.SetOutputScalarTypeToUnsignedChar()
    image.Update()
    return vtk_to_numpy(image.GetOutput().GetPointData().GetScalars()).reshape(grid.shape) > 0
