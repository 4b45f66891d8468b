"""Subjects drawn from the statistical shape model of the lower limb (pelvis, femur, patella, tibia, fibula).

The model's own limb is the left one; everything here is handed out as a right limb, mirrored.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from scipy.spatial import KDTree

from KneeSegLib.errors import InputError
from KneeSegLib.training.synthesis.bones import Bone
from KneeSegLib.training.synthesis.meshes import Mesh
from KneeSegLib.training.synthesis.settings import LEAST_ILIAC_WING_MM, MOST_DEVIATIONS

SOURCE = "musculoskeletal/models LLP26 (MPL-2.0)"
MODEL_FILE = "lower_limb_shape/llp26_left_linear.npz"

# The model's left limb is our right one after mirroring, and so its other hip bone becomes the left one.
_KINDS = {
    "hip_bone": "hip_left",
    "hip_bone_opposite": "hip_right",
    "sacrum": "sacrum",
    "femur": "femur",
    "patella": "patella",
    "tibia": "tibia",
    "fibula": "fibula",
}


@dataclass(frozen=True)
class LimbModel:
    """Mean and modes of the posed, mirrored model.

    Attributes:
        mean: bone name -> (V, 3) mm.
        modes: bone name -> (K, V, 3) mm per standard deviation.
        triangles: bone name -> (T, 3).
        regions: vertex indices: ``femur_head``, ``acetabulum`` (of the limb's own hip bone), ``acetabulum_opposite``.
    """

    mean: dict[str, np.ndarray]
    modes: dict[str, np.ndarray]
    triangles: dict[str, np.ndarray]
    regions: dict[str, np.ndarray]

    @property
    def size(self) -> int:
        """Number of modes."""
        return len(next(iter(self.modes.values())))

    def draw_coefficients(self, random: np.random.Generator) -> np.ndarray:
        """Draw coefficients (K,) in standard deviations, normal, cut at :data:`~.settings.MOST_DEVIATIONS`."""
        return np.clip(random.standard_normal(self.size), -MOST_DEVIATIONS, MOST_DEVIATIONS)

    def vertices(self, name: str, coefficients: np.ndarray) -> np.ndarray:
        """Return the vertices (V, 3) in mm of one bone with coefficients (K,)."""
        return self.mean[name] + np.tensordot(coefficients, self.modes[name], 1)

    def mesh(self, name: str, coefficients: np.ndarray) -> Mesh:
        """Return the surface of one bone with coefficients (K,)."""
        return Mesh(self.vertices(name, coefficients), self.triangles[name])

    def build_limb(self, coefficients: np.ndarray, cortex_factor: float = 1.0) -> dict[str, Bone]:
        """Return all bones of one subject as a right limb with the whole pelvis, knee extended, joints in place."""
        bones = {}
        for name in _KINDS:
            mesh = self.mesh(name, coefficients)
            if name.startswith("hip_bone"):
                mesh = thicken_sheets(thicken_sheets(mesh, LEAST_ILIAC_WING_MM), LEAST_ILIAC_WING_MM)
            kind = name if name in ("hip_bone", "femur", "patella", "tibia", "fibula") else "other"
            ends = find_long_axis(mesh) if name in ("femur", "tibia", "fibula") else None
            bones[name] = Bone(kind, mesh, ends, cortex_factor=cortex_factor)
        return bones


def thicken_sheets(mesh: Mesh, least_mm: float, reach_mm: float = 7.0) -> Mesh:
    """Return the mesh with thin sheets thickened: some modes drive the faces of the iliac wing through each other."""
    normals = mesh.normals()
    _, neighbours = KDTree(mesh.vertices).query(mesh.vertices, k=24)
    facing = np.einsum("nkx,nx->nk", normals[neighbours], normals) < -0.75
    offsets = mesh.vertices[:, None] - mesh.vertices[neighbours]
    near = np.linalg.norm(offsets, axis=2) < reach_mm
    thickness = np.where(facing & near, np.einsum("nkx,nx->nk", offsets, normals), np.inf).min(axis=1)
    push = np.clip((least_mm - thickness) / 2, 0, 3.0)
    return Mesh(mesh.vertices + push[:, None] * normals, mesh.triangles)


def find_long_axis(mesh: Mesh) -> np.ndarray:
    """Return the upper and the lower end (2, 3) of a long bone: where its principal axis leaves it."""
    center = mesh.vertices.mean(axis=0)
    _, _, axes = np.linalg.svd(mesh.vertices - center, full_matrices=False)
    axis = axes[0] if axes[0, 2] < 0 else -axes[0]
    along = (mesh.vertices - center) @ axis
    return center + np.outer([along.min(), along.max()], axis)


@lru_cache(maxsize=1)
def read_limb_model(data: Path) -> LimbModel:
    """Read the shape model below the folder ``data``; raises :class:`InputError` where it is absent."""
    path = Path(data) / MODEL_FILE
    if not path.is_file():
        raise InputError(f"{path} does not exist; give the folder that holds {MODEL_FILE}.")
    mirror = np.array([-1.0, 1.0, 1.0])
    mean, modes, triangles = {}, {}, {}
    with np.load(path) as stored:
        for name, key in _KINDS.items():
            shift, shift_modes = stored[f"{key}_pose_shift_mean"], stored[f"{key}_pose_shift_modes"]
            mean[name] = (stored[f"{key}_vertices_mean"].astype(float) + shift) * mirror
            modes[name] = (stored[f"{key}_modes"].astype(float) + shift_modes[:, None]) * mirror
            triangles[name] = stored[f"{key}_faces"][:, ::-1].astype(np.int64)
        regions = {
            "femur_head": stored["region_femur_head"],
            "acetabulum": stored["region_acetabulum_left"],
            "acetabulum_opposite": stored["region_acetabulum_right"],
        }
    return LimbModel(mean, modes, triangles, regions)
