"""Pelvis and both legs with their feet, of subjects of the shape model: for the localiser and the naming network."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from KneeSegLib.training.synthesis import feet
from KneeSegLib.training.synthesis.anatomy_file import Anatomy
from KneeSegLib.training.synthesis.bones import Bone, draw_cortex_factor, enlarge_bones, move_bones
from KneeSegLib.training.synthesis.cubic_grid import CubicGrid
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
from KneeSegLib.training.synthesis.settings import (
    BODY_MARGIN_MM,
    LEAST_BETWEEN_LEGS_MM,
    MOST_DEVIATIONS,
    MOST_SPREAD_DEGREES,
    PREPARED_SPACING_MM,
    SIDES_DEVIATION,
    SIZE_FACTORS,
)
from KneeSegLib.training.synthesis.voxels import CaseName, draw_gap_mm, name_model_cases, recenter_bones, voxelize_bones

PELVIS = ("hip_bone", "hip_bone_opposite", "sacrum")
FOOT = ("talus", "calcaneus", *feet.MIDFOOT)


@dataclass(frozen=True)
class _Subject:
    """A subject of the shape model: its coefficients (K,), and factors of its size and of its cortices."""

    model: LimbModel
    coefficients: np.ndarray
    size: float
    cortex_factor: float

    def build_limb(self) -> dict[str, Bone]:
        """Return all bones as a right limb, see :meth:`LimbModel.build_limb`."""
        return enlarge_bones(self.model.build_limb(self.coefficients, self.cortex_factor), self.size)


def list_cases() -> list[CaseName]:
    """Return the names of all cases."""
    return name_model_cases("body")


def build_case(name: CaseName, data: Path, random: np.random.Generator) -> Anatomy:
    """Build one subject from the iliac crests to the soles, both legs posed on their own."""
    model = read_limb_model(data)
    factor = draw_cortex_factor(random)
    coefficients = model.draw_coefficients(random)
    subject = _Subject(model, coefficients, random.uniform(*SIZE_FACTORS), factor)
    limb = subject.build_limb()
    pelvis = {part: limb[part] for part in PELVIS}
    right_head, _ = fit_sphere(limb["hip_bone"].mesh.vertices[model.regions["acetabulum"]])
    left_head, _ = fit_sphere(limb["hip_bone_opposite"].mesh.vertices[model.regions["acetabulum_opposite"]])

    own = feet.FEET[name.group]
    right = _build_leg(subject, data, own[int(random.integers(len(own)))], random)
    other = coefficients + random.normal(0, SIDES_DEVIATION, model.size)
    other = replace(subject, coefficients=np.clip(other, -MOST_DEVIATIONS, MOST_DEVIATIONS))
    left = _build_leg(other, data, own[int(random.integers(len(own)))], random)
    right, left = _spread_legs(right, left, right_head, left_head)

    bones = [(bone, "right") for part, bone in pelvis.items() if part != "hip_bone_opposite"]
    bones.append((Bone("hip_bone", pelvis["hip_bone_opposite"].mesh, cortex_factor=factor), "left"))
    bones += [(bone, "right") for bone in right.values()] + [(bone, "left") for bone in left.values()]
    tilt = rotation(np.array([1.0, 0.0, 0.0]), random.uniform(-4, 4)) @ rotation(
        random.standard_normal(3), random.uniform(0, 4)
    )
    bones = [(bone.transform(tilt), side) for bone, side in bones]
    vertices = np.concatenate([bone.mesh.vertices for bone, _ in bones])
    low, high = vertices.min(axis=0) - BODY_MARGIN_MM, vertices.max(axis=0) + BODY_MARGIN_MM
    grid = CubicGrid.around(low, high, PREPARED_SPACING_MM["body"])
    return voxelize_bones(bones, grid, draw_gap_mm(random, 3.0), name, [SOURCE, feet.name_source(own[0])])


def _build_leg(subject: _Subject, data: Path, foot: str, random: np.random.Generator) -> dict[str, Bone]:
    """Build a posed right leg with a foot, the centre of its femoral head at the origin."""
    limb = subject.build_limb()
    head, _ = fit_sphere(limb["femur"].mesh.vertices[subject.model.regions["femur_head"]])
    bones = recenter_bones({part: limb[part] for part in ("femur", "patella", "tibia", "fibula")}, head)

    # The foot is fitted with the ankle at the origin, where small turns are small.
    ankle = bones["tibia"].axis_ends[1]
    tibia, fibula = (bones[part].mesh.transform(translation(-ankle)) for part in ("tibia", "fibula"))
    meshes = place_foot_under_leg(tibia, fibula, data, foot)
    change = scaling(random.uniform(0.95, 1.05, 3), meshes["talus"].vertices.mean(axis=0))
    bones |= move_bones(
        feet.make_foot_bones({part: meshes[part].transform(change) for part in FOOT}, subject.cortex_factor),
        translation(ankle),
    )
    axis = find_ankle_axis(bones["tibia"].mesh, bones["fibula"].mesh, bones["talus"].mesh)
    bones = move_bones(bones, axis.turn(random.uniform(-35, 0)), *FOOT)

    knee = draw_knee_pose(random, 30.0)
    bones = pose_knee(bones, knee, ("tibia", "fibula", *FOOT))
    # Who lies raises the knee that is bent.
    hip = replace(draw_hip_pose(random), flexion=knee.flexion / 2 + random.uniform(-6, 8))
    return pose_hip(bones, np.zeros(3), hip, tuple(bones))


def _spread_legs(
    right: dict[str, Bone], left: dict[str, Bone], right_head: np.ndarray, left_head: np.ndarray
) -> tuple[dict[str, Bone], dict[str, Bone]]:
    """Return two right legs, the second one mirrored, in their hip joints and so far apart that flesh fits between."""
    spread = HipPose(abduction=1.0)
    legs = _place_legs(right, left, right_head, left_head)
    for _ in range(MOST_SPREAD_DEGREES):
        if _measure_room_between(*legs) > LEAST_BETWEEN_LEGS_MM:
            break
        right, left = (pose_hip(leg, np.zeros(3), spread, tuple(leg)) for leg in (right, left))
        legs = _place_legs(right, left, right_head, left_head)
    return legs


def _place_legs(
    right: dict[str, Bone], left: dict[str, Bone], right_head: np.ndarray, left_head: np.ndarray
) -> tuple[dict[str, Bone], dict[str, Bone]]:
    """Return two right legs whose femoral heads are in the origin, the second one mirrored, in their hip joints."""
    mirrored = {part: bone.mirror() for part, bone in left.items()}
    return move_bones(right, translation(right_head)), move_bones(mirrored, translation(left_head))


def _measure_room_between(right: dict[str, Bone], left: dict[str, Bone], slab_mm: float = 25.0) -> float:
    """Return the least distance along x between two legs at the same height; negative where they cross."""
    points = [np.concatenate([bone.mesh.vertices for bone in leg.values()]) for leg in (right, left)]
    slabs = [np.floor(leg[:, 2] / slab_mm).astype(int) for leg in points]
    common = np.intersect1d(slabs[0], slabs[1])
    return float(min(points[1][slabs[1] == slab, 0].min() - points[0][slabs[0] == slab, 0].max() for slab in common))
