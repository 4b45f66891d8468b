"""Knees: subjects of the shape model, and two subjects' label maps from MR."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from KneeSegLib.training.synthesis.anatomy_file import Anatomy
from KneeSegLib.training.synthesis.bones import draw_cortex_factor, enlarge_bones, move_bones
from KneeSegLib.training.synthesis.cubic_grid import CubicGrid
from KneeSegLib.training.synthesis.joints import draw_knee_pose, find_knee_flexion_axis, pose_knee
from KneeSegLib.training.synthesis.label_knees import LABEL_MAPS, build_label_knee
from KneeSegLib.training.synthesis.limb_model import SOURCE, read_limb_model
from KneeSegLib.training.synthesis.meshes import rotation
from KneeSegLib.training.synthesis.settings import (
    KNEE_BENT_DEGREES,
    KNEE_BENT_MM,
    KNEE_HALF_HEIGHT_MM,
    KNEE_HALF_WIDTH_MM,
    PREPARED_SPACING_MM,
    SIZE_FACTORS,
)
from KneeSegLib.training.synthesis.voxels import CaseName, draw_gap_mm, name_model_cases, recenter_bones, voxelize_bones

BONES = ("femur", "patella", "tibia", "fibula")


def list_cases() -> list[CaseName]:
    """Return the names of all cases, those of the label maps among the first."""
    modelled = name_model_cases("knee")
    return modelled[:4] + [CaseName("knee", "train", subject) for subject in LABEL_MAPS] + modelled[4:]


def build_case(name: CaseName, data: Path, random: np.random.Generator, flexion: float | None = None) -> Anatomy:
    """Build one right knee: of the shape model, 300 mm high, knee in the middle; or as high as a label map shows it.

    Args:
        flexion: degrees, instead of a random angle (shape model only).
    """
    if name.subject in LABEL_MAPS:
        return build_label_knee(name, data, random)
    model = read_limb_model(data)
    limb = model.build_limb(model.draw_coefficients(random), cortex_factor=draw_cortex_factor(random))
    bones = enlarge_bones({name: limb[name] for name in BONES}, random.uniform(*SIZE_FACTORS))
    pose = draw_knee_pose(random)
    if flexion is not None:
        pose = replace(pose, flexion=flexion)
    bones = pose_knee(bones, pose)

    axis = find_knee_flexion_axis(bones["femur"].mesh)
    bones = recenter_bones(bones, axis.center)
    # In a scanner thigh and calf take half of the bend each, and the leg lies turned a little.
    bones = move_bones(bones, rotation(axis.direction, -pose.flexion / 2 + random.uniform(-4, 4)))
    bones = move_bones(bones, rotation(np.array([0.0, 0.0, 1.0]), random.uniform(-15, 15)))

    joint_line = bones["tibia"].axis_ends[0]
    near = np.concatenate([bone.mesh.vertices for bone in bones.values()]) - joint_line
    near = near[np.abs(near[:, 2]) < 60]
    middle = (near.min(axis=0) + near.max(axis=0)) / 2
    half_y = KNEE_HALF_WIDTH_MM + KNEE_BENT_MM * min(pose.flexion / KNEE_BENT_DEGREES, 1)
    center = joint_line + (middle[0], middle[1], 0)
    half = np.array([KNEE_HALF_WIDTH_MM, half_y, KNEE_HALF_HEIGHT_MM])
    grid = CubicGrid.around(center - half, center + half, PREPARED_SPACING_MM["knee"])
    sided = [(bone, "right") for bone in bones.values()]
    return voxelize_bones(sided, grid, draw_gap_mm(random, 3.0), name, [SOURCE])
