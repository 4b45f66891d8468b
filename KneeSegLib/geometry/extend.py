"""A label map that was cut to a part of its scan, brought back to the scan's grid."""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk

from KneeSegLib.geometry.settings import SAME_SPACING

_OF_A_VOXEL = 0.01
"""Origins may miss each other's lattice by this fraction of a voxel: what is less is rounding."""


def extend_to(labels: sitk.Image, reference: sitk.Image) -> sitk.Image:
    """Return ``labels`` on the grid of ``reference`` where both lie on one lattice; as they are where they do not.

    Nothing is interpolated: slices may be stored in the other direction, and may be missing where they are empty.
    Labels outside the reference's grid are left as they are, so that a comparison refuses them.
    """
    placed = sitk.DICOMOrient(labels, _letters(reference)) if _letters(labels) != _letters(reference) else labels
    same = (
        placed.GetDimension() == reference.GetDimension() == 3
        and np.allclose(placed.GetSpacing(), reference.GetSpacing(), rtol=SAME_SPACING, atol=0.0)
        and np.allclose(placed.GetDirection(), reference.GetDirection(), atol=SAME_SPACING)
    )
    if not same:
        return labels
    found = np.array(reference.TransformPhysicalPointToContinuousIndex(placed.GetOrigin()))
    first = np.rint(found)
    fits = (first >= 0).all() and (first + placed.GetSize() <= reference.GetSize()).all()
    if not fits or np.abs(found - first).max() > _OF_A_VOXEL:
        return labels
    extended = sitk.Image(reference.GetSize(), placed.GetPixelID())
    extended.CopyInformation(reference)
    return sitk.Paste(extended, placed, placed.GetSize(), [0, 0, 0], [int(index) for index in first])


def _letters(image: sitk.Image) -> str:
    return sitk.DICOMOrientImageFilter.GetOrientationFromDirectionCosines(image.GetDirection())
