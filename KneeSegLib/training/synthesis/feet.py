"""Scanned ankles and feet: which files belong together, and feet set under legs by the talus that both have.

Of the two Visible Human subjects the male is in trainings alone and the female in tests alone: a real CT of hers is
what trained networks are measured on.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

import numpy as np

from KneeSegLib.training.synthesis.anatomy_file import Group
from KneeSegLib.training.synthesis.bones import Bone
from KneeSegLib.training.synthesis.fitting import align_surfaces
from KneeSegLib.training.synthesis.meshes import Mesh, join_meshes, read_mesh, rotation, translation

ANKLE_SOURCE = "Lenz-Lab/TalocruralShapeModeling (CC0 1.0)"
HINDFOOT_SOURCE = "Lenz-Lab/JMA (CC0 1.0)"
FOOT_SOURCES = {
    subject: f"Visible Human {subject.capitalize()} lower limb, Andreassen et al. 2023 (CC BY 4.0)"
    for subject in ("male", "female")
}
NOT_TRAINED_ON = ("Visible Human lower limb", "Visible Human Female")
"""Beginnings of the sources that no training subject may name; the first stood for both subjects in earlier files."""

MIDFOOT = (
    "navicular",
    "cuboid",
    "medial_cuneiform",
    "intermediate_cuneiform",
    "lateral_cuneiform",
    "metatarsals_and_phalanges",
)
_MALE, _FEMALE = (tuple(f"{subject}_{side}" for side in ("right", "left")) for subject in ("male", "female"))
FEET: Mapping[Group, tuple[str, ...]] = {"train": _MALE, "validation": _MALE, "test": _FEMALE}
"""Whole feet, by the group of the subjects that they are for."""
HINDFEET: Mapping[Group, tuple[tuple[str, str], ...]] = {
    "train": (
        ("Norm_01", "right"),
        ("NonTAR_04", "right"),
        ("NonTTA_02", "left"),
        ("Norm_03", "right"),
        ("NonTTA_04", "right"),
    ),
    "validation": (("NonTTA_10", "right"),),
    "test": (("NonTAR_06", "left"),),
}
"""Scanned tali with their calcanei (subject, side), in the same groups."""
_TILTS = tuple(rotation(np.array([1.0, 0.0, 0.0]), angle) for angle in (-45, -20, 0, 20, 45))


@lru_cache(maxsize=64)
def read_ankle(data: Path, subject: str) -> dict[str, Mesh]:
    """Read distal tibia and fibula and talus of one of the 26 ankles (``"L02"``), as a right one about its talus."""
    side = "left" if subject.startswith("L") else "right"
    stem = Path(data) / "ankle_meshes" / f"KSBL_{subject}_{side}"
    return _mirror_to_right({bone: read_mesh(f"{stem}_{bone}.ply") for bone in ("tibia", "fibula", "talus")}, side)


@lru_cache(maxsize=32)
def read_hindfoot(data: Path, subject: str, side: str) -> dict[str, Mesh]:
    """Read talus and calcaneus (``"NonTAR_04", "right"``), as a right foot about its talus."""
    stem = Path(data) / "foot_meshes" / "jma" / f"{subject}_{side}"
    return _mirror_to_right({bone: read_mesh(f"{stem}_{bone}.ply") for bone in ("talus", "calcaneus")}, side)


@lru_cache(maxsize=8)
def read_foot(data: Path, foot: str) -> dict[str, Mesh]:
    """Read every bone of a foot (of :data:`FEET`), and of a leg if it has one; right, about its talus."""
    stem = Path(data) / "foot_meshes" / "visible_human" / foot
    names = ["talus", "calcaneus", *MIDFOOT] + (["tibia", "fibula"] if has_leg(foot) else [])
    return _mirror_to_right({bone: read_mesh(f"{stem}_{bone}.ply") for bone in names}, foot.split("_")[1])


def has_leg(foot: str) -> bool:
    """Return whether a foot was scanned with its tibia and fibula."""
    return foot in _FEMALE


def name_source(foot: str) -> str:
    """Return the source of a foot of :data:`FEET`."""
    return FOOT_SOURCES[foot.split("_")[0]]


def place_foot_under(talus: Mesh, data: Path, foot: str) -> tuple[dict[str, Mesh], float]:
    """Return a whole foot brought onto a talus by a similarity of the tali, and the residual of that in mm."""
    bones = read_foot(data, foot)
    found = align_surfaces(bones["talus"], talus, _TILTS)
    return {name: mesh.transform(found.transform) for name, mesh in bones.items()}, found.residual_mm


def place_hindfoot_under(talus: Mesh, data: Path, subject: str, side: str) -> dict[str, Mesh]:
    """Return a scanned talus and calcaneus brought onto a talus."""
    bones = read_hindfoot(data, subject, side)
    found = align_surfaces(bones["talus"], talus, _TILTS)
    return {name: mesh.transform(found.transform) for name, mesh in bones.items()}


def place_foot_behind(hindfoot: dict[str, Mesh], data: Path, foot: str) -> dict[str, Mesh]:
    """Return a whole foot brought onto a scanned talus and calcaneus, by both."""
    under, _ = place_foot_under(hindfoot["talus"], data, foot)
    both = join_meshes([under["talus"], under["calcaneus"]])
    found = align_surfaces(both, join_meshes([hindfoot["talus"], hindfoot["calcaneus"]]), (np.eye(4),))
    return {name: mesh.transform(found.transform) for name, mesh in under.items()}


def make_foot_bones(foot: dict[str, Mesh], cortex_factor: float) -> dict[str, Bone]:
    """Return talus, calcaneus and the unlabelled rest of a foot as bones."""
    kinds = {"talus": "talus", "calcaneus": "calcaneus", **{name: "other" for name in MIDFOOT}}
    return {name: Bone(kind, foot[name], cortex_factor=cortex_factor) for name, kind in kinds.items()}


def _mirror_to_right(meshes: dict[str, Mesh], side: str) -> dict[str, Mesh]:
    """Return meshes of a foot as those of a right one, the middle of its talus in the origin."""
    if side == "left":
        meshes = {name: mesh.mirror() for name, mesh in meshes.items()}
    home = translation(-meshes["talus"].vertices.mean(axis=0))
    return {name: mesh.transform(home) for name, mesh in meshes.items()}
