"""A bone of a subject: its surface, the thickness of its cortex, and a scanned end spliced onto a modelled shaft."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from KneeSegLib.training.synthesis.anatomy_file import CLASSES
from KneeSegLib.training.synthesis.cubic_grid import CubicGrid, Slices
from KneeSegLib.training.synthesis.distance import measure_signed_distance
from KneeSegLib.training.synthesis.meshes import Mesh, scaling, transform_points
from KneeSegLib.training.synthesis.settings import (
    CORTEX_FACTORS,
    CORTEX_PROFILES_MM,
    FLAT_CORTEX_MM,
    REACH_MM,
    THINNEST_CORTEX_MM,
)


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
        """Return the weight of the scanned end at points (..., 3): 1 at the joint, 0 at the cut and beyond it."""
        along = (points - self.point) @ self.direction
        step = np.clip((-2.0 - along) / self.length_mm, 0, 1)
        return step * step * (3 - 2 * step)

    def transform(self, matrix: np.ndarray) -> Splice:
        """Return the splice through a 4 x 4 matrix of positive determinant."""
        direction = matrix[:3, :3] @ self.direction
        length = self.length_mm * np.linalg.norm(direction)
        return replace(
            self,
            mesh=self.mesh.transform(matrix),
            point=transform_points(matrix, self.point),
            direction=direction / np.linalg.norm(direction),
            length_mm=length,
        )


@dataclass(frozen=True)
class Stump:
    """Where a bone was cut through: a point, and the unit vector towards what was taken off."""

    point: np.ndarray
    direction: np.ndarray

    def transform(self, matrix: np.ndarray) -> Stump:
        """Return the stump through a 4 x 4 matrix of positive determinant."""
        direction = matrix[:3, :3] @ self.direction
        return Stump(transform_points(matrix, self.point), direction / np.linalg.norm(direction))

    def measure_distance(self, points: np.ndarray) -> np.ndarray:
        """Return how far points (..., 3) lie beyond the cut, in mm; negative in what is left."""
        return (points - self.point) @ self.direction


@dataclass(frozen=True)
class Bone:
    """One bone of a subject, in mm, LPS.

    Attributes:
        kind: a key of ``anatomy.BONES`` or ``"other"``.
        mesh: its closed surface.
        ends: proximal and distal end (2, 3) of its long axis; None where the bone has none.
        splice: a scanned end that replaces its own.
        stump: where it was cut through; None of a whole bone.
        cortex_factor: of the thickness of its cortex, see :data:`~.settings.CORTEX_PROFILES_MM`.
    """

    kind: str
    mesh: Mesh
    ends: np.ndarray | None = None
    splice: Splice | None = None
    stump: Stump | None = None
    cortex_factor: float = 1.0

    @property
    def axis_ends(self) -> np.ndarray:
        """Proximal and distal end (2, 3) of the long axis; :class:`ValueError` where the bone has none."""
        if self.ends is None:
            raise ValueError(f"A bone of kind {self.kind!r} was prepared without the ends of a long axis.")
        return self.ends

    def class_index(self, side: str = "right") -> int:
        """Return its index in :data:`~.anatomy_file.CLASSES`."""
        return CLASSES.index(self.kind if self.kind == "other" else f"{self.kind}_{side}")

    def transform(self, matrix: np.ndarray) -> Bone:
        """Return the bone through a 4 x 4 matrix of positive determinant."""
        return replace(
            self,
            mesh=self.mesh.transform(matrix),
            ends=None if self.ends is None else transform_points(matrix, self.ends),
            splice=None if self.splice is None else self.splice.transform(matrix),
            stump=None if self.stump is None else self.stump.transform(matrix),
        )

    def mirror(self) -> Bone:
        """Return the bone of the other side; bones with a splice or a stump are mirrored before these are made."""
        if self.splice is not None or self.stump is not None:
            raise ValueError("Mirror a bone before an end is spliced onto it or cut off.")
        ends = None if self.ends is None else self.ends * (-1.0, 1.0, 1.0)
        return replace(self, mesh=self.mesh.mirror(), ends=ends)

    def bounds(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the lowest and the highest x, y, z of its surfaces."""
        vertices = np.concatenate([self.mesh.vertices, *([self.splice.mesh.vertices] if self.splice else [])])
        if self.stump is not None:
            vertices = vertices[self.stump.measure_distance(vertices) <= 0]
        return vertices.min(axis=0), vertices.max(axis=0)

    def measure_distance(self, grid: CubicGrid) -> tuple[np.ndarray, Slices] | None:
        """Return the signed distance in mm on a part of the grid, and that part: where distances reach.

        None where they reach none of it.
        """
        low, high = self.bounds()
        part = grid.part(low - REACH_MM, high + REACH_MM)
        if part is None:
            return None
        local, where = part
        distance = measure_signed_distance(self.mesh, local)
        if self.splice is not None or self.stump is not None:
            x, y, z = local.coordinates()
            points = np.stack(np.broadcast_arrays(x, y[:, None], z[:, None, None]), axis=-1)
            if self.splice is not None:
                weight = self.splice.weight(points)
                scanned = measure_signed_distance(self.splice.mesh, local, self.splice.cut)
                distance = (weight * scanned + (1 - weight) * distance).astype(np.float32)
            if self.stump is not None:
                distance = np.maximum(distance, np.minimum(self.stump.measure_distance(points), REACH_MM))
        return distance.astype(np.float32), where

    def cortex_mm(self, points: np.ndarray) -> np.ndarray:
        """Return the cortical thickness in mm at points (..., 3)."""
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
        return np.maximum(thin * self.cortex_factor, THINNEST_CORTEX_MM)


def enlarge_bones(bones: dict[str, Bone], factor: float) -> dict[str, Bone]:
    """Return all bones scaled about the origin."""
    transform = scaling(factor, np.zeros(3))
    return {name: bone.transform(transform) for name, bone in bones.items()}


def move_bones(bones: dict[str, Bone], transform: np.ndarray, *names: str) -> dict[str, Bone]:
    """Return all bones, those named (or all) through one 4 x 4 matrix."""
    return {name: bone.transform(transform) if not names or name in names else bone for name, bone in bones.items()}


def draw_cortex_factor(random: np.random.Generator) -> float:
    """Draw by what factor a subject's cortices differ from the mean."""
    return random.uniform(*CORTEX_FACTORS)
