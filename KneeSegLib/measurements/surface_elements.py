"""The surface of a voxel mask as small elements with a place and an area.

The definition is that of the surface-distance package by S. Nikolov et al., "Clinically applicable segmentation of head
and neck anatomy for radiotherapy" (JMIR 2021): every corner shared by 2x2x2 voxels of which some, but not all, belong
to the mask carries one element; its area is that of the isosurface through those eight voxels.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

CORNERS = tuple((bit >> 2 & 1, bit >> 1 & 1, bit & 1) for bit in range(8))
"""Offsets (z, y, x) of the eight voxels around a corner; voxel number ``bit`` sets that bit of the corner's code."""

FULL = 0b11111111


def corner_codes(mask: np.ndarray) -> np.ndarray:
    """Return for each corner between voxels which of its eight voxels belong to the mask.

    Args:
        mask: bool, shape (z, y, x). Beyond the array is outside: a mask cut by the border has a surface there.

    Returns:
        uint8, shape (z + 1, y + 1, x + 1).
    """
    padded = np.pad(mask.astype(np.uint8), 1)
    codes = np.zeros([size + 1 for size in mask.shape], np.uint8)
    for bit, (z, y, x) in enumerate(CORNERS):
        codes |= padded[z : z + codes.shape[0], y : y + codes.shape[1], x : x + codes.shape[2]] << np.uint8(bit)
    return codes


def on_surface(codes: np.ndarray) -> np.ndarray:
    """Return where ``codes`` mark a surface element (bool, same shape)."""
    return (codes != 0) & (codes != FULL)


@lru_cache(maxsize=32)
def area_of_code(spacing_mm: tuple[float, float, float]) -> np.ndarray:
    """Return the surface element's area in mm2 for each of the 256 codes, voxels spaced ``spacing_mm`` (z, y, x)."""
    codes, triangle_normals = _isosurface_triangles()
    z_mm, y_mm, x_mm = spacing_mm
    areas = np.linalg.norm(triangle_normals * (y_mm * x_mm, z_mm * x_mm, z_mm * y_mm), axis=1)
    area = np.bincount(codes, weights=areas, minlength=256)
    # Inside and outside exchanged, the surface is the same: take the simpler topology.
    return np.minimum(area, area[::-1])


@lru_cache(maxsize=1)
def _isosurface_triangles() -> tuple[np.ndarray, np.ndarray]:
    """Return the triangles of marching cubes in each code's cell: code (n,), area vector (n, 3) as (z, y, x)."""
    from vtkmodules.util.numpy_support import numpy_to_vtk, vtk_to_numpy
    from vtkmodules.vtkCommonDataModel import vtkImageData
    from vtkmodules.vtkFiltersCore import vtkFlyingEdges3D

    cells = np.zeros((2, 2, 256, 2), np.uint8)  # the cells of all codes in one row along x: z, y, code, x
    for bit, (z, y, x) in enumerate(CORNERS):
        cells[z, y, :, x] = np.arange(256) >> bit & 1
    row = vtkImageData()
    row.SetDimensions(512, 2, 2)
    row.GetPointData().SetScalars(numpy_to_vtk(cells.ravel(), deep=True))
    isosurface = vtkFlyingEdges3D()
    isosurface.SetInputData(row)
    isosurface.SetValue(0, 0.5)
    isosurface.ComputeNormalsOff()
    isosurface.Update()

    surface = isosurface.GetOutput()
    points_xyz = vtk_to_numpy(surface.GetPoints().GetData()).astype(float)
    triangles = points_xyz[vtk_to_numpy(surface.GetPolys().GetConnectivityArray()).reshape(-1, 3)]
    position_in_row = np.floor(triangles[..., 0].mean(axis=1)).astype(int)
    within_a_cell = position_in_row % 2 == 0  # odd positions lie between the cells of two neighbouring codes
    normals_xyz = np.cross(triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0]) / 2
    return position_in_row[within_a_cell] // 2, normals_xyz[within_a_cell, ::-1]
