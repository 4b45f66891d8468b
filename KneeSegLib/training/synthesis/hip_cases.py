"""Hips: subjects of the shape model, some with the scanned proximal femur of a real subject."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from KneeSegLib.training.synthesis.anatomy_file import Anatomy, Group
from KneeSegLib.training.synthesis.bones import Bone, draw_cortex_factor, enlarge_bones, move_bones
from KneeSegLib.training.synthesis.cubic_grid import CubicGrid
from KneeSegLib.training.synthesis.fitting import Surface, align_surfaces, fit_subject
from KneeSegLib.training.synthesis.joints import draw_hip_pose, fit_sphere, pose_hip
from KneeSegLib.training.synthesis.legs import find_cut_triangles, splice_end
from KneeSegLib.training.synthesis.limb_model import SOURCE, LimbModel, read_limb_model
from KneeSegLib.training.synthesis.meshes import read_mesh, rotation, translation
from KneeSegLib.training.synthesis.settings import (
    HIP_ACROSS_MIDLINE_MM,
    HIP_BELOW_HEAD_MM,
    HIP_LATERAL_MM,
    HIP_MARGIN_MM,
    PREPARED_SPACING_MM,
    SIZE_FACTORS,
)
from KneeSegLib.training.synthesis.voxels import CaseName, draw_gap_mm, name_model_cases, recenter_bones, voxelize_bones

FEMUR_SOURCE = "diku-dk/libhip (MIT)"
DOWN = np.array([0.0, 0.0, -1.0])
BONES = ("femur", "hip_bone", "hip_bone_opposite", "sacrum")

SCANNED_FEMORA: dict[str, Group] = {
    "m3right": "train",
    "m3left": "train",
    "m4right": "train",
    "m4left": "train",
    "m7right": "test",
    "m7left": "test",
    "m8left": "test",
}
"""Both femora of a subject are in one group."""


def list_cases() -> list[CaseName]:
    """Return the names of all cases, those of scanned femora among the first."""
    modelled = name_model_cases("hip")
    scanned = [CaseName("hip", group, f"scan{femur}") for femur, group in SCANNED_FEMORA.items()]
    return modelled[:2] + scanned + modelled[2:]


def build_case(name: CaseName, data: Path, random: np.random.Generator) -> Anatomy:
    """Build one right hip, from above the iliac crest to the middle of the femur, 40 mm across the midline."""
    model = read_limb_model(data)
    factor = draw_cortex_factor(random)
    coefficients = model.draw_coefficients(random)
    sources = [SOURCE]
    if name.subject.startswith("scan"):
        limb = _fit_scanned_femur(model, coefficients, factor, data, name.subject[4:])
        sources.append(FEMUR_SOURCE)
    else:
        limb = enlarge_bones(model.build_limb(coefficients, factor), random.uniform(*SIZE_FACTORS))
    head, _ = fit_sphere(limb["femur"].mesh.vertices[model.regions["femur_head"]])
    bones = recenter_bones({part: limb[part] for part in BONES}, head)
    bones = pose_hip(bones, np.zeros(3), draw_hip_pose(random), ("femur",))
    bones = move_bones(bones, rotation(np.array([1.0, 0.0, 0.0]), random.uniform(-8, 8)))
    bones = move_bones(bones, rotation(random.standard_normal(3), random.uniform(0, 6)))
    sided = [(bone, "right") for bone in bones.values()]
    return voxelize_bones(sided, _find_box(bones), draw_gap_mm(random, 3.0), name, sources)


def _fit_scanned_femur(
    model: LimbModel, prior: np.ndarray, cortex_factor: float, data: Path, femur: str
) -> dict[str, Bone]:
    """Return the subject of the shape model that fits a scanned femur best, with that femur's own upper end."""
    subject, side = femur[:2], femur[2:]
    scanned = read_mesh(Path(data) / "hip_meshes" / f"libhip_{subject}_{side}_proximal_femur.ply")
    scanned = scanned if side == "right" else scanned.mirror()
    scanned = scanned.transform(translation(-scanned.vertices.mean(axis=0)))
    cut = find_cut_triangles(scanned, DOWN)
    whole = model.mesh("femur", prior)
    upper = whole.keep(whole.vertices[:, 2] > whole.vertices[:, 2].max() - np.ptp(scanned.vertices[:, 2]))
    turns = [rotation(DOWN, angle) for angle in (-40, -20, 0, 20)]
    start = align_surfaces(upper, scanned, turns).transform
    coefficients, fit = fit_subject(model, {"femur": Surface.of(scanned, cut)}, start, prior)
    limb = {part: bone.transform(fit.transform) for part, bone in model.build_limb(coefficients, cortex_factor).items()}
    limb["femur"] = splice_end(limb["femur"], scanned, DOWN, 20.0, 35.0)
    # The pelvis back upright, whichever way the thigh lay in the scanner.
    upright = np.eye(4)
    upright[:3, :3] = np.linalg.inv(fit.transform[:3, :3] / np.cbrt(np.linalg.det(fit.transform[:3, :3])))
    return move_bones(limb, upright)


def _find_box(bones: dict[str, Bone]) -> CubicGrid:
    """Return the grid around a right hip whose femoral head is the origin."""
    pelvis = [bones[part].mesh.vertices for part in BONES[1:]]
    own, opposite, _ = pelvis
    midline = (own[:, 0].max() + opposite[:, 0].min()) / 2
    femur = bones["femur"].mesh.vertices
    femur = femur[femur[:, 2] > -HIP_BELOW_HEAD_MM]
    shown = np.concatenate([*pelvis, femur])
    shown = shown[shown[:, 0] < midline + HIP_ACROSS_MIDLINE_MM]
    low, high = shown.min(axis=0) - HIP_MARGIN_MM, shown.max(axis=0) + HIP_MARGIN_MM
    low[0] = femur[:, 0].min() - HIP_LATERAL_MM
    low[2], high[0] = -HIP_BELOW_HEAD_MM, midline + HIP_ACROSS_MIDLINE_MM
    low[0] = min(low[0], own[:, 0].min() - HIP_MARGIN_MM)
    return CubicGrid.around(low, high, PREPARED_SPACING_MM["hip"])
