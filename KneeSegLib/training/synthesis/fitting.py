"""Registration of surfaces: a similarity, or the shape model, fitted to a scanned piece of bone.

Both minimise the distance of points to the tangent planes of their nearest neighbours by Gauss-Newton steps (Chen and
Medioni, *Object modelling by registration of multiple range images*, 1992), the shape model with its coefficients as
further unknowns. Place what is fitted near the origin: small turns are taken about it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.spatial import KDTree

from KneeSegLib.training.synthesis.limb_model import LimbModel
from KneeSegLib.training.synthesis.meshes import Mesh, scaling, transform_points, translation
from KneeSegLib.training.synthesis.settings import (
    FIT_DEVIATION_MM,
    FIT_MODES,
    FIT_POINTS,
    FIT_STEPS,
    INDEPENDENT_POINTS,
    MOST_DEVIATIONS,
)


@dataclass(frozen=True)
class Surface:
    """Points of a surface with outward normals (N, 3) and a search tree."""

    points: np.ndarray
    normals: np.ndarray
    tree: KDTree

    @classmethod
    def of(cls, mesh: Mesh, without: np.ndarray | None = None) -> Surface:
        """Return the vertices of a mesh, less those of the triangles marked in ``without`` (T,)."""
        kept = np.ones(len(mesh.vertices), bool)
        if without is not None:
            kept[np.unique(mesh.triangles[without])] = False
        points, normals = mesh.vertices[kept], mesh.normals()[kept]
        return cls(points, normals, KDTree(points))

    def near(self, point: np.ndarray, direction: np.ndarray, reach_mm: float) -> Surface:
        """Return the part that lies beyond a plane across ``direction``, ``reach_mm`` before ``point``."""
        kept = (self.points - point) @ direction > -reach_mm
        return Surface(self.points[kept], self.normals[kept], KDTree(self.points[kept]))


@dataclass(frozen=True)
class Alignment:
    """A 4 x 4 matrix and the root mean square distance in mm that it leaves."""

    transform: np.ndarray
    residual_mm: float


def align_surfaces(moving: Mesh, fixed: Mesh, starts: Sequence[np.ndarray], scaled: bool = True) -> Alignment:
    """Return the similarity (or rigid motion) that brings one closed surface onto another of the same bone.

    Args:
        starts: 4 x 4 rotations to try; each is set up centre on centre, the best result is returned.

    Raises:
        ValueError: there is no start.
    """
    surface = Surface.of(fixed)
    points = moving.vertices[:: max(1, len(moving.vertices) // 1200)]
    center = moving.vertices.mean(axis=0)
    best: Alignment | None = None
    for start in starts:
        transform = translation(fixed.vertices.mean(axis=0)) @ start @ translation(-center)
        for _ in range(FIT_STEPS):
            placed = transform_points(transform, points)
            distance, nearest = surface.tree.query(placed)
            kept = distance <= max(np.quantile(distance, 0.9), 1e-6)
            columns, offset = _differentiate_motion(
                placed[kept], surface.normals[nearest[kept]], surface.points[nearest[kept]], scaled
            )
            solution = np.linalg.lstsq(columns, offset, rcond=None)[0]
            transform = _make_motion(solution, scaled) @ transform
        residual = float(np.sqrt(np.mean(surface.tree.query(transform_points(transform, points))[0] ** 2)))
        if best is None or residual < best.residual_mm:
            best = Alignment(transform, residual)
    if best is None:
        raise ValueError("align_surfaces needs at least one start.")
    return best


def fit_subject(
    model: LimbModel,
    targets: dict[str, Surface],
    start: np.ndarray,
    prior: np.ndarray,
) -> tuple[np.ndarray, Alignment]:
    """Return coefficients (K,) and similarity with which the shape model fits scanned pieces of its bones best.

    Args:
        targets: bone name -> surface of the scanned piece, without the cut.
        start: 4 x 4, model to scan.
        prior: coefficients (K,) that a free choice falls back to; the fit may move the first
            :data:`~.settings.FIT_MODES` of them.
    """
    coefficients, transform = prior.copy(), start
    stiffness = FIT_POINTS / INDEPENDENT_POINTS * FIT_DEVIATION_MM**2
    samples = {name: np.arange(len(s.points))[:: max(1, len(s.points) // FIT_POINTS)] for name, s in targets.items()}
    residual = np.inf
    for step in range(FIT_STEPS):
        rows, offsets = [], []
        free = FIT_MODES if step >= FIT_STEPS // 3 else 0
        for name, surface in targets.items():
            shape = Mesh(transform_points(transform, model.vertices(name, coefficients)), model.triangles[name])
            chosen = samples[name]
            target = surface.points[chosen]
            distance, nearest = map(np.asarray, KDTree(shape.vertices).query(target))
            normals = shape.normals()[nearest]
            kept = (distance <= np.quantile(distance, 0.95)) & (
                np.einsum("nx,nx->n", normals, surface.normals[chosen]) > 0.3
            )
            normals, points, target = normals[kept], shape.vertices[nearest[kept]], target[kept]
            columns, offset = _differentiate_motion(points, normals, target, True)
            directions = model.modes[name][:free, nearest[kept]] @ transform[:3, :3].T
            rows.append(np.column_stack([columns, np.einsum("knx,nx->nk", directions, normals)]))
            offsets.append(offset)
        residual = float(np.sqrt(np.mean(np.concatenate(offsets) ** 2)))
        pull = np.zeros((free, 7 + free))
        pull[:, 7:] = np.sqrt(stiffness) * np.eye(free)
        solution = np.linalg.lstsq(
            np.concatenate([*rows, pull]),
            np.concatenate([*offsets, np.sqrt(stiffness) * (prior[:free] - coefficients[:free])]),
            rcond=None,
        )[0]
        coefficients[:free] = np.clip(coefficients[:free] + solution[7:], -MOST_DEVIATIONS, MOST_DEVIATIONS)
        transform = _make_motion(solution[:7], True) @ transform
    return coefficients, Alignment(transform, residual)


def continue_shaft(moving: Mesh, scanned: Surface, center: np.ndarray) -> np.ndarray:
    """Return a small similarity that makes a modelled shaft run on from a scanned one, given its last piece.

    A round shaft does not determine a turn around it or a shift along it: weak springs hold what is left open.

    Args:
        scanned: the wall of the scanned shaft near its cut.
        center: a point near it, about which the motion is small.
    """
    total = np.eye(4)
    home, back = translation(-center), translation(center)
    targets = transform_points(home, scanned.points)
    springs = np.sqrt(len(targets)) * np.diag([10.0, 10.0, 10.0, 0.1, 0.1, 0.1, 5.0])
    for _ in range(FIT_STEPS):
        shape = moving.transform(total).transform(home)
        normals = shape.normals()
        _, nearest = map(np.asarray, KDTree(shape.vertices).query(targets))
        kept = np.einsum("nx,nx->n", normals[nearest], scanned.normals) > 0.5
        columns, offset = _differentiate_motion(
            shape.vertices[nearest[kept]], normals[nearest[kept]], targets[kept], True
        )
        # The springs damp each step; many steps still go all the way where the surface pulls.
        solution = np.linalg.lstsq(
            np.concatenate([columns, springs]), np.concatenate([offset, np.zeros(7)]), rcond=None
        )[0]
        total = back @ _make_motion(solution, True) @ home @ total
    return total


def _differentiate_motion(
    points: np.ndarray, normals: np.ndarray, targets: np.ndarray, scaled: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Return how small turns, shifts (and growth) change the distances to the tangent planes, and those distances."""
    columns = [np.cross(points, normals), normals]
    if scaled:
        columns.append(np.einsum("nx,nx->n", points, normals)[:, None])
    return np.column_stack(columns), np.einsum("nx,nx->n", targets - points, normals)


def _make_motion(solution: np.ndarray, scaled: bool) -> np.ndarray:
    """Return the similarity of a Gauss-Newton step: turn, shift and growth about the origin."""
    from scipy.spatial.transform import Rotation

    transform = np.eye(4)
    transform[:3, :3] = Rotation.from_rotvec(solution[:3]).as_matrix()
    transform[:3, 3] = solution[3:6]
    if scaled:
        transform = scaling(1 + np.clip(solution[6], -0.05, 0.05), np.zeros(3)) @ transform
    return transform
