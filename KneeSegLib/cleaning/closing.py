"""Morphological closing whose time does not grow with the radius."""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk

from KneeSegLib.cleaning.components import Spacing
from KneeSegLib.geometry.boxes import find_mask_box


def close_with_ball(mask: np.ndarray, radius_mm: float, spacing_mm: Spacing) -> np.ndarray:
    """Return the morphological closing of ``mask`` with a ball; a large ball costs no more than a small one.

    Equal to a dilation and an erosion with the voxels whose centres lie within ``radius_mm`` of the ball's centre, on
    an image without border.

    Args:
        mask: bool (Z, Y, X).
        radius_mm: radius of the ball.
        spacing_mm: (z, y, x).
    """
    closed = mask.copy()
    box = find_mask_box(mask)
    if box is None:
        return closed
    reach = [int(np.ceil(radius_mm / step)) + 1 for step in spacing_mm]
    padded = np.pad(mask[box], [(steps, steps) for steps in reach])
    dilated = _distance_to(padded, spacing_mm) <= radius_mm * (1 + 1e-5)
    eroded = _distance_to(~dilated, spacing_mm) > radius_mm * (1 + 1e-5)
    closed[box] |= eroded[tuple(slice(steps, -steps) for steps in reach)]
    return closed


def _distance_to(mask: np.ndarray, spacing_mm: Spacing) -> np.ndarray:
    """Return the distance in mm from every voxel centre to the nearest one of ``mask`` (0 or less inside)."""
    image = sitk.GetImageFromArray(mask.view(np.uint8))
    image.SetSpacing(tuple(float(step) for step in reversed(spacing_mm)))
    return sitk.GetArrayFromImage(sitk.SignedMaurerDistanceMap(image, squaredDistance=False, useImageSpacing=True))
