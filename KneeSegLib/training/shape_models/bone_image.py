"""One bone of one label map as registration sees it: a signed distance, always of a right knee, cut where all are cut.

A binary mask tells a registration something only at its very border; its signed distance slopes everywhere near it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk
from scipy.ndimage import map_coordinates

from KneeSegLib.anatomy import CARTILAGES, SIDES, Side, structure
from KneeSegLib.training.shape_models.settings import BAND_MM, LEAST_VOXELS, SHAFTS, Shaft
from KneeSegLib.training.shape_models.shafts import cut_shaft
from KneeSegLib.training.shape_models.unusable import UnusableCase


@dataclass(frozen=True)
class BoneImage:
    """One bone of one case, in the frame of the case; a left knee is mirrored (x negated).

    Attributes:
        case: what the report calls it.
        distance: float32, signed distance to the bone's surface in mm, negative inside, clipped to
            +-:data:`~.settings.BAND_MM`; cubic voxels along the LPS axes.
        cartilage: the same for the bone's cartilage, on the same grid; None where the label map has none.
        cut_mm: height (z) at which the shaft was cut, None for a bone taken whole.
    """

    case: str
    distance: sitk.Image
    cartilage: sitk.Image | None
    cut_mm: float | None

    @property
    def spacing_mm(self) -> float:
        """Edge of the voxels."""
        return self.distance.GetSpacing()[0]

    @property
    def inside(self) -> np.ndarray:
        """Boolean [z, y, x]: voxel centres inside the bone."""
        return sitk.GetArrayViewFromImage(self.distance) < 0

    def distances_at(self, points: np.ndarray) -> np.ndarray:
        """Signed distance in mm (P,) of points (P, 3) to the bone."""
        return _sample(self.distance, points)

    def cartilage_distances_at(self, points: np.ndarray) -> np.ndarray | None:
        """Signed distance in mm (P,) of points (P, 3) to the bone's cartilage; None where there is none."""
        return None if self.cartilage is None else _sample(self.cartilage, points)

    def mirror(self) -> BoneImage:
        """Return the case as if its side had been labelled wrongly."""
        return BoneImage(self.case, _mirror(self.distance), None, self.cut_mm)


def find_sides(labels: sitk.Image, bone: str) -> tuple[Side, ...]:
    """Return the sides on which a label map (label values of :mod:`KneeSegLib.anatomy`) has a bone."""
    present = set(np.unique(sitk.GetArrayViewFromImage(labels)).tolist())
    return tuple(side for side in SIDES if structure(bone, side).label_value in present)


def prepare_bone_image(
    labels: sitk.Image, bone: str, side: Side, case: str, spacing_mm: float, shafts: Mapping[str, Shaft] = SHAFTS
) -> BoneImage:
    """Prepare one bone of a label map.

    Args:
        labels: label values of :mod:`KneeSegLib.anatomy`, any spacing and direction.
        bone: one of :data:`~KneeSegLib.shape.model.BONES`.
        spacing_mm: edge of the voxels of the result.
        shafts: how much is kept of the long bones, by bone.

    Raises:
        UnusableCase: hardly a voxel of the bone, or too little of its shaft.
    """
    mask = labels == structure(bone, side).label_value
    count = int(np.count_nonzero(sitk.GetArrayViewFromImage(mask)))
    if count < LEAST_VOXELS:
        raise UnusableCase(case, f"holds {'no' if count == 0 else f'only {count} voxels of the'} {side} {bone}")
    distance = _measure_distance_on_grid(mask, spacing_mm)
    if side == "left":
        distance = _mirror(distance)
    cut_mm = None
    if bone in shafts:
        distance, cut_mm = cut_shaft(distance, bone, shafts[bone], case)
    mask = labels == structure(CARTILAGES[bone], side).label_value
    cartilage = _measure_distance_like(distance, mask, side) if sitk.GetArrayViewFromImage(mask).any() else None
    return BoneImage(case, distance, cartilage, cut_mm)


def _sample(distance: sitk.Image, points: np.ndarray) -> np.ndarray:
    indices = (points - distance.GetOrigin()) / distance.GetSpacing()
    return map_coordinates(sitk.GetArrayViewFromImage(distance), indices.T[::-1], order=1, cval=BAND_MM)


def _measure_distance_on_grid(mask: sitk.Image, spacing_mm: float) -> sitk.Image:
    """Signed distance of a mask on cubic voxels along the LPS axes around it."""
    distance = _measure_distance(mask, spacing_mm, one_piece=True)
    indices = np.indices((2, 2, 2)).reshape(3, -1).T * (np.array(distance.GetSize()) - 1)
    corners = np.array([distance.TransformIndexToPhysicalPoint(index) for index in indices.tolist()])
    low, high = corners.min(axis=0), corners.max(axis=0)
    grid = sitk.ResampleImageFilter()
    grid.SetSize([int(extent) for extent in np.ceil((high - low) / spacing_mm) + 1])
    grid.SetOutputOrigin(low)
    grid.SetOutputSpacing([spacing_mm] * 3)
    grid.SetDefaultPixelValue(BAND_MM)
    return grid.Execute(distance)


def _measure_distance_like(grid: sitk.Image, mask: sitk.Image, side: Side) -> sitk.Image:
    """Signed distance of a mask on a given grid, which is that of a right knee."""
    distance = _measure_distance(mask, grid.GetSpacing()[0], one_piece=False)
    onto = sitk.ScaleTransform(3, (-1.0 if side == "left" else 1.0, 1.0, 1.0))
    return sitk.Resample(distance, grid, onto, sitk.sitkLinear, BAND_MM)


def _measure_distance(mask: sitk.Image, spacing_mm: float, one_piece: bool) -> sitk.Image:
    """Signed distance in mm to the border between voxels in and out of a mask, its terraces smoothed, on its own grid.

    The grid is that of the mask, cropped to the band around it and continued beyond the image where it is cut off.
    """
    shape = sitk.LabelShapeStatisticsImageFilter()
    shape.Execute(mask)
    box = shape.GetBoundingBox(1)
    mask = sitk.RegionOfInterest(mask, box[3:], box[:3])
    margin = [int(np.ceil((BAND_MM + 2) / spacing)) for spacing in mask.GetSpacing()]
    mask = sitk.ConstantPad(mask, margin, margin)
    # Much finer voxels than the result's cost minutes and tell nothing more.
    blocks = [max(1, int(spacing_mm / 2 / spacing)) for spacing in mask.GetSpacing()]
    mask = sitk.BinShrink(sitk.Cast(mask, sitk.sitkFloat32), blocks) >= 0.5
    if one_piece:
        mask = sitk.BinaryFillhole(sitk.RelabelComponent(sitk.ConnectedComponent(mask)) == 1)
    outward, inward = (
        sitk.SignedMaurerDistanceMap(part, insideIsPositive=False, squaredDistance=False, useImageSpacing=True)
        for part in (mask, mask == 0)
    )
    distance = sitk.Clamp((outward - inward) / 2, sitk.sitkFloat32, -BAND_MM, BAND_MM)
    return sitk.SmoothingRecursiveGaussian(distance, [max(spacing_mm, *mask.GetSpacing()) / 2] * 3)


def _mirror(distance: sitk.Image) -> sitk.Image:
    """The image with x negated; voxels stay along the LPS axes."""
    last = distance.GetSize()[0] - 1
    origin = distance.TransformIndexToPhysicalPoint((last, 0, 0))
    mirrored = sitk.GetImageFromArray(sitk.GetArrayViewFromImage(distance)[:, :, ::-1])
    mirrored.SetSpacing(distance.GetSpacing())
    mirrored.SetOrigin((-origin[0], *origin[1:]))
    return mirrored
