"""Knees: people of the shape model, and two people's label maps from MR."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from KneeSegLib.training.synthesis.anatomy_file import Anatomy
from KneeSegLib.training.synthesis.bones import enlarge_bones, move_bones
from KneeSegLib.training.synthesis.distance import Grid
from KneeSegLib.training.synthesis.joints import draw_knee_pose, find_knee_flexion_axis, pose_knee
from KneeSegLib.training.synthesis.label_knees import LABEL_MAPS, build_label_knee
from KneeSegLib.training.synthesis.limb_model import SOURCE, read_limb_model
from KneeSegLib.training.synthesis.meshes import rotation
from KneeSegLib.training.synthesis.voxels import CaseName, recenter_bones, voxelize_bones

SPACING_MM = 1.0
HALF_HEIGHT_MM = 150.0
BONES = ("femur", "patella", "tibia", "fibula")


def list_cases() -> list[CaseName]:
    groups = (("train", 32), ("validation", 4), ("test", 4))
    modelled = [
        CaseName("knee", group, f"model{number:02d}") for group, count in groups for number in range(1, count + 1)
    ]
    return modelled[:4] + [CaseName("knee", "train", subject) for subject in LABEL_MAPS] + modelled[4:]


def build_case(name: CaseName, data: Path, random: np.random.Generator, flexion: float | None = None) -> Anatomy:
    """One right knee: of the shape model, 300 mm high, knee in the middle; or as high as a label map shows it.

    Args:
        flexion: degrees, instead of a random angle (shape model only).
    """
    if name.subject in LABEL_MAPS:
        return build_label_knee(name, data, random)
    model = read_limb_model(data)
    limb = model.build_limb(model.draw_coefficients(random), cortex_factor=random.uniform(0.6, 1.25))
    bones = enlarge_bones({name: limb[name] for name in BONES}, random.uniform(0.93, 1.07))
    pose = draw_knee_pose(random)
    if flexion is not None:
        pose = replace(pose, flexion=flexion)
    bones = pose_knee(bones, pose)

    axis = find_knee_flexion_axis(bones["femur"].mesh)
    bones = recenter_bones(bones, axis.center)
    # In a scanner thigh and calf share the bend, and the leg lies turned a little.
    bones = move_bones(bones, rotation(axis.direction, -pose.flexion / 2 + random.uniform(-4, 4)))
    bones = move_bones(bones, rotation(np.array([0.0, 0.0, 1.0]), random.uniform(-15, 15)))

    joint_line = bones["tibia"].ends[0]
    near = np.concatenate([bone.mesh.vertices for bone in bones.values()]) - joint_line
    near = near[np.abs(near[:, 2]) < 60]
    middle = (near.min(axis=0) + near.max(axis=0)) / 2
    half_x = 76.0
    half_y = 76.0 + 12.0 * min(pose.flexion / 20, 1)
    center = joint_line + (middle[0], middle[1], 0)
    half = np.array([half_x, half_y, HALF_HEIGHT_MM])
    grid = Grid.around(center - half, center + half, SPACING_MM)
    gap_mm = 0.3 if random.random() < 0.15 else random.uniform(0.5, 3.0)
    return voxelize_bones([(bone, "right") for bone in bones.values()], grid, gap_mm, name, [SOURCE])
