"""Whether a surface keeps its promises: closed, manifold, one piece, and where the mask says it should be."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk
from vtkmodules.util.numpy_support import numpy_to_vtk, vtk_to_numpy
from vtkmodules.vtkCommonCore import vtkDoubleArray
from vtkmodules.vtkCommonDataModel import vtkPolyData
from vtkmodules.vtkFiltersCore import vtkImplicitPolyDataDistance

from KneeSegLib.geometry.mesh import enclosed_volume, face_normals, points_of, triangles_of
from KneeSegLib.surfaces.meshing import surface_of_mask
from KneeSegLib.surfaces.self_intersections import count_self_intersections
from KneeSegLib.surfaces.topology import topology_of

MEAN_DISTANCE_GOAL_MM = 0.1
MAX_DISTANCE_GOAL_MM = 0.5
_MEAN_DISTANCE_GOAL_VOXELS = 0.17
_MAX_DISTANCE_GOAL_VOXELS = 0.5


@dataclass(frozen=True)
class SurfaceQuality:
    """Figures about one closed surface.

    Attributes:
        watertight: every edge has exactly two triangles, which run through it in opposite directions.
        open_edges: edges with a single triangle.
        non_manifold_edges: edges with three triangles or more.
        components: connected pieces of surface; the wall of a closed cavity is a piece of its own.
        self_intersections: pairs of triangles that run through each other; None where they were not counted.
        volume_mm3: enclosed volume; negative where the surface is inside out.
        area_mm2: area of the surface.
        mean_distance_mm, max_distance_mm: from the surface's points to the mask's boundary.
        max_distance_from_mask_mm: from the mask's boundary to the surface; large where a part of the mask was lost.
        voxel_mm: the mask's largest spacing, which limits how well its boundary is known.
    """

    watertight: bool
    open_edges: int
    non_manifold_edges: int
    components: int
    self_intersections: int | None
    volume_mm3: float
    area_mm2: float
    mean_distance_mm: float
    max_distance_mm: float
    max_distance_from_mask_mm: float
    voxel_mm: float

    @property
    def problems(self) -> tuple[str, ...]:
        """One sentence for each promise of the export that this surface breaks; empty when it keeps them all.

        Promised are: watertight, no non-manifold edge, normals outward, no triangles that run through each other (where
        they were counted), mean distance to the mask's boundary at most 0.1 mm and largest at most 0.5 mm. Where voxels
        are coarse the mask itself knows no better: the true surface of a smooth bone lies 0.15 voxel from its mask's
        boundary on average and up to 0.5 voxel away, so no less is asked for.
        """
        mean_goal = max(MEAN_DISTANCE_GOAL_MM, _MEAN_DISTANCE_GOAL_VOXELS * self.voxel_mm)
        max_goal = max(MAX_DISTANCE_GOAL_MM, _MAX_DISTANCE_GOAL_VOXELS * self.voxel_mm)
        found = []
        if not self.watertight:
            found.append(f"The surface is not watertight ({self.open_edges} open edges).")
        if self.non_manifold_edges:
            found.append(f"The surface has {self.non_manifold_edges} non-manifold edges.")
        if self.volume_mm3 <= 0:
            found.append("The surface is turned inside out.")
        if self.self_intersections:
            found.append(f"The surface runs through itself in {self.self_intersections} places.")
        if not self.mean_distance_mm <= mean_goal:
            found.append(
                f"The surface is {self.mean_distance_mm:.2f} mm from the mask on average ({mean_goal:.2f} allowed)."
            )
        if not self.max_distance_mm <= max_goal:
            found.append(f"The surface is up to {self.max_distance_mm:.2f} mm from the mask ({max_goal:.2f} allowed).")
        return tuple(found)


def surface_quality(polydata: vtkPolyData, mask: sitk.Image, with_self_intersections: bool = False) -> SurfaceQuality:
    """Compare a surface with the mask it was made from.

    The mask's boundary is the half level of the mask (1 inside, 0 outside and beyond the image's border), interpolated
    linearly along the grid: it crosses every edge between an inner and an outer voxel centre half-way. Distances are
    exact point-to-triangle distances from the vertices of one surface to the other surface.

    Args:
        polydata: triangle mesh in LPS mm.
        mask: 3D image, non-zero inside the structure.
        with_self_intersections: count them too, which takes longer than everything else.

    Raises:
        ValueError: the mesh is empty or has faces that are not triangles.
        InputError: the mask is empty.
    """
    points, triangles = points_of(polydata), triangles_of(polydata)
    if not len(triangles):
        raise ValueError("The surface has no triangles, so there is nothing to measure.")
    topology = topology_of(triangles)
    boundary = surface_of_mask(mask, smoothing="none")
    to_mask = distances(points, boundary)
    return SurfaceQuality(
        watertight=topology.is_watertight,
        open_edges=topology.open_edges,
        non_manifold_edges=topology.non_manifold_edges,
        components=topology.components,
        self_intersections=count_self_intersections(points, triangles) if with_self_intersections else None,
        volume_mm3=enclosed_volume(points, triangles),
        area_mm2=float(np.linalg.norm(face_normals(points, triangles), axis=1).sum() / 2),
        mean_distance_mm=float(to_mask.mean()),
        max_distance_mm=float(to_mask.max()),
        max_distance_from_mask_mm=float(distances(points_of(boundary), polydata).max()),
        voxel_mm=max(mask.GetSpacing()),
    )


def farthest_point_mm(surface: vtkPolyData, other: vtkPolyData) -> float:
    """Return the largest distance from a point of ``surface`` to ``other``."""
    return float(distances(points_of(surface), other).max())


def distances(points: np.ndarray, surface: vtkPolyData) -> np.ndarray:
    """Return the unsigned distance in mm from each of ``points`` (N, 3) to ``surface``."""
    implicit = vtkImplicitPolyDataDistance()
    implicit.SetInput(surface)
    signed = vtkDoubleArray()
    implicit.FunctionValue(numpy_to_vtk(np.ascontiguousarray(points, dtype=np.float64)), signed)
    return np.abs(vtk_to_numpy(signed))
