"""Pelvis and both legs with their feet, of subjects of the shape model: for the localiser and the naming network.

Subjects ``model...`` lie as most patients do. Those called ``posed...`` have each leg posed for itself as far as legs
can be, apart, touching or crossed, and of some a part of a leg was taken off.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from KneeSegLib.training.synthesis import feet
from KneeSegLib.training.synthesis.amputation import amputate
from KneeSegLib.training.synthesis.anatomy_file import Anatomy
from KneeSegLib.training.synthesis.arrangements import ARRANGEMENTS, Arrangement, LegBones, Pelvis, arrange_legs
from KneeSegLib.training.synthesis.bones import Bone, draw_cortex_factor, enlarge_bones, move_bones
from KneeSegLib.training.synthesis.cubic_grid import CubicGrid
from KneeSegLib.training.synthesis.joints import draw_hip_pose, draw_knee_pose, fit_sphere, pose_hip, pose_knee
from KneeSegLib.training.synthesis.leg_poses import FOOT, SHANK, draw_leg_pose, pose_leg
from KneeSegLib.training.synthesis.legs import find_ankle_axis, place_foot_under_leg
from KneeSegLib.training.synthesis.limb_model import SOURCE, LimbModel, read_limb_model
from KneeSegLib.training.synthesis.meshes import rotation, scaling, translation
from KneeSegLib.training.synthesis.settings import (
    BODY_MARGIN_MM,
    MOST_DEVIATIONS,
    POSED_SUBJECTS,
    POSED_TEST_SPACING_MM,
    PREPARED_SPACING_MM,
    SIDES_DEVIATION,
    SIZE_FACTORS,
)
from KneeSegLib.training.synthesis.voxels import CaseName, draw_gap_mm, name_model_cases, recenter_bones, voxelize_bones

PELVIS = ("hip_bone", "hip_bone_opposite", "sacrum")
LEG = ("femur", "patella", "tibia", "fibula")
POSED = "posed"


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
    posed = [
        CaseName("body", group, f"{POSED}{number:02d}")
        for group, count in POSED_SUBJECTS.items()
        for number in range(1, count + 1)
    ]
    return name_model_cases("body") + posed


def find_arrangement(name: CaseName) -> Arrangement:
    """Return how the legs of a subject lie."""
    if not name.subject.startswith(POSED):
        return Arrangement()
    return ARRANGEMENTS[(int(name.subject.removeprefix(POSED)) - 1) % len(ARRANGEMENTS)]


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
    posed = name.subject.startswith(POSED)
    build_leg = _build_posed_leg if posed else _build_leg
    right = build_leg(subject, data, own[int(random.integers(len(own)))], random)
    other = coefficients + random.normal(0, SIDES_DEVIATION, model.size)
    other = replace(subject, coefficients=np.clip(other, -MOST_DEVIATIONS, MOST_DEVIATIONS))
    left = build_leg(other, data, own[int(random.integers(len(own)))], random)
    arrangement = find_arrangement(name)
    legs = arrange_legs(right, left, Pelvis(right_head, left_head), arrangement.legs, random)
    if arrangement.lost is not None:
        legs = _take_off(legs, arrangement, random)

    bones = [(bone, "right") for part, bone in pelvis.items() if part != "hip_bone_opposite"]
    bones.append((Bone("hip_bone", pelvis["hip_bone_opposite"].mesh, cortex_factor=factor), "left"))
    bones += [(bone, side) for leg, side in zip(legs, ("right", "left")) for bone in leg.values()]
    tilt = rotation(np.array([1.0, 0.0, 0.0]), random.uniform(-4, 4)) @ rotation(
        random.standard_normal(3), random.uniform(0, 4)
    )
    bones = [(bone.transform(tilt), side) for bone, side in bones]
    lows, highs = zip(*(bone.bounds() for bone, _ in bones))
    low, high = np.min(lows, axis=0) - BODY_MARGIN_MM, np.max(highs, axis=0) + BODY_MARGIN_MM
    fine = posed and name.group == "test"
    grid = CubicGrid.around(low, high, POSED_TEST_SPACING_MM if fine else PREPARED_SPACING_MM["body"])
    return voxelize_bones(bones, grid, draw_gap_mm(random, 3.0), name, [SOURCE, feet.name_source(own[0])])


def _take_off(
    legs: tuple[LegBones, LegBones], arrangement: Arrangement, random: np.random.Generator
) -> tuple[LegBones, LegBones]:
    """Return both legs, of one of them only what is left."""
    assert arrangement.lost is not None
    right, left = legs
    if random.random() < 0.5:
        return amputate(right, arrangement.lost, random), left
    return right, amputate(left, arrangement.lost, random)


def _build_leg(subject: _Subject, data: Path, foot: str, random: np.random.Generator) -> LegBones:
    """Build a posed right leg with a foot, the centre of its femoral head at the origin."""
    bones = _assemble_leg(subject, data, foot, random)
    axis = find_ankle_axis(bones["tibia"].mesh, bones["fibula"].mesh, bones["talus"].mesh)
    bones = move_bones(bones, axis.turn(random.uniform(-35, 0)), *FOOT)

    knee = draw_knee_pose(random, 30.0)
    bones = pose_knee(bones, knee, SHANK)
    # Who lies raises the knee that is bent.
    hip = replace(draw_hip_pose(random), flexion=knee.flexion / 2 + random.uniform(-6, 8))
    return pose_hip(bones, np.zeros(3), hip, tuple(bones))


def _build_posed_leg(subject: _Subject, data: Path, foot: str, random: np.random.Generator) -> LegBones:
    """Build a right leg as :func:`_build_leg` does, in any pose."""
    return pose_leg(_assemble_leg(subject, data, foot, random), draw_leg_pose(random))


def _assemble_leg(subject: _Subject, data: Path, foot: str, random: np.random.Generator) -> LegBones:
    """Return the bones of an extended right leg and its foot, the centre of its femoral head at the origin."""
    limb = subject.build_limb()
    head, _ = fit_sphere(limb["femur"].mesh.vertices[subject.model.regions["femur_head"]])
    bones = recenter_bones({part: limb[part] for part in LEG}, head)

    # The foot is fitted with the ankle at the origin, where small turns are small.
    ankle = bones["tibia"].axis_ends[1]
    tibia, fibula = (bones[part].mesh.transform(translation(-ankle)) for part in ("tibia", "fibula"))
    meshes = place_foot_under_leg(tibia, fibula, data, foot)
    change = scaling(random.uniform(0.95, 1.05, 3), meshes["talus"].vertices.mean(axis=0))
    return bones | move_bones(
        feet.make_foot_bones({part: meshes[part].transform(change) for part in FOOT}, subject.cortex_factor),
        translation(ankle),
    )
