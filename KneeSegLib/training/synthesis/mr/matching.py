"""The bones of the shape model laid on those of a label map: closed meshes, vertex for vertex those of the model."""

from __future__ import annotations

import numpy as np
from scipy.spatial import KDTree

from KneeSegLib.training.synthesis.cubic_grid import CubicGrid
from KneeSegLib.training.synthesis.fitting import Surface
from KneeSegLib.training.synthesis.limb_model import LimbModel
from KneeSegLib.training.synthesis.meshes import Mesh, translation
from KneeSegLib.training.synthesis.mr.settings import (
    BENT_WITHIN_MM,
    BONE_END_MM,
    LEAST_FACING,
    SIMILARITY_STEPS,
    SKIPPED_MM,
    STEPS_PER_STIFFNESS,
    STIFFNESS_MM,
)
from KneeSegLib.training.synthesis.mr.structures import BONES


def extract_surface(distance: np.ndarray, grid: CubicGrid, step: int = 3) -> Mesh:
    """Return the zero level of a signed distance (z, y, x), from every ``step``-th voxel."""
    from vtkmodules.util.numpy_support import numpy_to_vtk, vtk_to_numpy
    from vtkmodules.vtkCommonDataModel import vtkImageData
    from vtkmodules.vtkFiltersCore import vtkFlyingEdges3D

    coarse = np.ascontiguousarray(distance[::step, ::step, ::step])
    image = vtkImageData()
    image.SetDimensions(coarse.shape[::-1])
    image.SetOrigin(grid.origin_mm)
    image.SetSpacing((grid.spacing_mm * step,) * 3)
    image.GetPointData().SetScalars(numpy_to_vtk(coarse.ravel(), deep=True))
    edges = vtkFlyingEdges3D()
    edges.SetInputData(image)
    edges.SetValue(0, 0.0)
    edges.ComputeNormalsOff()
    edges.Update()
    surface = edges.GetOutput()
    triangles = vtk_to_numpy(surface.GetPolys().GetConnectivityArray()).reshape(-1, 3)
    mesh = Mesh(vtk_to_numpy(surface.GetPoints().GetData()).astype(np.float64), triangles.astype(np.int64))
    return _turn_outward(mesh)


def fit_knee(model: LimbModel, surfaces: dict[str, Mesh], shown_mm: tuple[float, float]) -> dict[str, Mesh]:
    """Lay the model's mean bones on those of a map, each by itself, for the knee of the map is bent in its own way.

    Returns closed meshes with the model's triangles, shafts and all.

    Args:
        surfaces: bone -> surface from the label map; only what lies within ``shown_mm`` (z) counts.
    """
    bones = {}
    for bone in BONES:
        target = _keep_within(Surface.of(surfaces[bone]), shown_mm[0] + SKIPPED_MM, shown_mm[1] - SKIPPED_MM)
        mean = model.mesh(bone, np.zeros(model.size))
        start = mean.transform(translation(_find_end(target.points, bone) - _find_end(mean.vertices, bone)))
        bones[bone] = bend_onto(fit_similarity(start, target), target)
    return bones


def fit_similarity(mesh: Mesh, target: Surface) -> Mesh:
    """Return the mesh turned, shifted and scaled onto a piece of surface (iterated closest points, both ways)."""
    for _ in range(SIMILARITY_STEPS):
        own, wanted = _find_pairs(mesh, target)
        mesh = mesh.transform(find_similarity(mesh.vertices[own], wanted))
    return mesh


def bend_onto(mesh: Mesh, target: Surface) -> Mesh:
    """Return the mesh bent onto a piece of surface, by steps that are smooth over ever shorter distances."""
    movable = np.flatnonzero(np.abs(mesh.vertices[:, 2]) < BENT_WITHIN_MM)
    for stiffness in np.repeat(STIFFNESS_MM, STEPS_PER_STIFFNESS):
        own, wanted = _find_pairs(mesh, target)
        step = smooth_steps(mesh.vertices[own], wanted - mesh.vertices[own], mesh.vertices[movable], stiffness)
        vertices = mesh.vertices.copy()
        vertices[movable] += step
        mesh = Mesh(vertices, mesh.triangles)
    return mesh


def smooth_steps(places: np.ndarray, steps: np.ndarray, wanted: np.ndarray, stiffness_mm: float) -> np.ndarray:
    """Return means (M, 3) of steps (N, 3) known at ``places``, weighted by a Gaussian of the distance to ``wanted``."""
    chosen = slice(None, None, max(1, len(places) // 2500))
    places, steps = places[chosen].astype(np.float32), steps[chosen].astype(np.float32)
    result = np.empty((len(wanted), 3))
    for first in range(0, len(wanted), 1000):
        part = wanted[first : first + 1000].astype(np.float32)
        squared = ((part**2).sum(1)[:, None] + (places**2).sum(1) - 2.0 * part @ places.T).clip(min=0.0)
        # Where nothing is near, the nearest known steps are still followed.
        weight = np.exp(-0.5 * (squared - squared.min(axis=1, keepdims=True)) / stiffness_mm**2)
        result[first : first + 1000] = weight @ steps / weight.sum(axis=1, keepdims=True)
    return result


def _find_pairs(mesh: Mesh, target: Surface) -> tuple[np.ndarray, np.ndarray]:
    """Return vertices and where they should be: what is nearest and faces alike, from surface to mesh and back."""
    normals = mesh.normals()
    chosen = np.arange(0, len(target.points), max(1, len(target.points) // 4000))
    _, nearest = map(np.asarray, KDTree(mesh.vertices).query(target.points[chosen]))
    alike = np.einsum("nx,nx->n", normals[nearest], target.normals[chosen]) > LEAST_FACING
    own, wanted = nearest[alike], target.points[chosen[alike]]

    low, high = target.points[:, 2].min() + SKIPPED_MM, target.points[:, 2].max() - SKIPPED_MM
    if np.ptp(target.points[:, 2]) < np.ptp(mesh.vertices[:, 2]):
        inside = np.flatnonzero((mesh.vertices[:, 2] > low - 30.0) & (mesh.vertices[:, 2] < high + 30.0))
    else:
        inside = np.arange(len(mesh.vertices))
    distance, nearest = map(np.asarray, target.tree.query(mesh.vertices[inside]))
    at_the_cut = (target.points[nearest, 2] < low) | (target.points[nearest, 2] > high)
    alike = np.einsum("nx,nx->n", normals[inside], target.normals[nearest]) > LEAST_FACING
    beyond = at_the_cut & (distance > SKIPPED_MM)
    kept = alike & ~beyond
    return np.concatenate([own, inside[kept]]), np.concatenate([wanted, target.points[nearest[kept]]])


def _keep_within(surface: Surface, low: float, high: float) -> Surface:
    """Return the part of a surface between two heights."""
    kept = (surface.points[:, 2] > low) & (surface.points[:, 2] < high)
    return Surface(surface.points[kept], surface.normals[kept], KDTree(surface.points[kept]))


def find_similarity(moving: np.ndarray, fixed: np.ndarray, scaled: bool = True) -> np.ndarray:
    """Return the 4 x 4 turn, shift and growth that brings points (N, 3) onto corresponding ones (Umeyama 1991)."""
    middle, target = moving.mean(axis=0), fixed.mean(axis=0)
    u, singular, v = np.linalg.svd((moving - middle).T @ (fixed - target))
    signs = np.array([1.0, 1.0, np.sign(np.linalg.det(v.T @ u.T))])
    growth = (singular * signs).sum() / ((moving - middle) ** 2).sum() if scaled else 1.0
    transform = np.eye(4)
    transform[:3, :3] = growth * v.T @ np.diag(signs) @ u.T
    transform[:3, 3] = target - transform[:3, :3] @ middle
    return transform


def _find_end(points: np.ndarray, bone: str) -> np.ndarray:
    """Return the point of a bone's end at the knee: mean across, extreme along; the middle of a patella."""
    if bone == "patella":
        return points.mean(axis=0)
    downward = bone == "femur"
    extreme = points[:, 2].min() if downward else points[:, 2].max()
    near = np.abs(points[:, 2] - extreme) < BONE_END_MM
    return np.array([*points[near, :2].mean(axis=0), extreme])


def _turn_outward(mesh: Mesh) -> Mesh:
    """Return the mesh with its triangles turned so that its volume is positive."""
    corners = mesh.vertices[mesh.triangles]
    volume = float(np.einsum("tx,tx->t", corners[:, 0], np.cross(corners[:, 1], corners[:, 2])).sum())
    return mesh if volume > 0 else Mesh(mesh.vertices, mesh.triangles[:, ::-1])
