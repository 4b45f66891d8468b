"""What a library made of a file, held against the header that our own code read of it."""

from __future__ import annotations

import math
from math import prod
from typing import TYPE_CHECKING

import numpy as np

from KneeSegLib.errors import InputError
from KneeSegLib.io.screening.image_header import ImageHeader, damaged
from KneeSegLib.io.screening.settings import (
    FARTHEST_MM,
    LARGEST_SPACING_MM,
    SAME_SPACING,
    SMALLEST_SPACING_MM,
    SMALLEST_VOLUME,
)
from KneeSegLib.io.screening.streams import require_checksum

if TYPE_CHECKING:
    import SimpleITK as sitk


def require_as_screened(header: ImageHeader, image: sitk.Image) -> None:
    """Raise unless ``image`` is what the file of ``header`` holds: size, spacing and checksum.

    Raises:
        InputError: says what differs.
    """
    values = prod(image.GetSize()) * image.GetNumberOfComponentsPerPixel()
    if values != header.values:
        raise damaged(header.path, f"it was read as {values} values, and its header has {header.values}")
    spacing = image.GetSpacing()
    expected = header.spacing_mm[: len(spacing)]
    if expected and not np.allclose(spacing[: len(expected)], expected, rtol=SAME_SPACING, atol=0):
        found = " x ".join(f"{length:g}" for length in spacing)
        wanted = " x ".join(f"{length:g}" for length in expected)
        raise damaged(header.path, f"its voxels were read as {found} mm, and its header has {wanted} mm")
    require_sound_geometry(image, f"{header.path.name}")
    require_checksum(header, image)


def require_sound_geometry(image: sitk.Image, name: str) -> None:
    """Raise unless spacing, origin and directions of ``image`` are numbers that the image of a body part can have.

    Raises:
        InputError: they are not.
    """
    spacing, origin, direction = image.GetSpacing(), image.GetOrigin(), image.GetDirection()
    axes = np.array(direction).reshape(len(spacing), len(spacing))
    if (
        not all(SMALLEST_SPACING_MM <= length <= LARGEST_SPACING_MM for length in spacing)
        or not all(abs(value) <= FARTHEST_MM for value in origin)
        or not np.isfinite(axes).all()
        or not np.allclose([math.hypot(*axis) for axis in axes.T.tolist()], 1.0, atol=1e-3)
        or abs(np.linalg.det(axes)) < SMALLEST_VOLUME
    ):
        raise InputError(
            f"{name} does not lie as an image of a patient can (voxels of {_listed(spacing)} mm, origin "
            f"{_listed(origin)} mm, directions {_listed(direction)}); correct its header, or export it again."
        )


def _listed(numbers: tuple[float, ...]) -> str:
    return ", ".join(f"{number:.4g}" for number in numbers)
