"""What is checked of a case before anything learns from it: grids, sides, and that nobody is in it twice."""

from __future__ import annotations

import hashlib

import numpy as np
import SimpleITK as sitk

from KneeSegLib.anatomy import SIDES, STRUCTURES, structure
from KneeSegLib.errors import InputError
from KneeSegLib.geometry.grid import Grid
from KneeSegLib.io.intensities import Modality
from KneeSegLib.training.own_cases.settings import SAME_DISTANCE_MM, SAME_PLACE_VOXELS, SAME_SPACING

_LEFT_OF_RIGHT = {entry.label_value: structure(entry.tissue.key, "left").label_value for entry in STRUCTURES}


def require_same_grid(labels: sitk.Image, image: sitk.Image, case: str) -> None:
    """Raise an InputError unless labels and image of a case lie on one grid; the sentence says how they differ."""

    def describe(numbers: tuple[float, ...], unit: str = "") -> str:
        return f"{' x '.join(f'{number:g}' for number in numbers)}{unit}"

    sizes, spacings = (labels.GetSize(), image.GetSize()), (labels.GetSpacing(), image.GetSpacing())
    if sizes[0] != sizes[1]:
        found, expected = (f"{describe(size)} voxels" for size in sizes)
    elif not np.allclose(*spacings, rtol=SAME_SPACING):
        found, expected = (f"voxels of {describe(spacing, ' mm')}" for spacing in spacings)
    elif not np.allclose(labels.GetDirection(), image.GetDirection(), atol=SAME_SPACING):
        found, expected = "other directions of its axes", "those of the image"
    else:
        apart = np.subtract(labels.GetOrigin(), image.GetOrigin())
        if np.linalg.norm(apart) <= SAME_PLACE_VOXELS * min(spacings[1]):
            return
        found, expected = (f"a first voxel at {describe(some.GetOrigin(), ' mm')}" for some in (labels, image))
    raise InputError(
        f"The labels of {case} do not lie on the grid of its image: {found} were found, expected {expected}; resample "
        "the labels onto the image."
    )


def require_sides(labels: np.ndarray, grid: Grid, case: str) -> None:
    """Raise an InputError if right and left are exchanged, or a fibula lies on the inner side of its tibia."""
    x_mm = _find_middles(labels, grid)
    for key in ("femur", "tibia", "hip_bone", "patella", "talus"):
        right, left = (structure(key, side).label_value for side in SIDES)
        if right in x_mm and left in x_mm and x_mm[left] < x_mm[right] - SAME_DISTANCE_MM:
            raise InputError(
                f"In {case} the right {structure(key, 'right').tissue.name} lies on the patient's left of the other "
                "one; the labels' sides are exchanged or the image is mirrored: correct them or its orientation."
            )
    for side, sign in zip(SIDES, (-1.0, 1.0)):  # outward is to the right of a right leg
        tibia, fibula = (structure(key, side).label_value for key in ("tibia", "fibula"))
        if tibia in x_mm and fibula in x_mm and sign * (x_mm[fibula] - x_mm[tibia]) < -SAME_DISTANCE_MM:
            raise InputError(
                f"In {case} the fibula lies on the inner side of the {side} tibia, so that this is the other leg or "
                "the image is mirrored; correct the labels' sides or its orientation."
            )


def find_side(labels: np.ndarray, grid: Grid, case: str, modality: Modality) -> np.ndarray:
    """Return labels that told no side, and were taken for a right leg, on the side where the fibula lies.

    Raises:
        InputError: of a CT, whose networks see right legs: there is nothing to tell the side by.
    """
    x_mm = _find_middles(labels, grid)
    tibia, fibula = (structure(key, "right").label_value for key in ("tibia", "fibula"))
    if tibia in x_mm and fibula in x_mm and abs(x_mm[fibula] - x_mm[tibia]) > SAME_DISTANCE_MM:
        return labels if x_mm[fibula] < x_mm[tibia] else _exchange(labels)
    if modality == "MR":
        return labels  # no network for MR has sides
    raise InputError(
        f"The labels of {case} do not tell which leg it is and have no fibula to tell it by; say it with --side right "
        "or --side left."
    )


def fingerprint(values: np.ndarray) -> str:
    """Return a checksum of an image's voxels: the same image under two names is found by it."""
    return hashlib.sha256(np.ascontiguousarray(values).tobytes() + str(values.shape).encode()).hexdigest()


def require_different(seen: dict[str, str], checksum: str, case: str) -> None:
    """Note a case's checksum; raise an InputError if another case has the same image."""
    other = seen.setdefault(checksum, case)
    if other != case:
        raise InputError(
            f"The cases {other} and {case} show the same image, which could be trained on and validated with; keep one "
            "of them."
        )


def _find_middles(labels: np.ndarray, grid: Grid) -> dict[int, float]:
    """The mean position of each label along x in mm, which runs to the patient's left."""
    columns = np.stack([np.bincount(labels[:, :, x].ravel(), minlength=256) for x in range(labels.shape[2])])
    totals = columns.sum(axis=0)
    return {
        int(value): float(columns[:, value] @ grid.x.positions_mm / totals[value])
        for value in np.flatnonzero(totals)
        if value != 0
    }


def _exchange(labels: np.ndarray) -> np.ndarray:
    table = np.arange(256, dtype=np.uint8)
    for value, left in _LEFT_OF_RIGHT.items():
        table[value] = left
    return table[labels]
