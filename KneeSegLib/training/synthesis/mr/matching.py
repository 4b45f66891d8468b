"""The shape model laid on the bones of a label map, and other people's bones put in their place.

A fitted mesh and a drawn one have the same vertices: each vertex of the one belongs where its namesake of the other is.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from KneeSegLib.training.synthesis.cubic_grid import CubicGrid
from KneeSegLib.training.synthesis.fitting import Surface
from KneeSegLib.training.synthesis.joints import UP, find_knee_flexion_axis, slide_to_gap
from KneeSegLib.training.synthesis.limb_model import LimbModel
from KneeSegLib.training.synthesis.meshes import Mesh, rotation, sample_surface, transform_points, translation
from KneeSegLib.training.synthesis.mr.structures import BONES

NEAR_KNEE_MM = 75.0
_END_MM = 40.0
_SKIPPED_MM = 3.0
_SIMILAR_STEPS = 40
_STIFFNESS_MM = (40.0, 28.0, 20.0, 14.0, 10.0, 7.0, 7.0)
_STEPS_PER_STIFFNESS = 3
_FACING = 0.4
_MOVED_MM = 130.0
"""Vertices further from the knee than this stay where similarity put them, as far as their neighbours let them."""


def extract_surface(distance: np.ndarray, grid: CubicGrid, step: int = 3) -> Mesh:
    """The zero level of a signed distance (z, y, x), from every ``step``-th voxel."""
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


def fit_knee(model: LimbModel, surfaces: dict[str, Mesh], seen_mm: tuple[float, float]) -> dict[str, Mesh]:
    """Lay the model's mean bones on those of a map, each by itself, for the knee of the map is bent in its own way.

    Returns closed meshes with the model's triangles, shafts and all.

    Args:
        surfaces: bone -> surface from the label map; only what lies within ``seen_mm`` (z) counts.
    """
    bones = {}
    for bone in BONES:
        target = _keep_within(Surface.of(surfaces[bone]), seen_mm[0] + _SKIPPED_MM, seen_mm[1] - _SKIPPED_MM)
        mean = model.mesh(bone, np.zeros(model.size))
        start = mean.transform(translation(_find_end(target.points, bone) - _find_end(mean.vertices, bone)))
        bones[bone] = bend_onto(fit_similarity(start, target), target)
    return bones


def fit_similarity(mesh: Mesh, target: Surface) -> Mesh:
    """The mesh turned, shifted and scaled onto a piece of surface (iterated closest points, both ways)."""
    for _ in range(_SIMILAR_STEPS):
        own, wanted = _find_pairs(mesh, target)
        mesh = mesh.transform(find_similarity(mesh.vertices[own], wanted))
    return mesh


def bend_onto(mesh: Mesh, target: Surface) -> Mesh:
    """The mesh bent onto a piece of surface, by steps that are smooth over ever shorter distances."""
    movable = np.flatnonzero(np.abs(mesh.vertices[:, 2]) < _MOVED_MM)
    for stiffness in np.repeat(_STIFFNESS_MM, _STEPS_PER_STIFFNESS):
        own, wanted = _find_pairs(mesh, target)
        step = smooth_steps(mesh.vertices[own], wanted - mesh.vertices[own], mesh.vertices[movable], stiffness)
        vertices = mesh.vertices.copy()
        vertices[movable] += step
        mesh = Mesh(vertices, mesh.triangles)
    return mesh


def smooth_steps(places: np.ndarray, steps: np.ndarray, wanted: np.ndarray, stiffness_mm: float) -> np.ndarray:
    """Mean of steps (N, 3) known at ``places``, weighted by a Gaussian of the distance, at points ``wanted`` (M, 3)."""
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
    """Vertices and where they should be: what is nearest and faces alike, from surface to mesh and back."""
    normals = mesh.normals()
    chosen = np.arange(0, len(target.points), max(1, len(target.points) // 4000))
    _, nearest = cKDTree(mesh.vertices).query(target.points[chosen])
    alike = np.einsum("nx,nx->n", normals[nearest], target.normals[chosen]) > _FACING
    own, wanted = nearest[alike], target.points[chosen[alike]]

    low, high = target.points[:, 2].min() + _SKIPPED_MM, target.points[:, 2].max() - _SKIPPED_MM
    if np.ptp(target.points[:, 2]) < np.ptp(mesh.vertices[:, 2]):
        inside = np.flatnonzero((mesh.vertices[:, 2] > low - 30.0) & (mesh.vertices[:, 2] < high + 30.0))
    else:
        inside = np.arange(len(mesh.vertices))
    distance, nearest = target.tree.query(mesh.vertices[inside])
    at_the_cut = (target.points[nearest, 2] < low) | (target.points[nearest, 2] > high)
    alike = np.einsum("nx,nx->n", normals[inside], target.normals[nearest]) > _FACING
    beyond = at_the_cut & (distance > _SKIPPED_MM)
    kept = alike & ~beyond
    return np.concatenate([own, inside[kept]]), np.concatenate([wanted, target.points[nearest[kept]]])


def _keep_within(surface: Surface, low: float, high: float) -> Surface:
    kept = (surface.points[:, 2] > low) & (surface.points[:, 2] < high)
    return Surface(surface.points[kept], surface.normals[kept], cKDTree(surface.points[kept]))


@dataclass(frozen=True)
class Variation:
    """How a drawn knee differs from a mapped one: bounds in mm and degrees, shapes in standard deviations."""

    shape: float = 1.0
    size: tuple[float, float] = (0.92, 1.08)
    flexion: tuple[float, float] = (-9.0, 12.0)
    varus: tuple[float, float] = (-3.0, 3.0)
    tibial_rotation: tuple[float, float] = (-6.0, 6.0)
    gap_mm: tuple[float, float] = (-0.8, 0.8)
    patella_height_mm: tuple[float, float] = (-6.0, 6.0)

    def reduce(self, factor: float) -> Variation:
        """All bounds drawn in towards the map's own knee."""

        def drawn_in(bounds: tuple[float, float]) -> tuple[float, float]:
            return factor * bounds[0], factor * bounds[1]

        low, high = self.size
        return Variation(
            shape=factor * self.shape,
            size=(1.0 + factor * (low - 1.0), 1.0 + factor * (high - 1.0)),
            **{
                name: drawn_in(getattr(self, name))
                for name in ("flexion", "varus", "tibial_rotation", "gap_mm", "patella_height_mm")
            },
        )


def draw_bones(
    model: LimbModel, mapped: dict[str, np.ndarray], draw: Variation, random: np.random.Generator
) -> dict[str, Mesh]:
    """Bones of another person, vertex for vertex those of a map (bone -> (V, 3)), in nearly its pose.

    Each bone is laid on the map's as well as turns and shifts can, then moved a little in the joint; the least
    distances between the bones are those of the map, give or take ``draw.gap_mm``.
    """
    coefficients = draw.shape * model.draw_coefficients(random)
    size = random.uniform(*draw.size)
    bones = {}
    for bone in BONES:
        own = model.vertices(bone, coefficients) * size
        near = _is_near_knee(mapped[bone])
        bones[bone] = Mesh(
            transform_points(find_similarity(own[near], mapped[bone][near], scaled=False), own), model.triangles[bone]
        )

    axis = find_knee_flexion_axis(bones["femur"])
    front = np.cross(axis.direction, UP)
    flexion = random.uniform(*draw.flexion)
    bend = (
        axis.turn(flexion)
        @ rotation(UP, random.uniform(*draw.tibial_rotation))
        @ rotation(front, random.uniform(*draw.varus))
    )
    for bone in ("tibia", "fibula"):
        bones[bone] = bones[bone].transform(bend)
    climb = axis.turn(0.7 * flexion) @ translation(np.array([0, 0, random.uniform(*draw.patella_height_mm)]))
    bones["patella"] = bones["patella"].transform(climb)

    def apart(moving: str, fixed: str, direction: np.ndarray) -> np.ndarray:
        """Shift of a bone that restores its least distance to another as it is in the map, or nearly."""
        gap = _measure_least_gap(mapped[moving], Mesh(mapped[fixed], model.triangles[fixed])) + random.uniform(
            *draw.gap_mm
        )
        points = bones[moving].vertices
        return slide_to_gap(
            points[_is_near_knee(points)][::3], keep_near_knee(bones[fixed]), direction, max(gap, 0.5), 12.0
        )

    shift = apart("tibia", "femur", -UP)
    for bone in ("tibia", "fibula"):
        bones[bone] = bones[bone].transform(translation(shift))
    outward = (bones["fibula"].vertices.mean(axis=0) - bones["tibia"].vertices.mean(axis=0)) * (1.0, 1.0, 0.0)
    bones["fibula"] = bones["fibula"].transform(translation(apart("fibula", "tibia", outward)))
    bones["patella"] = bones["patella"].transform(translation(apart("patella", "femur", front)))
    return bones


def find_similarity(moving: np.ndarray, fixed: np.ndarray, scaled: bool = True) -> np.ndarray:
    """4 x 4 turn, shift and growth that brings points (N, 3) nearest to their namesakes (Umeyama 1991)."""
    middle, target = moving.mean(axis=0), fixed.mean(axis=0)
    u, singular, v = np.linalg.svd((moving - middle).T @ (fixed - target))
    signs = np.array([1.0, 1.0, np.sign(np.linalg.det(v.T @ u.T))])
    growth = (singular * signs).sum() / ((moving - middle) ** 2).sum() if scaled else 1.0
    transform = np.eye(4)
    transform[:3, :3] = growth * v.T @ np.diag(signs) @ u.T
    transform[:3, 3] = target - transform[:3, :3] @ middle
    return transform


def keep_near_knee(mesh: Mesh) -> Mesh:
    """The part of a mesh that matters for the knee: triangles that reach far from it are left out."""
    return mesh.remove((np.abs(mesh.vertices[mesh.triangles, 2]) > NEAR_KNEE_MM + 15.0).any(axis=1))


def _is_near_knee(points: np.ndarray) -> np.ndarray:
    return np.abs(points[:, 2]) < NEAR_KNEE_MM


def _measure_least_gap(moving: np.ndarray, fixed: Mesh) -> float:
    """Least distance of points near the knee to a surface."""
    distance, _ = cKDTree(sample_surface(keep_near_knee(fixed), 1.5)[0]).query(moving[_is_near_knee(moving)])
    return float(distance.min())


def _find_end(points: np.ndarray, bone: str) -> np.ndarray:
    """A point that says where the knee's end of a bone is: mean across, extreme along; the middle of a patella."""
    if bone == "patella":
        return points.mean(axis=0)
    downward = bone == "femur"
    extreme = points[:, 2].min() if downward else points[:, 2].max()
    near = np.abs(points[:, 2] - extreme) < _END_MM
    return np.array([*points[near, :2].mean(axis=0), extreme])


def _turn_outward(mesh: Mesh) -> Mesh:
    """The mesh with its triangles turned so that its volume is positive."""
    corners = mesh.vertices[mesh.triangles]
    volume = np.einsum("tx,tx->t", corners[:, 0], np.cross(corners[:, 1], corners[:, 2])).sum()
    return mesh if volume > 0 else Mesh(mesh.vertices, mesh.triangles[:, ::-1])
