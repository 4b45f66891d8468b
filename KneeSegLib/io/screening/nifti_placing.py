"""The two placings that a NIfTI may hold, qform and sform, held against each other and against what was read.

Readers take one of them without a word: where the other says something else, bones change their side or size.
https://nifti.nimh.nih.gov/nifti-1/documentation/nifti1fields
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from KneeSegLib.errors import InputError
from KneeSegLib.io.image_formats import shown_name
from KneeSegLib.io.screening.nifti import NiftiHeader, read_nifti_header
from KneeSegLib.io.screening.settings import SAME_PLACING_VOXELS, SAME_SIZE

if TYPE_CHECKING:
    import SimpleITK as sitk

_LPS_FROM_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


def check_nifti_placing(path: Path, image: sitk.Image, way_out: str = "correct its header") -> str | None:
    """Return the sentence for a NIfTI whose two placings differ; None where they agree, or there is one.

    Args:
        image: as it was read.
        way_out: what to do where its sizes contradict each other.

    Raises:
        InputError: ``image`` has another size or direction than any of them says.
    """
    header = read_nifti_header(path)
    if not header.is_nifti:
        return None
    placings = _read_placings(header)
    read = _placing_of(image)
    apart_mm = {name: _distance_mm(placing, read, image) for name, placing in placings.items()}
    same_mm = SAME_PLACING_VOXELS * min(image.GetSpacing())
    other = [name for name, distance in apart_mm.items() if distance > same_mm]
    if not other:
        return None
    if len(other) == len(placings):
        return _describe_unread(path, image, placings, way_out)
    (taken,) = set(placings) - set(other)
    mirrored = np.linalg.det(placings[other[0]][:3, :3]) * np.linalg.det(read[:3, :3]) < 0
    return (
        f"{shown_name(path)} says in two ways how it lies in the patient, and they differ by up to "
        f"{apart_mm[other[0]]:.1f} mm{', one the mirror image of the other' if mirrored else ''}: it was read by its "
        f"{taken} and not by its {other[0]}; check the side and the size of every structure."
    )


def _describe_unread(path: Path, image: sitk.Image, placings: dict[str, np.ndarray], way_out: str) -> str:
    """Return the sentence for an image that lies nearly as its first placing says; raise where it does not."""
    name, placing = next(iter(placings.items()))
    spacing = np.array(image.GetSpacing())
    lengths = np.linalg.norm(placing[:3, :3], axis=0)
    by_pixdim, by_placing = (" x ".join(f"{length:.5g}" for length in sizes) for sizes in (spacing, lengths))
    if not np.allclose(spacing, lengths, rtol=SAME_SIZE, atol=0.0):
        raise InputError(
            f"The header of {shown_name(path)} gives its voxels two sizes, {by_pixdim} mm (pixdim) and {by_placing} mm "
            f"({name}); {way_out}."
        )
    cosines = (placing[:3, :3] / lengths * np.reshape(image.GetDirection(), (3, 3))).sum(axis=0)
    if cosines.min() < 1.0 - SAME_SIZE:
        raise InputError(
            f"The header of {shown_name(path)} contradicts itself: with its pixdim the axes lie otherwise than its "
            f"{name} says; save it again by the program that made it."
        )
    return (
        f"The header of {shown_name(path)} gives its voxels two sizes, {by_pixdim} mm (pixdim), by which it was read, "
        f"and {by_placing} mm ({name}); check the sizes of the bones."
    )


def _read_placings(header: NiftiHeader) -> dict[str, np.ndarray]:
    """Return the placings that the header calls valid: LPS from index, 4 x 4."""
    layout, unit = header.layout, header.unit_mm
    by_quaternion, by_rows = header.get(layout.codes)
    placings = {}
    if by_rows:
        rows = np.vstack([np.reshape(header.get(layout.rows), (3, 4)), [0.0, 0.0, 0.0, 1.0]])
        placings["sform"] = _LPS_FROM_RAS @ np.diag([unit, unit, unit, 1.0]) @ rows
    if by_quaternion:
        *vector, x, y, z = header.get(layout.quaternion)
        mirror, *lengths = header.get(layout.pixdim)[:4]
        scale = np.abs(lengths) * unit * [1.0, 1.0, -1.0 if mirror < 0 else 1.0]
        placing = np.eye(4)
        placing[:3, :3] = _rotation(np.array(vector)) * scale
        placing[:3, 3] = np.array([x, y, z]) * unit
        placings["qform"] = _LPS_FROM_RAS @ placing
    return placings


def _rotation(vector: np.ndarray) -> np.ndarray:
    """Return the rotation of a unit quaternion by its last three numbers."""
    real = np.sqrt(max(1.0 - float(vector @ vector), 0.0))
    if real < 1e-4:  # half a turn: what is left of the real part is rounding
        real, vector = 0.0, vector / np.linalg.norm(vector)
    b, c, d = vector
    cross = np.array([[0.0, -d, c], [d, 0.0, -b], [-c, b, 0.0]])
    return np.eye(3) + 2.0 * real * cross + 2.0 * cross @ cross


def _placing_of(image: sitk.Image) -> np.ndarray:
    placing = np.eye(4)
    placing[:3, :3] = np.reshape(image.GetDirection(), (3, 3)) * image.GetSpacing()
    placing[:3, 3] = image.GetOrigin()
    return placing


def _distance_mm(one: np.ndarray, other: np.ndarray, image: sitk.Image) -> float:
    """Return how far the corners of the image lie apart by two placings, at most."""
    ends = np.array(image.GetSize()) - 1.0
    corners = np.array([[*(ends * pick), 1.0] for pick in np.ndindex(2, 2, 2)])
    return float(np.linalg.norm(corners @ (one - other).T, axis=1).max())
