"""A bone of a person: its surface, the thickness of its cortex, and a scanned end spliced onto a modelled shaft."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from KneeSegLib.training.synthesis.anatomy_file import CLASSES
from KneeSegLib.training.synthesis.distance import REACH_MM, Grid, measure_signed_distance
from KneeSegLib.training.synthesis.meshes import Mesh, scaling, transform_points

CORTEX_PROFILES_MM: dict[str, tuple[Sequence[float], Sequence[float], Sequence[float], Sequence[float]]] = {
    # distance from the proximal end, thickness there; distance from the distal end, thickness there (mm)
    "femur": (
        (0, 25, 40, 55, 80, 130),
        (0.6, 0.7, 1.3, 2.0, 4.0, 6.5),
        (0, 28, 50, 75, 110, 160),
        (0.5, 0.6, 1.2, 2.4, 4.5, 6.5),
    ),
    "tibia": (
        (0, 15, 35, 60, 100, 150),
        (0.6, 0.8, 1.2, 2.2, 4.2, 5.5),
        (0, 20, 40, 70, 110, 150),
        (0.5, 0.9, 1.6, 3.0, 4.5, 5.5),
    ),
    "fibula": ((0, 15, 40, 80), (0.5, 0.7, 1.6, 2.5), (0, 20, 45, 80), (0.6, 0.8, 1.7, 2.5)),
}
"""Round figures for adults: thin shells at the joints, 1 to 2 mm at the femoral neck, thick walls in the shafts."""
FLAT_CORTEX_MM = {"hip_bone": 1.1, "patella": 0.8, "talus": 0.6, "calcaneus": 0.7, "other": 0.7}


@dataclass(frozen=True)
class Splice:
    """A real end of a bone that replaces the end of the modelled one.

    Attributes:
        mesh: the scanned end, closed.
        cut: boolean (T,), its triangles that close the cut through the shaft.
        point, direction: a point on the cut and the unit vector along the shaft, from the scanned end onward.
        length_mm: the two surfaces pass into each other over this length below the cut.
    """

    mesh: Mesh
    cut: np.ndarray
    point: np.ndarray
    direction: np.ndarray
    length_mm: float

    def weight(self, points: np.ndarray) -> np.ndarray:
        """How much the scanned end counts at points (..., 3): 1 at the joint, 0 at the cut and beyond it."""
        along = (points - self.point) @ self.direction
        step = np.clip((-2.0 - along) / self.length_mm, 0, 1)
        return step * step * (3 - 2 * step)

    def transform(self, transform: np.ndarray) -> Splice:
        direction = transform[:3, :3] @ self.direction
        length = self.length_mm * np.linalg.norm(direction)
        return replace(
            self,
            mesh=self.mesh.transform(transform),
            point=transform_points(transform, self.point),
            direction=direction / np.linalg.norm(direction),
            length_mm=length,
        )


@dataclass(frozen=True)
class Bone:
    """One bone of a person: ``kind`` is a key of ``anatomy.BONES`` or ``"other"``, lengths in mm, LPS.

    ``ends`` are the proximal and the distal end of its long axis (2, 3), wherever the bone has one.
    """

    kind: str
    mesh: Mesh
    ends: np.ndarray | None = None
    splice: Splice | None = None
    cortex_factor: float = 1.0

    def class_index(self, side: str = "right") -> int:
        return CLASSES.index(self.kind if self.kind == "other" else f"{self.kind}_{side}")

    def transform(self, transform: np.ndarray) -> Bone:
        """Through a 4 x 4 matrix of positive determinant."""
        return replace(
            self,
            mesh=self.mesh.transform(transform),
            ends=None if self.ends is None else transform_points(transform, self.ends),
            splice=None if self.splice is None else self.splice.transform(transform),
        )

    def mirrored(self) -> Bone:
        """The bone of the other side; bones with a splice are mirrored before it is made."""
        if self.splice is not None:
            raise ValueError("Mirror a bone before an end is spliced onto it.")
        ends = None if self.ends is None else self.ends * (-1.0, 1.0, 1.0)
        return replace(self, mesh=self.mesh.mirrored(), ends=ends)

    def bounds(self) -> tuple[np.ndarray, np.ndarray]:
        meshes = [self.mesh] + ([self.splice.mesh] if self.splice else [])
        return (
            np.min([mesh.vertices.min(axis=0) for mesh in meshes], axis=0),
            np.max([mesh.vertices.max(axis=0) for mesh in meshes], axis=0),
        )

    def distance(self, grid: Grid) -> tuple[np.ndarray, tuple[slice, slice, slice]] | None:
        """Signed distance in mm on the part of the grid that the bone's band meets; None where it meets none of it."""
        low, high = self.bounds()
        part = grid.part(low - REACH_MM, high + REACH_MM)
        if part is None:
            return None
        local, where = part
        distance = measure_signed_distance(self.mesh, local)
        if self.splice is not None:
            x, y, z = local.coordinates()
            weight = self.splice.weight(np.stack(np.broadcast_arrays(x, y[:, None], z[:, None, None]), axis=-1))
            scanned = measure_signed_distance(self.splice.mesh, local, self.splice.cut)
            distance = (weight * scanned + (1 - weight) * distance).astype(np.float32)
        return distance, where

    def cortex_mm(self, points: np.ndarray) -> np.ndarray:
        """Cortical thickness in mm at points (..., 3)."""
        if self.kind not in CORTEX_PROFILES_MM or self.ends is None:
            flat = FLAT_CORTEX_MM.get(self.kind, FLAT_CORTEX_MM["other"])
            return np.full(points.shape[:-1], flat * self.cortex_factor)
        axis = self.ends[1] - self.ends[0]
        length = np.linalg.norm(axis)
        along = (points - self.ends[0]) @ (axis / length)
        places, thickness, distal_places, distal_thickness = CORTEX_PROFILES_MM[self.kind]
        thin = np.minimum(
            np.interp(along, places, thickness), np.interp(length - along, distal_places, distal_thickness)
        )
        return np.maximum(thin * self.cortex_factor, 0.35)


def enlarge_bones(bones: dict[str, Bone], factor: float) -> dict[str, Bone]:
    """All bones scaled about the origin."""
    transform = scaling(factor, np.zeros(3))
    return {name: bone.transform(transform) for name, bone in bones.items()}


def move_bones(bones: dict[str, Bone], transform: np.ndarray, *names: str) -> dict[str, Bone]:
    """All bones, or those named, through one transform."""
    return {name: bone.transform(transform) if not names or name in names else bone for name, bone in bones.items()}
