"""Bones of other subjects, drawn from the shape model in nearly the pose of a label map's.

A drawn mesh has the vertices of the one that was fitted to the map (:mod:`.matching`): they correspond one by one.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.spatial import KDTree

from KneeSegLib.training.synthesis.joints import UP, find_knee_flexion_axis, slide_to_gap
from KneeSegLib.training.synthesis.limb_model import LimbModel
from KneeSegLib.training.synthesis.meshes import Mesh, rotation, sample_surface, transform_points, translation
from KneeSegLib.training.synthesis.mr.matching import find_similarity
from KneeSegLib.training.synthesis.mr.settings import NEAR_KNEE_MM, Variation
from KneeSegLib.training.synthesis.mr.structures import BONES
from KneeSegLib.training.synthesis.settings import Bounds


def reduce_variation(variation: Variation, factor: float) -> Variation:
    """Return all bounds drawn in towards the map's own knee."""

    def reduce(bounds: Bounds, middle: float = 0.0) -> Bounds:
        low, high = (middle + factor * (bound - middle) for bound in bounds)
        return low, high

    return replace(
        variation,
        shape=factor * variation.shape,
        size=reduce(variation.size, 1.0),
        flexion=reduce(variation.flexion),
        varus=reduce(variation.varus),
        tibial_rotation=reduce(variation.tibial_rotation),
        gap_mm=reduce(variation.gap_mm),
        patella_height_mm=reduce(variation.patella_height_mm),
    )


def draw_bones(
    model: LimbModel, mapped: dict[str, np.ndarray], variation: Variation, random: np.random.Generator
) -> dict[str, Mesh]:
    """Draw bones of another subject, vertex for vertex those of a map (bone -> (V, 3)), in nearly its pose.

    Each bone is laid on the map's as well as turns and shifts can, then moved a little in the joint; the least
    distances between the bones are those of the map, give or take ``gap_mm``.
    """
    coefficients = variation.shape * model.draw_coefficients(random)
    size = random.uniform(*variation.size)
    bones = {}
    for bone in BONES:
        own = model.vertices(bone, coefficients) * size
        near = _is_near_knee(mapped[bone])
        bones[bone] = Mesh(
            transform_points(find_similarity(own[near], mapped[bone][near], scaled=False), own), model.triangles[bone]
        )

    axis = find_knee_flexion_axis(bones["femur"])
    front = np.cross(axis.direction, UP)
    flexion = random.uniform(*variation.flexion)
    bend = (
        axis.turn(flexion)
        @ rotation(UP, random.uniform(*variation.tibial_rotation))
        @ rotation(front, random.uniform(*variation.varus))
    )
    for bone in ("tibia", "fibula"):
        bones[bone] = bones[bone].transform(bend)
    climb = axis.turn(0.7 * flexion) @ translation(np.array([0, 0, random.uniform(*variation.patella_height_mm)]))
    bones["patella"] = bones["patella"].transform(climb)

    def find_gap_shift(moving: str, fixed: str, direction: np.ndarray) -> np.ndarray:
        """Return the shift of a bone that restores its least distance to another as it is in the map, or nearly."""
        gap = _measure_least_gap(mapped[moving], Mesh(mapped[fixed], model.triangles[fixed])) + random.uniform(
            *variation.gap_mm
        )
        points = bones[moving].vertices
        return slide_to_gap(
            points[_is_near_knee(points)][::3], keep_near_knee(bones[fixed]), direction, max(gap, 0.5), 12.0
        )

    shift = find_gap_shift("tibia", "femur", -UP)
    for bone in ("tibia", "fibula"):
        bones[bone] = bones[bone].transform(translation(shift))
    outward = (bones["fibula"].vertices.mean(axis=0) - bones["tibia"].vertices.mean(axis=0)) * (1.0, 1.0, 0.0)
    bones["fibula"] = bones["fibula"].transform(translation(find_gap_shift("fibula", "tibia", outward)))
    bones["patella"] = bones["patella"].transform(translation(find_gap_shift("patella", "femur", front)))
    return bones


def keep_near_knee(mesh: Mesh) -> Mesh:
    """Return the part of a mesh that matters for the knee, without triangles that reach far from it."""
    far = np.abs(mesh.vertices[mesh.triangles, 2]) > NEAR_KNEE_MM + 15.0
    return mesh.remove(np.asarray(far.any(axis=1)))


def _is_near_knee(points: np.ndarray) -> np.ndarray:
    """Mark the points (N, 3) at the height of the knee."""
    return np.abs(points[:, 2]) < NEAR_KNEE_MM


def _measure_least_gap(moving: np.ndarray, fixed: Mesh) -> float:
    """Return the least distance of points near the knee to a surface."""
    distance, _ = KDTree(sample_surface(keep_near_knee(fixed), 1.5)[0]).query(moving[_is_near_knee(moving)])
    return float(distance.min())
