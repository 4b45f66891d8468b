"""Labels on the slices of a source series: turned where the voxels are the same, resampled where they are not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk

from KneeSegLib.errors import InputError
from KneeSegLib.exporting.settings import OUTSIDE_VOXELS, SAME_VOXEL, STRAIGHT_VOXELS


@dataclass(frozen=True)
class Turn:
    """How voxels of a label map lie in a grid of the same voxels.

    Attributes:
        order: for each axis i, j, k of the grid, which axis of the labels runs along it.
        flips: which of them run the other way.
        first: the index i, j, k in the grid at which the turned labels begin; may lie outside.
    """

    order: tuple[int, int, int]
    flips: tuple[bool, bool, bool]
    first: tuple[int, int, int]

    def place(self, labels: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        """Return labels ``[k, j, i]`` as an array of the grid, which has ``shape``; what lies outside is cut off."""
        turned = labels.transpose([2 - self.order[axis] for axis in (2, 1, 0)])
        turned = np.flip(turned, tuple(2 - axis for axis in range(3) if self.flips[axis]))
        result = np.zeros(shape, labels.dtype)
        into, out = [], []
        for first, count, whole in zip(self.first[::-1], turned.shape, shape):
            begin, end = max(first, 0), min(first + count, whole)
            into.append(slice(begin, max(end, begin)))
            out.append(slice(begin - first, max(end, begin) - first))
        result[tuple(into)] = turned[tuple(out)]
        return result


def index_matrix(image: sitk.Image) -> np.ndarray:
    """Return the 4 x 4 matrix from indices i, j, k to LPS mm."""
    matrix = np.eye(4)
    matrix[:3, :3] = np.reshape(image.GetDirection(), (3, 3)) * image.GetSpacing()
    matrix[:3, 3] = image.GetOrigin()
    return matrix


def make_perpendicular(matrix: np.ndarray, size: Sequence[int]) -> np.ndarray:
    """Return a matrix from indices to mm with the nearest perpendicular axes; the first voxel stays.

    Raises:
        InputError: the corners of a grid of ``size`` would move, so that its axes lean.
    """
    lengths = np.linalg.norm(matrix[:3, :3], axis=0)
    left, _, right = np.linalg.svd(matrix[:3, :3] / lengths)
    straight = matrix.copy()
    straight[:3, :3] = left @ right * lengths
    corners = np.array(np.meshgrid(*[(0, count - 1) for count in size], indexing="ij")).reshape(3, -1)
    moved = np.linalg.inv(straight[:3, :3]) @ (straight - matrix)[:3, :3] @ corners
    if np.abs(moved).max() > STRAIGHT_VOXELS:
        raise InputError(
            "The voxels lie along axes that are not perpendicular, which DICOM segmentations cannot hold; leave out "
            "--onto-source, resample the label map to a rectangular grid, or export --to rtstruct."
        )
    return straight


def find_turn(labels: sitk.Image, grid: sitk.Image) -> Turn | None:
    """Return how ``labels`` lie in ``grid`` where both have the same voxels (a part of them will do), else None."""
    between = np.linalg.inv(index_matrix(grid)) @ index_matrix(labels)
    whole = np.rint(between[:3, :3])
    ends = [(0, count - 1) for count in labels.GetSize()]
    corners = np.array(np.meshgrid(*ends, indexing="ij")).reshape(3, -1)  # farthest off: differences of spacing add up
    shift = np.rint(between[:3, 3])
    places = whole @ corners + shift[:, None]
    if np.abs(between[:3, :3] @ corners + between[:3, 3:] - places).max() > SAME_VOXEL:
        return None
    if not all((np.abs(whole).sum(axis=axis) == 1).all() for axis in (0, 1)):
        return None
    order = np.abs(whole).argmax(axis=1).tolist()
    flips = [bool(whole[axis, order[axis]] < 0) for axis in range(3)]
    first = places.min(axis=1).astype(int).tolist()
    return Turn((order[0], order[1], order[2]), (flips[0], flips[1], flips[2]), (first[0], first[1], first[2]))


def lies_within(labels: sitk.Image, grid: sitk.Image) -> bool:
    """Return whether every labelled voxel lies within ``grid``, as good as a voxel."""
    ends = _find_row_ends(labels)
    if not ends.size:
        return False
    low, high = _bounds(ends, labels, grid)
    last = np.array(grid.GetSize()) - 1
    return bool((low >= -0.5 - OUTSIDE_VOXELS).all() and (high <= last + 0.5 + OUTSIDE_VOXELS).all())


def resample_labels(labels: sitk.Image, grid: sitk.Image) -> sitk.Image:
    """Return ``labels`` on the voxels of ``grid``, each the value of the nearest voxel; 0 outside."""
    return sitk.Resample(labels, grid, sitk.Transform(), sitk.sitkNearestNeighbor, 0.0, sitk.sitkUInt8)


def resample_structure(labels: sitk.Image, value: int, grid: sitk.Image) -> tuple[np.ndarray, tuple[int, int, int]]:
    """Return the voxels of ``grid`` of which at least half belongs to a structure, interpolated linearly.

    Returns:
        bool ``[k, j, i]``, a part of the grid around the structure, and the index i, j, k at which it begins.
    """
    mask = sitk.Cast(labels == value, sitk.sitkFloat32)
    low, high = _bounds(_find_row_ends(mask), mask, grid)
    first = np.clip(np.floor(low).astype(int) - 1, 0, None)
    last = np.minimum(np.ceil(high).astype(int) + 1, np.array(grid.GetSize()) - 1)
    part = sitk.ResampleImageFilter()
    part.SetSize((last - first + 1).tolist())
    part.SetOutputOrigin(grid.TransformIndexToPhysicalPoint(first.tolist()))
    part.SetOutputSpacing(grid.GetSpacing())
    part.SetOutputDirection(grid.GetDirection())
    part.SetInterpolator(sitk.sitkLinear)
    return sitk.GetArrayFromImage(part.Execute(mask)) >= 0.5, (int(first[0]), int(first[1]), int(first[2]))


def _find_row_ends(labels: sitk.Image) -> np.ndarray:
    """Return the first and the last labelled voxel of each row, ``(count, 3)`` indices i, j, k: no voxel lies beyond
    them in any grid."""
    inside = sitk.GetArrayViewFromImage(labels) != 0
    rows = np.argwhere(inside.any(axis=2))
    found = inside[rows[:, 0], rows[:, 1]]
    ends = (found.argmax(axis=1), found.shape[1] - 1 - found[:, ::-1].argmax(axis=1))
    return np.concatenate([np.column_stack([end, rows[:, 1], rows[:, 0]]) for end in ends])


def _bounds(indices: np.ndarray, labels: sitk.Image, grid: sitk.Image) -> tuple[np.ndarray, np.ndarray]:
    """Return the least and the largest index in ``grid`` of voxels of ``labels``."""
    between = np.linalg.inv(index_matrix(grid)) @ index_matrix(labels)
    places = indices @ between[:3, :3].T + between[:3, 3]
    return places.min(axis=0), places.max(axis=0)
