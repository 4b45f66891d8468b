"""From labels, or better from probabilities, to a closed surface in LPS mm.

The surface is where a signed field changes sign: positive at every voxel centre inside the structure, negative at every
other one, so mask and surface can never contradict each other. With a margin image the field has sub-voxel accuracy;
without one it is plus or minus one and smoothing takes the steps of the grid out again, by at most half a voxel.

Marching cubes as VTK tables them give a closed two-manifold for any such field, corner-touching voxels included,
because no sample lies on the zero level itself (checked in Testing/surfaces on random noise).
"""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk
from vtkmodules.util.numpy_support import numpy_to_vtk, vtk_to_numpy
from vtkmodules.vtkCommonDataModel import vtkImageData, vtkPolyData
from vtkmodules.vtkFiltersCore import vtkFlyingEdges3D

from KneeSegLib.anatomy import Structure
from KneeSegLib.errors import InputError
from KneeSegLib.geometry.boxes import ArrayBox, find_mask_box, grow_box, make_box, overlap_boxes
from KneeSegLib.geometry.mesh import point_normals, polydata_from
from KneeSegLib.surfaces.smoothing import DEFAULT_ROUNDS, DEFAULT_SMOOTHING, smoothed_points, with_movement

_MARGIN_LIMIT = 0.99
"""Margins are trusted up to here: beyond it lie rounding and overconfidence."""
_SMALLEST_FIELD = 0.005
"""Keeps every vertex off the voxel centres, and so apart from its neighbours, by at least 1/500 of a voxel."""
_ROUNDS_ON_A_MARGIN = 8
_FREEDOM_VOXELS = 0.5
_ROUNDS_OVER_KINKS = 6


def surface_of(
    labels: sitk.Image,
    structure: Structure,
    margin: sitk.Image | None = None,
    smoothing: str = DEFAULT_SMOOTHING,
) -> vtkPolyData:
    """Return the closed surface of one structure, normals outward, in LPS mm.

    Args:
        labels: 3D label image, any spacing and direction (left-handed ones too).
        structure: which structure.
        margin: p(structure) minus the largest other probability, -1..1 (integer types: scaled by their maximum), on a
            crop of the grid of ``labels``. Used where its sign agrees with ``labels``, which have the last word.
        smoothing: a key of ``SMOOTHINGS``. With the default the surface stays within about half a voxel of the mask's
            boundary, however thin the bone.

    Bones that the image cuts off are closed by a flat cap on the image's border, half a voxel beyond the last voxel
    centres. How far smoothing moved the surface: ``movement_of(surface)``.

    Raises:
        InputError: no voxel of the structure, or a margin that is not on a crop of the grid.
    """
    inside = _array_of(labels) == structure.label_value
    occupied = find_mask_box(inside)
    if occupied is None:
        raise InputError(
            f"The labels hold no voxel of the {structure.name.lower()} (value {structure.label_value}), "
            "so it has no surface; mesh only structures that were found."
        )
    return _surface(inside, occupied, labels, margin, smoothing)


def surface_of_mask(mask: sitk.Image, smoothing: str = DEFAULT_SMOOTHING) -> vtkPolyData:
    """Return the closed surface of all non-zero voxels, as :func:`surface_of` does for a structure.

    Raises:
        InputError: the mask is empty.
    """
    inside = _array_of(mask) != 0
    occupied = find_mask_box(inside)
    if occupied is None:
        raise InputError("The mask is empty, so it has no surface; at least one voxel must be set.")
    return _surface(inside, occupied, mask, None, smoothing)


def _surface(
    inside: np.ndarray, occupied: ArrayBox, grid: sitk.Image, margin: sitk.Image | None, smoothing: str
) -> vtkPolyData:
    """Mesh, smooth and place ``inside`` [z, y, x], which has the geometry of ``grid``; ``occupied`` is its box."""
    box = grow_box(occupied, (1, 1, 1), inside.shape)
    first_voxel = np.array([edge.start for edge in reversed(box)])
    field = np.where(inside[box], np.float32(1), np.float32(-1))
    if margin is not None:
        _take_margin(field, box, margin, grid)
    index_points, triangles = marching_cubes(_closed(field))
    index_points += first_voxel - 1.0

    spacing = np.array(grid.GetSpacing())
    on_border = (index_points <= -0.5) | (index_points >= np.array(grid.GetSize()) - 0.5)
    rounds = _ROUNDS_ON_A_MARGIN if margin is not None and smoothing == DEFAULT_SMOOTHING else DEFAULT_ROUNDS
    moved_mm = smoothed_points(index_points * spacing, triangles, smoothing, rounds, on_border)
    if smoothing == DEFAULT_SMOOTHING:
        # What is pulled back stands out as a kink of one vertex; a second, short smoothing takes it in.
        moved_mm = np.where(on_border, moved_mm, _near_the_boundary(moved_mm, index_points, triangles, spacing))
        moved_mm = smoothed_points(moved_mm, triangles, smoothing, _ROUNDS_OVER_KINKS, on_border)
    moved = moved_mm / spacing

    lps_from_index = np.array(grid.GetDirection()).reshape(3, 3) * spacing
    origin = np.array(grid.GetOrigin())
    if np.linalg.det(lps_from_index) < 0:
        triangles = triangles[:, ::-1]
    surface = polydata_from(moved @ lps_from_index.T + origin, triangles)
    return with_movement(surface, smoothing, index_points @ lps_from_index.T + origin)


def _array_of(image: sitk.Image) -> np.ndarray:
    return sitk.GetArrayViewFromImage(image)


def _take_margin(field: np.ndarray, box: ArrayBox, margin: sitk.Image, grid: sitk.Image) -> None:
    """Overwrite the ±1 of ``field`` by what the margin says, where it says the same about inside and outside.

    ``field`` lies in ``box`` of the grid.
    """
    values = _array_of(margin)
    first = reversed(_offset_on_grid(margin, grid))
    overlap = overlap_boxes(box, make_box((start, start + size) for start, size in zip(first, values.shape)))
    if overlap is None:
        return
    part, values = field[overlap[0]], values[overlap[1]]
    scale = np.iinfo(values.dtype).max if np.issubdtype(values.dtype, np.integer) else 1.0
    values = np.clip(values.astype(np.float32) / scale, -_MARGIN_LIMIT, _MARGIN_LIMIT)
    # The margin of a two-class softmax is tanh(distance / width): its inverse is straight across the boundary, which is
    # what the linear interpolation of marching cubes needs (0.003 instead of 0.07 voxel on an analytic sphere).
    values = np.arctanh(values)
    agrees = (values > 0) == (part > 0)
    np.copyto(
        part,
        np.where(part > 0, np.maximum(values, _SMALLEST_FIELD), np.minimum(values, -_SMALLEST_FIELD)),
        where=agrees,
    )


def _offset_on_grid(margin: sitk.Image, labels: sitk.Image) -> np.ndarray:
    """Return the index (x, y, z) in ``labels`` of the margin's first voxel."""
    same_axes = np.allclose(margin.GetDirection(), labels.GetDirection(), atol=1e-4)
    same_spacing = np.allclose(margin.GetSpacing(), labels.GetSpacing(), rtol=1e-4)
    index = np.array(labels.TransformPhysicalPointToContinuousIndex(margin.GetOrigin()))
    if not (same_axes and same_spacing and np.allclose(index, np.round(index), atol=0.02)):
        raise InputError(
            "The margin image does not lie on the grid of the labels; give a crop of the same grid "
            "(same spacing and direction, origin on a voxel centre)."
        )
    return np.round(index).astype(int)


def _closed(field: np.ndarray) -> np.ndarray:
    """Return ``field`` with one more layer all round that is negative everywhere.

    Where the structure reaches the first or last voxels, the layer repeats their values with the opposite sign: the
    surface closes half-way between, which is the border of those voxels.
    """
    closed = np.pad(field, 1, "edge")
    for axis in range(3):
        for end in (0, -1):
            layer = np.moveaxis(closed, axis, 0)[end]
            np.negative(np.abs(layer), out=layer)
    return closed


def marching_cubes(field: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return points (N, 3) as index (x, y, z) and outward triangles (M, 3) of the zero level of ``field`` [z, y, x]."""
    image = vtkImageData()
    image.SetDimensions(*reversed(field.shape))
    samples = np.ascontiguousarray(field, dtype=np.float32).ravel()
    image.GetPointData().SetScalars(numpy_to_vtk(samples))
    edges = vtkFlyingEdges3D()
    edges.SetInputData(image)
    edges.SetValue(0, 0.0)
    edges.ComputeNormalsOff()
    edges.ComputeGradientsOff()
    edges.ComputeScalarsOff()
    edges.Update()
    surface = edges.GetOutput()
    points = vtk_to_numpy(surface.GetPoints().GetData()).astype(np.float64)
    triangles = vtk_to_numpy(surface.GetPolys().GetConnectivityArray()).astype(np.int64).reshape(-1, 3)
    return points, triangles


def _near_the_boundary(
    moved_mm: np.ndarray, index_points: np.ndarray, triangles: np.ndarray, spacing: np.ndarray
) -> np.ndarray:
    """Pull points that left the mask's boundary by more than half a voxel back along the normal.

    A vertex of marching cubes lies on an edge between two voxel centres: the coordinate along that edge is the only one
    that is not whole, and the mask's boundary crosses it half-way.
    """
    is_whole = index_points == np.round(index_points)
    boundary_mm = np.where(is_whole, index_points, np.floor(index_points) + 0.5) * spacing
    normals = point_normals(moved_mm, triangles)
    half_voxel_mm = _FREEDOM_VOXELS * np.linalg.norm(normals * spacing, axis=1)
    offset_mm = np.einsum("ij,ij->i", moved_mm - boundary_mm, normals)
    excess_mm = offset_mm - np.clip(offset_mm, -half_voxel_mm, half_voxel_mm)
    return moved_mm - excess_mm[:, None] * normals
