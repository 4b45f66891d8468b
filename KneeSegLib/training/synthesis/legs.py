"""Lower legs: tibia and fibula of the shape model joined to scanned distal ends, or set over a foot."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from KneeSegLib.training.synthesis.bones import Bone, Splice
from KneeSegLib.training.synthesis.feet import has_leg, read_ankle, read_foot
from KneeSegLib.training.synthesis.fitting import Surface, align_surfaces, continue_shaft, fit_subject
from KneeSegLib.training.synthesis.joints import Axis, fit_sphere
from KneeSegLib.training.synthesis.limb_model import LimbModel, find_long_axis
from KneeSegLib.training.synthesis.meshes import Mesh, join_meshes, rotation, transform_points, translation

UP = np.array([0.0, 0.0, 1.0])
TEMPLATE_ANKLE = "L04"
"""Scanned ankle by which feet are set under legs that were scanned without one: of the training ankles the one whose
ends of tibia and fibula fit the mean of the shape model best."""


def find_cut_triangles(mesh: Mesh, direction: np.ndarray) -> np.ndarray:
    """Mark the triangles (T,) of the flat cap that closes a cut shaft, which lies furthest along ``direction``."""
    corners = mesh.vertices[mesh.triangles]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
    along = corners.mean(axis=1) @ direction
    return (normals @ direction > 0.7) & (along > (mesh.vertices @ direction).max() - 0.8)


def splice_end(bone: Bone, scanned: Mesh, direction: np.ndarray, length_mm: float, continued_mm: float) -> Bone:
    """Return a modelled bone whose end is replaced by a scanned one that was cut across ``direction``.

    Args:
        length_mm: one passes into the other over this length.
        continued_mm: the modelled shaft is aligned with so much of the scanned one.
    """
    cut = find_cut_triangles(scanned, direction)
    point = scanned.vertices[scanned.triangles[cut]].mean(axis=(0, 1))
    bone = bone.transform(
        continue_shaft(bone.mesh, Surface.of(scanned, cut).near(point, direction, continued_mm), point)
    )
    return replace(bone, splice=Splice(scanned, cut, point, direction, length_mm))


def fit_leg(
    ankle: dict[str, Mesh], model: LimbModel, prior: np.ndarray, cortex_factor: float
) -> tuple[dict[str, Bone], float]:
    """Return whole tibia and fibula whose distal ends are the scanned ones; and the fit's residual in mm.

    Args:
        ankle: scanned ``tibia``, ``fibula`` (cut above) and ``talus``, right.
        prior: coefficients of the subject whose shafts are used.
    """
    targets = {name: Surface.of(ankle[name], find_cut_triangles(ankle[name], UP)) for name in ("tibia", "fibula")}
    start = _match_malleoli(model, prior, ankle)
    coefficients, fit = fit_subject(model, targets, start, prior)
    plafond = ankle["talus"].vertices[:, 2].max()
    bones = {}
    for name in ("tibia", "fibula"):
        mesh = model.mesh(name, coefficients).transform(fit.transform)
        bone = Bone(name, mesh, find_long_axis(mesh), cortex_factor=cortex_factor)
        length = 15.0 if name == "fibula" else min(15.0, 0.7 * (ankle[name].vertices[:, 2].max() - plafond))
        bones[name] = splice_end(bone, ankle[name], UP, length, 18.0)
    return bones, fit.residual_mm


def _match_malleoli(model: LimbModel, coefficients: np.ndarray, ankle: dict[str, Mesh]) -> np.ndarray:
    """Return the turn about the vertical and the shift that bring the model's malleoli onto scanned ones."""
    fibula_tip, tibia_tip = (model.vertices(name, coefficients) for name in ("fibula", "tibia"))
    fibula_tip, tibia_tip = _average_lowest(fibula_tip), _average_lowest(tibia_tip)
    scanned_fibula, scanned_tibia = (_average_lowest(ankle[name].vertices) for name in ("fibula", "tibia"))
    own, wanted = tibia_tip - fibula_tip, scanned_tibia - scanned_fibula
    angle = np.degrees(np.arctan2(wanted[1], wanted[0]) - np.arctan2(own[1], own[0]))
    middle, wanted_middle = (fibula_tip + tibia_tip) / 2, (scanned_fibula + scanned_tibia) / 2
    return translation(wanted_middle - middle) @ rotation(UP, angle, middle)


def _average_lowest(vertices: np.ndarray, height_mm: float = 4.0) -> np.ndarray:
    """Return the mean of the vertices within a height of the lowest one."""
    return vertices[vertices[:, 2] < vertices[:, 2].min() + height_mm].mean(axis=0)


def place_foot_under_leg(tibia: Mesh, fibula: Mesh, data: Path, foot: str) -> dict[str, Mesh]:
    """Return a whole foot under a whole tibia and fibula.

    A foot that was scanned with its leg is aligned by the ends of tibia and fibula; another one by the talus of an
    ankle that is aligned by them.
    """
    template = read_foot(data, foot) if has_leg(foot) else read_ankle(data, TEMPLATE_ANKLE)
    target = join_meshes([_keep_lower_part(tibia), _keep_lower_part(fibula)])
    own = join_meshes([_keep_lower_part(template["tibia"]), _keep_lower_part(template["fibula"])])
    turns = [rotation(UP, angle) for angle in (-60, -30, 0, 30)]
    under = align_surfaces(own, target, turns).transform
    bones = read_foot(data, foot)
    if not has_leg(foot):
        tilts = [rotation(np.array([1.0, 0.0, 0.0]), angle) for angle in (-20, 0, 20)]
        under = under @ align_surfaces(bones["talus"], template["talus"], tilts).transform
    return {name: mesh.transform(under) for name, mesh in bones.items()}


def _keep_lower_part(mesh: Mesh, height_mm: float = 45.0) -> Mesh:
    """Return the lowest part of a bone, an open surface, for alignment."""
    return mesh.keep(mesh.vertices[:, 2] < mesh.vertices[:, 2].min() + height_mm)


def find_ankle_axis(tibia: Mesh, fibula: Mesh, talus: Mesh) -> Axis:
    """Return the axis of plantar and dorsal flexion of a right ankle.

    It goes through the centre of the talar dome, along the malleoli, and points to the patient's left; positive angles
    about it point the foot down.
    """
    across = _average_lowest(tibia.vertices) - _average_lowest(fibula.vertices)
    across[2] *= 0.5
    return fit_talar_dome(talus, across / np.linalg.norm(across))


def fit_talar_dome(talus: Mesh, across: np.ndarray) -> Axis:
    """Return the axis along the unit vector ``across`` (to the patient's left) through the centre of the talar dome."""
    forward = np.cross(across, UP)
    forward /= np.linalg.norm(forward)
    upward = np.cross(forward, across)
    normals = talus.normals()
    height = talus.vertices @ upward
    dome = (normals @ upward > 0.6) & (height > height.max() - 7)
    flat = np.column_stack([talus.vertices[dome] @ forward, height[dome]])
    (ahead, up), _ = fit_sphere(flat)
    middle = talus.vertices[dome].mean(axis=0) @ across
    return Axis(middle * across + ahead * forward + up * upward, across)


def find_upright_turn(shaft: np.ndarray, forward: np.ndarray) -> np.ndarray:
    """Return the 4 x 4 turn that brings a shaft (ends (2, 3), upper first) upright and ``forward`` to the front."""
    up = shaft[0] - shaft[1]
    up /= np.linalg.norm(up)
    back = -(forward - (forward @ up) * up)
    back /= np.linalg.norm(back)
    transform = np.eye(4)
    transform[:3, :3] = np.stack([np.cross(back, up), back, up])
    transform[:3, 3] = -transform_points(transform, shaft[1])
    return transform
