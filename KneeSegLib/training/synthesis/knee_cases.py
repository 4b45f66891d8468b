"""Knees: people of the shape model, and two people's label maps from MR."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from KneeSegLib.training.synthesis.anatomy_file import Anatomy
from KneeSegLib.training.synthesis.bones import enlarged, moved
from KneeSegLib.training.synthesis.distance import Grid
from KneeSegLib.training.synthesis.joints import knee_flexion_axis, posed_knee, random_knee_pose
from KneeSegLib.training.synthesis.label_knees import LABEL_MAPS, label_knee
from KneeSegLib.training.synthesis.meshes import rotation
from KneeSegLib.training.synthesis.people import SOURCE, limb_model
from KneeSegLib.training.synthesis.voxels import CaseName, recentered, voxelized

SPACING_MM = 1.0
HALF_HEIGHT_MM = 150.0
BONES = ("femur", "patella", "tibia", "fibula")


def case_names() -> list[CaseName]:
    groups = (("train", 32), ("validation", 4), ("test", 4))
    modelled = [
        CaseName("knee", group, f"model{number:02d}") for group, count in groups for number in range(1, count + 1)
    ]
    return modelled[:4] + [CaseName("knee", "train", subject) for subject in LABEL_MAPS] + modelled[4:]


def build(name: CaseName, data: Path, random: np.random.Generator, flexion: float | None = None) -> Anatomy:
    """One right knee: of the shape model, 300 mm high, knee in the middle; or as high as a label map shows it.

    Args:
        flexion: degrees, instead of a random angle (shape model only).
    """
    if name.subject in LABEL_MAPS:
        return label_knee(name, data, random)
    model = limb_model(data)
    limb = model.limb(model.random_coefficients(random), cortex_factor=random.uniform(0.6, 1.25))
    bones = enlarged({name: limb[name] for name in BONES}, random.uniform(0.93, 1.07))
    pose = random_knee_pose(random)
    if flexion is not None:
        pose = replace(pose, flexion=flexion)
    bones = posed_knee(bones, pose)

    axis = knee_flexion_axis(bones["femur"].mesh)
    bones = recentered(bones, axis.center)
    # In a scanner thigh and calf share the bend, and the leg lies turned a little.
    bones = moved(bones, rotation(axis.direction, -pose.flexion / 2 + random.uniform(-4, 4)))
    bones = moved(bones, rotation(np.array([0.0, 0.0, 1.0]), random.uniform(-15, 15)))

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
    return voxelized([(bone, "right") for bone in bones.values()], grid, gap_mm, name, [SOURCE])
