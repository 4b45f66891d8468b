"""Signed distances: from a closed mesh to a regular grid, and many bones joined into one field without overlaps.

Near the surface the distance is exact, to the triangle that holds the nearest of densely set surface points; further
away it is the distance to the piece of surface that a nearer voxel found. VTK's polygon stencil says what is inside.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import distance_transform_edt
from scipy.spatial import cKDTree

from KneeSegLib.training.synthesis.meshes import Mesh, sample_surface

REACH_MM = 13.0
"""Distances are right up to here and clipped beyond."""

_EXACT_MM = 4.0
_NEIGHBOURS = (2, 1, 1)
_DISC_VOXELS = 1.5
_POINT_SPACING_MM = 0.8


@dataclass(frozen=True)
class Grid:
    """A grid along the LPS axes: position (x, y, z) of the first voxel's centre, voxel edge, extents (z, y, x)."""

    origin_mm: tuple[float, float, float]
    spacing_mm: float
    shape: tuple[int, int, int]

    @classmethod
    def around(cls, low: np.ndarray, high: np.ndarray, spacing_mm: float, multiple: int = 4) -> Grid:
        """The grid that covers the box between two corners (x, y, z), its extents rounded up to a multiple."""
        extents = np.ceil((np.asarray(high) - low) / spacing_mm / multiple).astype(int) * multiple
        return cls(tuple(np.asarray(low, float)), spacing_mm, tuple(int(extent) for extent in extents[::-1]))

    def coordinates(self) -> list[np.ndarray]:
        """Positions of the voxel centres along x, y and z."""
        return [start + self.spacing_mm * np.arange(size) for start, size in zip(self.origin_mm, self.shape[::-1])]

    def part(self, low: np.ndarray, high: np.ndarray) -> tuple[Grid, tuple[slice, slice, slice]] | None:
        """The part of the grid inside a box and where it lies in the whole (z, y, x); None if they do not meet."""
        sizes = np.array(self.shape[::-1])
        first = np.clip(np.ceil((low - np.array(self.origin_mm)) / self.spacing_mm), 0, sizes).astype(int)
        last = np.clip(np.floor((high - np.array(self.origin_mm)) / self.spacing_mm) + 1, 0, sizes).astype(int)
        if np.any(last <= first):
            return None
        origin = np.array(self.origin_mm) + first * self.spacing_mm
        shape = tuple(int(extent) for extent in (last - first)[::-1])
        where = tuple(slice(int(start), int(stop)) for start, stop in zip(first[::-1], last[::-1]))
        return Grid(tuple(origin), self.spacing_mm, shape), where


def measure_signed_distance(mesh: Mesh, grid: Grid, open_triangles: np.ndarray | None = None) -> np.ndarray:
    """Signed distance in mm, negative inside, clipped to +-:data:`REACH_MM`; float32 with the grid's shape (z, y, x).

    Args:
        mesh: closed surface.
        open_triangles: boolean (T,), triangles that close the mesh but are no real surface (a cut through a shaft):
            they count for what is inside, not for the distance.
    """
    inside = _find_inside(mesh, grid)
    surface = mesh if open_triangles is None else mesh.remove(open_triangles)
    corners = surface.vertices[surface.triangles]
    low, high = _find_corners(grid)
    reach = REACH_MM + grid.spacing_mm
    near_grid = np.all((corners.max(axis=1) > low - reach) & (corners.min(axis=1) < high + reach), axis=1)
    if not near_grid.any():
        return np.where(inside, -REACH_MM, REACH_MM).astype(np.float32)
    distance = _measure_unsigned_distance(surface.remove(~near_grid), grid)
    return np.where(inside, -distance, distance)


def _measure_unsigned_distance(surface: Mesh, grid: Grid) -> np.ndarray:
    points, owners = sample_surface(surface, _POINT_SPACING_MM)
    where = np.nonzero(_find_near(points, grid, _EXACT_MM))
    positions = np.array(grid.origin_mm) + np.column_stack(where[::-1]) * grid.spacing_mm
    reached, nearest = cKDTree(points).query(positions, distance_upper_bound=_EXACT_MM)
    close = np.isfinite(reached)
    where, positions = tuple(axis[close] for axis in where), positions[close]
    triangles = surface.vertices[surface.triangles[owners[nearest[close]]]]
    feet = find_nearest_on_triangles(positions, triangles)
    exact = np.linalg.norm(positions - feet, axis=1)
    if len(exact) == 0:
        return np.full(grid.shape, REACH_MM, np.float32)

    # Further away, the nearest voxel of the exact layer lends its foot.
    foot_index = np.full(grid.shape, -1, np.int32)
    foot_index[where] = np.arange(len(feet))
    indices = distance_transform_edt(foot_index < 0, return_distances=False, return_indices=True)
    discs = feet.astype(np.float32), _compute_normals(triangles).astype(np.float32)
    distance = np.minimum(_measure_distance_to_discs(foot_index[tuple(indices)], *discs, grid), REACH_MM)
    distance[where] = exact
    return distance


def _measure_distance_to_discs(index: np.ndarray, feet: np.ndarray, normals: np.ndarray, grid: Grid) -> np.ndarray:
    """Distance of each voxel to its own foot or, if nearer, to that of a neighbour (Danielsson's correction).

    Feet lie about a voxel apart, so each stands for a disc of the surface around it.
    """
    along = [axis.astype(np.float32) for axis in grid.coordinates()]
    radius_squared = np.float32((_DISC_VOXELS * grid.spacing_mm) ** 2)

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
    for reach in _NEIGHBOURS:
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


def find_nearest_on_triangles(points: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """The point of each triangle (N, 3, 3) that is nearest to its point (N, 3)."""
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
    """Unit normals (N, 3) of triangles (N, 3, 3)."""
    normals = np.cross(triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0])
    return normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)


class BoneFields:
    """Joins the distance fields of bones one by one: keeps the nearest and the second nearest bone of every voxel.

    Where the two are less than ``gap_mm`` apart, both surfaces are drawn back by the same amount: no bones touch.
    """

    def __init__(self, grid: Grid) -> None:
        self.grid = grid
        self._first = np.full(grid.shape, REACH_MM, np.float32)
        self._second = np.full(grid.shape, REACH_MM, np.float32)
        self._nearest = np.zeros(grid.shape, np.uint8)

    def add(self, distance: np.ndarray, bone_number: int, where: tuple[slice, ...] = (slice(None),) * 3) -> None:
        """Add a bone's signed distance in mm on the part ``where`` of the grid; numbers start at 1."""
        first, second, nearest = self._first[where], self._second[where], self._nearest[where]
        closer = distance < first
        second[...] = np.where(closer, first, np.minimum(second, distance))
        nearest[closer] = bone_number
        first[closer] = distance[closer]

    def joined(self, gap_mm: float) -> tuple[np.ndarray, np.ndarray]:
        """Signed distance to the nearest bone in mm (float32) and that bone's number (uint8, 0 beyond the band)."""
        shortage = np.maximum(gap_mm - (self._first + self._second), 0) * (self._second < REACH_MM)
        distance = np.minimum(self._first + shortage / 2, REACH_MM)
        return distance, np.where(distance < REACH_MM, self._nearest, 0).astype(np.uint8)


def _find_corners(grid: Grid) -> tuple[np.ndarray, np.ndarray]:
    low = np.array(grid.origin_mm)
    return low, low + grid.spacing_mm * (np.array(grid.shape[::-1]) - 1)


def _find_near(points: np.ndarray, grid: Grid, reach_mm: float, block: int = 4) -> np.ndarray:
    """Voxels that may lie within ``reach_mm``: those of blocks whose centre is near enough to a surface point."""
    half_diagonal = np.sqrt(3) / 2 * block * grid.spacing_mm
    sizes = [-(-extent // block) for extent in grid.shape]
    indices = np.indices(sizes).reshape(3, -1).T * block + (block - 1) / 2
    centers = np.array(grid.origin_mm) + indices[:, ::-1] * grid.spacing_mm
    distances, _ = cKDTree(points).query(centers, distance_upper_bound=reach_mm + half_diagonal)
    blocks = np.isfinite(distances).reshape(sizes)
    for axis in range(3):
        blocks = np.repeat(blocks, block, axis=axis)
    return blocks[: grid.shape[0], : grid.shape[1], : grid.shape[2]]


def _find_inside(mesh: Mesh, grid: Grid) -> np.ndarray:
    """Boolean (z, y, x): voxel centres inside the closed mesh."""
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
