"""Axes of length one that formats add to a volume: a list of one component, one time point."""

from __future__ import annotations

import SimpleITK as sitk


def drop_single_axes(image: sitk.Image) -> sitk.Image:
    """Return ``image`` without axes beyond the third that have one voxel, and as scalars where it has one component."""
    size = image.GetSize()
    if len(size) > 3 and all(count == 1 for count in size[3:]):
        kept = sitk.ExtractImageFilter.DIRECTIONCOLLAPSETOSUBMATRIX
        image = sitk.Extract(image, [*size[:3], *(0 for _ in size[3:])], [0] * len(size), kept)
    is_vector = "vector" in image.GetPixelIDTypeAsString()
    if is_vector and image.GetNumberOfComponentsPerPixel() == 1:
        image = sitk.VectorIndexSelectionCast(image, 0)
    return image
