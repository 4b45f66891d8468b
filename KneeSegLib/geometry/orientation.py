"""Voxel grids in the patient's space: turned to the patient's axes and back, and straightened where they are sheared.

Coordinates are DICOM's and ITK's: LPS, millimetres (x grows to the patient's left, y to the back, z to the head).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations
from math import ceil, degrees, floor, prod
from typing import TypeVar

import numpy as np
import SimpleITK as sitk

from KneeSegLib.errors import InputError
from KneeSegLib.geometry.boxes import ArrayBox, make_box
from KneeSegLib.geometry.settings import LARGEST_COSINE, LARGEST_DRIFT_PIXELS, LARGEST_GROWTH, LARGEST_LEAN_DEGREES
from KneeSegLib.memory import require_memory

Number = TypeVar("Number")


def reorient_to_lps(image: sitk.Image) -> sitk.Image:
    """Return ``image`` with its axes reordered and flipped to lie as near to the patient's axes as they can.

    The array ``[z, y, x]`` of the result runs inferior to superior, anterior to posterior and from the patient's
    right to the left. No voxel value changes and every voxel stays where it is in the patient: a rotation that is no
    multiple of 90 degrees remains in the direction matrix. An image that lies like that already is returned itself.
    """
    order, flips = _find_axes_towards_lps(image)
    if order != (0, 1, 2):
        image = sitk.PermuteAxes(image, order)
    if any(flips):
        image = sitk.Flip(image, flips)
    return image


def restore_orientation(labels: sitk.Image, reference: sitk.Image) -> sitk.Image:
    """Undo :func:`reorient_to_lps` for ``labels`` that lie on the grid of ``reorient_to_lps(reference)``.

    No interpolation; size, spacing, origin and direction are those of ``reference`` to the last bit. Any pixel type.

    Raises:
        ValueError: ``labels`` do not lie on the grid of ``reorient_to_lps(reference)``.
    """
    turned = _turn_back(labels, reference)
    if turned.GetSize() != reference.GetSize() or _find_first_voxel(turned, reference) != (0, 0, 0):
        raise ValueError(
            f"Labels of {labels.GetSize()} voxels at {labels.GetOrigin()} do not lie on the reoriented grid of the "
            f"reference ({reference.GetSize()} voxels at {reference.GetOrigin()})."
        )
    turned.CopyInformation(reference)
    return turned


def restore_crop_orientation(crop: sitk.Image, reference: sitk.Image) -> sitk.Image:
    """Like :func:`restore_orientation`, for an image that covers only a part of ``reorient_to_lps(reference)``.

    Spacing and direction of the result are those of ``reference``; its origin is the centre of the reference voxel
    with which it begins.

    Raises:
        ValueError: the crop reaches beyond the reference, or its voxels do not coincide with the reference's.
    """
    turned = _turn_back(crop, reference)
    first = _find_first_voxel(turned, reference)
    if any(i < 0 or i + n > whole for i, n, whole in zip(first, turned.GetSize(), reference.GetSize())):
        raise ValueError(
            f"A crop of {turned.GetSize()} voxels beginning at voxel {first} reaches beyond {reference.GetSize()}."
        )
    turned.SetSpacing(reference.GetSpacing())
    turned.SetDirection(reference.GetDirection())
    turned.SetOrigin(reference.TransformIndexToPhysicalPoint(first))
    return turned


@dataclass(frozen=True)
class AxisTurn:
    """How arrays ``[..., z, y, x]`` of one grid lie along the axes of another one of the same voxels.

    Attributes:
        order: for each of the last three axes of the result, which one of the array it is: -3, -2 or -1.
        flips: which axes of the result run the other way.
    """

    order: tuple[int, int, int]
    flips: tuple[bool, bool, bool]

    @classmethod
    def between(cls, before: np.ndarray, after: np.ndarray) -> AxisTurn:
        """The turn from one grid to another.

        Args:
            before, after: directions of the axes i, j, k, in the columns of 3 x 3 matrices; parallel in pairs, or so
                nearly that it is clear which belong together.
        """
        cosines = before.T @ after
        order = max(permutations(range(3)), key=lambda order: sum(abs(cosines[order[i], i]) for i in range(3)))
        k, j, i = (-1 - order[axis] for axis in (2, 1, 0))
        flips = [bool(cosines[order[axis], axis] < 0) for axis in (2, 1, 0)]
        return cls((k, j, i), (flips[0], flips[1], flips[2]))

    def apply(self, array: np.ndarray) -> np.ndarray:
        """Return a view of ``array`` along the axes of the other grid."""
        leading = range(array.ndim - 3)
        turned = array.transpose(*leading, *(array.ndim + axis for axis in self.order))
        return turned[(..., *(slice(None, None, -1 if flip else 1) for flip in self.flips))]

    def inverse(self) -> AxisTurn:
        """The turn back."""
        order = [self.order.index(axis) - 3 for axis in (-3, -2, -1)]
        flips = [self.flips[axis + 3] for axis in order]
        return AxisTurn((order[0], order[1], order[2]), (flips[0], flips[1], flips[2]))

    def values(self, of_axes: Sequence[Number]) -> tuple[Number, Number, Number]:
        """Return what there is of each of the three axes, such as spacing, in the order of the other grid."""
        k, j, i = (of_axes[axis] for axis in self.order)
        return k, j, i

    def box(self, box: ArrayBox, shape: tuple[int, int, int]) -> ArrayBox:
        """Return a box of an array of ``shape`` as a box of :meth:`apply` of it."""
        found = zip(self.values(box), self.values(shape), self.flips)
        return make_box((size - cut.stop, size - cut.start) if flip else (cut.start, cut.stop)
                        for cut, size, flip in found)  # fmt: skip


def direction_of_letters(letters: str) -> np.ndarray:
    """Return the directions of axes i, j, k in the columns of a matrix, LPS, for letters such as ``"RAS"``.

    Each letter says towards where the index of an axis grows: right or left, anterior or posterior, superior or
    inferior.

    Raises:
        ValueError: not three letters, one for each direction of the body.
    """
    found = [_DIRECTIONS.get(letter) for letter in letters.upper()]
    columns = [direction for direction in found if direction is not None]
    if len(columns) != 3 or len(found) != 3 or abs(np.linalg.det(np.array(columns))) != 1:
        raise ValueError(f"Three letters such as LPS or RAS name an orientation, not {letters!r}.")
    return np.array(columns, float).T


_DIRECTIONS = {"L": (1, 0, 0), "R": (-1, 0, 0), "P": (0, 1, 0), "A": (0, -1, 0), "S": (0, 0, 1), "I": (0, 0, -1)}


def straighten_gantry_tilt(image: sitk.Image, fill: float) -> tuple[sitk.Image, float]:
    """Return ``image`` on a grid with perpendicular axes, and the degrees by which its slices lean (0: untouched).

    Slices whose centres drift sideways (CT with a tilted gantry) stay in their planes and are shifted within them by
    linear interpolation, each by its own offset, until their centres lie on the slices' common normal. In-plane
    spacing and directions are kept, the grid grows so that no part of a slice is lost, and what no slice covers is
    set to ``fill``.

    Raises:
        InputError: rows and columns are not perpendicular, or slices lean so far that the grid would be many times
            as large.
        ResourceError: not enough memory for the grid.
    """
    spacing = np.array(image.GetSpacing())
    axes = np.array(image.GetDirection()).reshape(3, 3).T
    if abs(axes[0] @ axes[1]) > LARGEST_COSINE:
        raise InputError(
            "The rows and columns of the image are not perpendicular, which no scanner produces; "
            "resample the image to a rectangular grid before giving it."
        )
    step = axes[2] * spacing[2]
    normal = np.cross(axes[0], axes[1])
    normal /= np.linalg.norm(normal) * np.sign(normal @ step)
    drift_pixels = np.array([step @ axes[0], step @ axes[1]]) * (image.GetSize()[2] - 1) / spacing[:2]
    if np.abs(drift_pixels).max() < LARGEST_DRIFT_PIXELS:
        return image, 0.0
    first = [floor(min(drift, 0.0)) for drift in drift_pixels]
    grown = [ceil(abs(drift)) for drift in drift_pixels]
    lean = degrees(np.arccos(np.clip(normal @ step / np.linalg.norm(step), -1.0, 1.0)))
    columns, rows, slices = image.GetSize()
    size = [columns + grown[0], rows + grown[1], slices]
    if lean > LARGEST_LEAN_DEGREES or prod(size) > LARGEST_GROWTH * prod(image.GetSize()):
        raise InputError(
            f"The slices of the image lean by {lean:.0f} degrees and drift by {np.abs(drift_pixels).max():.0f} pixels, "
            "which no gantry does; its positions are wrong: export it again."
        )
    require_memory(
        prod(size) * (image.GetSizeOfPixelComponent() + 4),
        f"Straightening slices to {' x '.join(map(str, size))} voxels",
    )
    grid = sitk.ResampleImageFilter()
    grid.SetSize(size)
    grid.SetOutputSpacing([*spacing[:2], float(normal @ step)])
    grid.SetOutputDirection(np.column_stack([axes[0], axes[1], normal]).ravel())
    grid.SetOutputOrigin(image.TransformIndexToPhysicalPoint([*first, 0]))
    grid.SetInterpolator(sitk.sitkLinear)
    grid.SetDefaultPixelValue(float(fill))
    grid.SetOutputPixelType(image.GetPixelID())
    return grid.Execute(image), lean


def _find_axes_towards_lps(image: sitk.Image) -> tuple[tuple[int, ...], list[bool]]:
    """Return which image axis becomes x, y and z, and which of these then have to be flipped."""
    lps_from_axes = np.array(image.GetDirection()).reshape(3, 3)
    order = max(permutations(range(3)), key=lambda order: sum(abs(lps_from_axes[i, order[i]]) for i in range(3)))
    return order, [bool(lps_from_axes[i, order[i]] < 0) for i in range(3)]


def _turn_back(image: sitk.Image, reference: sitk.Image) -> sitk.Image:
    order, flips = _find_axes_towards_lps(reference)
    if any(flips):
        image = sitk.Flip(image, flips)
    if order != (0, 1, 2):
        image = sitk.PermuteAxes(image, [order.index(axis) for axis in range(3)])
    return sitk.Image(image)


def _find_first_voxel(image: sitk.Image, reference: sitk.Image) -> tuple[int, ...]:
    """Return the index in ``reference`` of the first voxel of ``image``, both with the same axes and voxel size."""
    same_axes = np.allclose(image.GetDirection(), reference.GetDirection(), atol=1e-6)
    if not same_axes or not np.allclose(image.GetSpacing(), reference.GetSpacing(), rtol=1e-6):
        raise ValueError("The image has other axes or another voxel size than the reference.")
    index = np.array(reference.TransformPhysicalPointToContinuousIndex(image.GetOrigin()))
    if np.abs(index - np.rint(index)).max() > 1e-3:
        raise ValueError(f"The image begins at voxel {tuple(index)} of the reference, between its voxels.")
    return tuple(int(i) for i in np.rint(index))
