"""Pelvis and both legs with their feet, from the shape model: what the localiser and the naming network learn from."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from KneeSegLib.training.synthesis import feet
from KneeSegLib.training.synthesis.anatomy_file import Anatomy
from KneeSegLib.training.synthesis.bones import Bone, enlarge_bones, move_bones
from KneeSegLib.training.synthesis.distance import Grid
from KneeSegLib.training.synthesis.joints import (
    HipPose,
    draw_hip_pose,
    draw_knee_pose,
    fit_sphere,
    pose_hip,
    pose_knee,
)
from KneeSegLib.training.synthesis.legs import find_ankle_axis, place_foot_under_leg
from KneeSegLib.training.synthesis.limb_model import SOURCE, LimbModel, read_limb_model
from KneeSegLib.training.synthesis.meshes import rotation, scaling, translation
from KneeSegLib.training.synthesis.voxels import CaseName, recenter_bones, voxelize_bones

SPACING_MM = 3.0
MARGIN_MM = 15.0
LEAST_BETWEEN_LEGS_MM = 20.0
PELVIS = ("hip_bone", "hip_bone_opposite", "sacrum")
FOOT = ("talus", "calcaneus", *feet.MIDFOOT)


def list_cases() -> list[CaseName]:
    groups = (("train", 16), ("validation", 2), ("test", 3))
    return [CaseName("body", group, f"model{number:02d}") for group, count in groups for number in range(1, count + 1)]


def build_case(name: CaseName, data: Path, random: np.random.Generator) -> Anatomy:
    """One person from the iliac crests to the soles, both legs posed on their own."""
    model = read_limb_model(data)
    factor = random.uniform(0.6, 1.25)
    coefficients = model.draw_coefficients(random)
    size = random.uniform(0.93, 1.07)
    limb = enlarge_bones(model.build_limb(coefficients, factor), size)
    pelvis = {part: limb[part] for part in PELVIS}
    right_head, _ = fit_sphere(limb["hip_bone"].mesh.vertices[model.regions["acetabulum"]])
    left_head, _ = fit_sphere(limb["hip_bone_opposite"].mesh.vertices[model.regions["acetabulum_opposite"]])

    right = _build_leg(model, coefficients, size, factor, data, feet.FEET[int(random.integers(4))], random)
    other = np.clip(coefficients + random.normal(0, 0.25, model.size), -2, 2)
    left = _build_leg(model, other, size, factor, data, feet.FEET[int(random.integers(4))], random)
    right, left = _spread_legs(right, left, right_head, left_head)

    bones = [(bone, "right") for part, bone in pelvis.items() if part != "hip_bone_opposite"]
    bones.append((Bone("hip_bone", pelvis["hip_bone_opposite"].mesh, cortex_factor=factor), "left"))
    bones += [(bone, "right") for bone in right.values()] + [(bone, "left") for bone in left.values()]
    tilt = rotation(np.array([1.0, 0.0, 0.0]), random.uniform(-4, 4)) @ rotation(
        random.standard_normal(3), random.uniform(0, 4)
    )
    bones = [(bone.transform(tilt), side) for bone, side in bones]
    vertices = np.concatenate([bone.mesh.vertices for bone, _ in bones])
    grid = Grid.around(vertices.min(axis=0) - MARGIN_MM, vertices.max(axis=0) + MARGIN_MM, SPACING_MM)
    gap_mm = 0.3 if random.random() < 0.15 else random.uniform(0.5, 3.0)
    return voxelize_bones(bones, grid, gap_mm, name, [SOURCE, feet.FOOT_SOURCE])


def _build_leg(
    model: LimbModel,
    coefficients: np.ndarray,
    size: float,
    factor: float,
    data: Path,
    foot: str,
    random: np.random.Generator,
) -> dict[str, Bone]:
    """A posed right leg with a foot, the centre of its femoral head at the origin."""
    limb = enlarge_bones(model.build_limb(coefficients, factor), size)
    head, _ = fit_sphere(limb["femur"].mesh.vertices[model.regions["femur_head"]])
    bones = recenter_bones({part: limb[part] for part in ("femur", "patella", "tibia", "fibula")}, head)

    # The foot is fitted with the ankle at the origin, where small turns are small.
    ankle = bones["tibia"].ends[1]
    tibia, fibula = (bones[part].mesh.transform(translation(-ankle)) for part in ("tibia", "fibula"))
    meshes = place_foot_under_leg(tibia, fibula, data, foot)
    change = scaling(random.uniform(0.95, 1.05, 3), meshes["talus"].vertices.mean(axis=0))
    bones |= move_bones(
        feet.make_foot_bones({part: meshes[part].transform(change) for part in FOOT}, factor), translation(ankle)
    )
    axis = find_ankle_axis(bones["tibia"].mesh, bones["fibula"].mesh, bones["talus"].mesh)
    bones = move_bones(bones, axis.turn(random.uniform(-35, 0)), *FOOT)

    knee = draw_knee_pose(random, 30.0)
    bones = pose_knee(bones, knee, ("tibia", "fibula", *FOOT))
    # Lying people raise the knee that they bend.
    hip = replace(draw_hip_pose(random), flexion=knee.flexion / 2 + random.uniform(-6, 8))
    return pose_hip(bones, np.zeros(3), hip, tuple(bones))


def _spread_legs(
    right: dict[str, Bone], left: dict[str, Bone], right_head: np.ndarray, left_head: np.ndarray
) -> tuple[dict[str, Bone], dict[str, Bone]]:
    """A right leg and another to be mirrored, set into their hip joints and spread until flesh fits between them."""
    spread = HipPose(abduction=1.0)
    for _ in range(25):
        placed = move_bones(right, translation(right_head))
        mirrored = move_bones({part: bone.mirrored() for part, bone in left.items()}, translation(left_head))
        if _measure_room_between(placed, mirrored) > LEAST_BETWEEN_LEGS_MM:
            break
        right, left = (pose_hip(leg, np.zeros(3), spread, tuple(leg)) for leg in (right, left))
    return placed, mirrored


def _measure_room_between(right: dict[str, Bone], left: dict[str, Bone], slab_mm: float = 25.0) -> float:
    """Least distance along x between two legs at the same height; negative where they cross."""
    points = [np.concatenate([bone.mesh.vertices for bone in leg.values()]) for leg in (right, left)]
    slabs = [np.floor(leg[:, 2] / slab_mm).astype(int) for leg in points]
    shared = np.intersect1d(*slabs)
    return float(min(points[1][slabs[1] == slab, 0].min() - points[0][slabs[0] == slab, 0].max() for slab in shared))
