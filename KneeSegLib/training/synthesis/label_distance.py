"""Label maps: their slices continued beyond the image, and smooth signed distances to their labels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from KneeSegLib.training.synthesis.settings import REACH_MM

if TYPE_CHECKING:
    import SimpleITK as sitk


def continue_slices(image: sitk.Image, labels: np.ndarray, shown: tuple[int, int], continued_mm: float) -> sitk.Image:
    """Return labels [Z, Y, X] on the grid of an image, their outermost slices repeated upward and downward.

    Args:
        shown: first and last slice that are kept; what lies beyond is what they repeat.
        continued_mm: how far they are repeated.
    """
    import SimpleITK as sitk

    first, last = shown
    added = count_added(image, continued_mm)
    continued = sitk.GetImageFromArray(np.pad(labels[first : last + 1], ((added, added), (0, 0), (0, 0)), mode="edge"))
    continued.SetSpacing(image.GetSpacing())
    continued.SetDirection(image.GetDirection())
    continued.SetOrigin(image.TransformIndexToPhysicalPoint((0, 0, first - added)))
    return continued


def count_added(image: sitk.Image, continued_mm: float) -> int:
    """Return how many slices :func:`continue_slices` adds at each end."""
    return int(np.ceil(continued_mm / image.GetSpacing()[2]))


def cut_out(mask: sitk.Image, margin_mm: float) -> sitk.Image:
    """Return the box of a mask's voxels with a margin, as far as the image reaches."""
    import SimpleITK as sitk

    shape = sitk.LabelShapeStatisticsImageFilter()
    shape.Execute(mask)
    box = shape.GetBoundingBox(1)
    margins = [int(np.ceil(margin_mm / spacing)) for spacing in mask.GetSpacing()]
    first = [max(0, start - margin) for start, margin in zip(box[:3], margins)]
    last = [min(n, start + size + m) for start, size, m, n in zip(box[:3], box[3:], margins, mask.GetSize())]
    return mask[first[0] : last[0], first[1] : last[1], first[2] : last[2]]


def measure_smooth_distance(mask: sitk.Image, smoothing_mm: float) -> sitk.Image:
    """Return the signed distance in mm, negative inside, to the border between voxels in and out of a mask, smoothed.

    It reaches a little beyond :data:`~.settings.REACH_MM`, and so does the box around the mask that it is given on.
    """
    import SimpleITK as sitk

    mask = cut_out(mask, REACH_MM + 2.0)
    outward, inward = (
        sitk.SignedMaurerDistanceMap(side, insideIsPositive=False, squaredDistance=False, useImageSpacing=True)
        for side in (mask, mask == 0)
    )
    distance = sitk.Clamp((outward - inward) / 2.0, sitk.sitkFloat32, -REACH_MM - 3.0, REACH_MM + 3.0)
    return sitk.SmoothingRecursiveGaussian(distance, [smoothing_mm] * 3)
