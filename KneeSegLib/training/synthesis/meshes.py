"""Triangle meshes of bones: read, move, mirror, sample. Millimetres, LPS, triangles counter-clockwise from outside."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from KneeSegLib.errors import InputError


@dataclass(frozen=True)
class Mesh:
    """A closed surface: ``vertices`` (V, 3) float64 in mm, ``triangles`` (T, 3) indices into them."""

    vertices: np.ndarray
    triangles: np.ndarray

    def mirror(self) -> Mesh:
        """Return the mesh of the other side of the body: x negated, triangles turned so that normals stay outward."""
        return Mesh(self.vertices * (-1.0, 1.0, 1.0), self.triangles[:, ::-1])

    def transform(self, matrix: np.ndarray) -> Mesh:
        """Return the mesh, its vertices through a 4 x 4 matrix of positive determinant."""
        return Mesh(transform_points(matrix, self.vertices), self.triangles)

    def normals(self) -> np.ndarray:
        """Return the unit normal of each vertex (V, 3): the mean of its triangles' normals, weighted by area."""
        corners = self.vertices[self.triangles]
        area_normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        sums = np.zeros_like(self.vertices)
        for corner in range(3):
            np.add.at(sums, self.triangles[:, corner], area_normals)
        return sums / np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), 1e-12)

    def keep(self, vertices: np.ndarray) -> Mesh:
        """Return the part made of the vertices marked in a boolean array (V,), with the triangles it keeps whole."""
        renumbered = np.cumsum(vertices) - 1
        return Mesh(self.vertices[vertices], renumbered[self.triangles[vertices[self.triangles].all(axis=1)]])

    def remove(self, triangles: np.ndarray) -> Mesh:
        """Return the mesh without the triangles marked in a boolean array (T,): an open surface."""
        return Mesh(self.vertices, self.triangles[~triangles])


def join_meshes(meshes: list[Mesh]) -> Mesh:
    """Return one mesh of several, which should not intersect."""
    offsets = np.cumsum([0, *(len(mesh.vertices) for mesh in meshes)])
    return Mesh(
        np.concatenate([mesh.vertices for mesh in meshes]),
        np.concatenate([mesh.triangles + offset for mesh, offset in zip(meshes, offsets)]),
    )


def read_mesh(path: str | Path) -> Mesh:
    """Read a triangle mesh from PLY.

    Raises:
        InputError: the file is absent or holds no triangles.
    """
    from vtkmodules.util.numpy_support import vtk_to_numpy
    from vtkmodules.vtkIOPLY import vtkPLYReader

    from KneeSegLib.surfaces.file_checks import require_sound_ply, require_sound_triangles

    if not Path(path).is_file():
        raise InputError(f"{path} does not exist; the anatomy data must hold this surface.")
    require_sound_ply(Path(path))
    reader = vtkPLYReader()
    reader.SetFileName(str(path))
    reader.Update()
    surface = reader.GetOutput()
    if surface.GetNumberOfPolys() == 0:
        raise InputError(f"{path} holds no triangles; a closed PLY surface was expected.")
    require_sound_triangles(surface, Path(path))
    vertices = vtk_to_numpy(surface.GetPoints().GetData()).astype(np.float64)
    triangles = vtk_to_numpy(surface.GetPolys().GetConnectivityArray()).reshape(-1, 3)
    return Mesh(vertices, triangles.astype(np.int64))


def sample_surface(mesh: Mesh, spacing_mm: float) -> tuple[np.ndarray, np.ndarray]:
    """Return points that cover the surface so that none of it is further than about ``0.6 * spacing_mm`` from one.

    Each triangle is cut into ``n * n`` equal ones of edge ``spacing_mm`` or less; their centres are the points.

    Returns:
        points (N, 3) and the triangle (N,) that each lies on.
    """
    corners = mesh.vertices[mesh.triangles]
    longest = np.linalg.norm(corners - np.roll(corners, 1, axis=1), axis=2).max(axis=1)
    cuts = np.maximum(np.ceil(longest / spacing_mm), 1).astype(int)
    points, owners = [], []
    for count in np.unique(cuts):
        chosen = np.flatnonzero(cuts == count)
        weights = _compute_centre_weights(int(count))
        points.append(np.einsum("pc,tcx->tpx", weights, corners[chosen]).reshape(-1, 3))
        owners.append(np.repeat(chosen, len(weights)))
    return np.concatenate(points), np.concatenate(owners)


def _compute_centre_weights(count: int) -> np.ndarray:
    """Return barycentric coordinates (count^2, 3) of the centres of a triangle's ``count * count`` parts."""
    upright = [(i + 1 / 3, j + 1 / 3) for i in range(count) for j in range(count - i)]
    inverted = [(i + 2 / 3, j + 2 / 3) for i in range(count) for j in range(count - i - 1)]
    first_two = np.array(upright + inverted) / count
    return np.column_stack([first_two, 1 - first_two.sum(axis=1)])


def transform_points(matrix: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Return points (..., 3) through a 4 x 4 matrix."""
    return points @ matrix[:3, :3].T + matrix[:3, 3]


def translation(shift: np.ndarray) -> np.ndarray:
    """Return the 4 x 4 matrix that adds ``shift``."""
    transform = np.eye(4)
    transform[:3, 3] = shift
    return transform


def rotation(axis: np.ndarray, angle_degrees: float, center: np.ndarray | None = None) -> np.ndarray:
    """Return the 4 x 4 matrix that turns about ``axis`` through ``center``, right-handed (Rodrigues' formula)."""
    x, y, z = np.asarray(axis, float) / np.linalg.norm(axis)
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    angle = np.radians(angle_degrees)
    transform = np.eye(4)
    transform[:3, :3] += np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross
    if center is not None:
        transform[:3, 3] = center - transform[:3, :3] @ center
    return transform


def scaling(factors: float | np.ndarray, center: np.ndarray) -> np.ndarray:
    """Return the 4 x 4 matrix that scales about ``center``."""
    transform = np.eye(4)
    transform[:3, :3] *= factors
    transform[:3, 3] = center - transform[:3, :3] @ center
    return transform
