"""From a label map of a knee to smooth signed distances on an upright grid, a right knee centred on its plateau.

The maps end in mid-bone. All labels are continued beyond by repeating the last slice, so that distances near the end
are those of a longer knee; what is really seen is told by the heights that come with them.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from KneeSegLib.errors import InputError
from KneeSegLib.training.synthesis.cubic_grid import CubicGrid
from KneeSegLib.training.synthesis.mr.knee_maps import KneeMap
from KneeSegLib.training.synthesis.mr.structures import BONES, FAT
from KneeSegLib.training.synthesis.settings import REACH_MM

if TYPE_CHECKING:
    import SimpleITK as sitk

SMOOTHING_MM = 0.7
_SOFT_SMOOTHING_MM = 0.7
_FINE_ENOUGH_MM = 0.5
_CONTINUED_MM = 36.0
_DROPPED_SLICES = 2
"""The outermost slices may hold only part of a structure."""


@dataclass(frozen=True)
class LabelledKnee:
    """A right knee's labels, the plateau's middle in the origin.

    Attributes:
        image: labels, continued upward and downward.
        seen_mm: lowest and highest z that the map itself shows.
    """

    knee_map: KneeMap
    image: sitk.Image
    seen_mm: tuple[float, float]

    def distance(self, labels: tuple[int, ...], grid: CubicGrid) -> np.ndarray:
        """Smooth signed distance in mm to some labels' union, negative inside; float32 on ``grid``, clipped."""
        import SimpleITK as sitk

        mask = self._mask(labels, REACH_MM + 2.0)
        # To the border between voxels in and out, not to the centres of either.
        outward, inward = (
            sitk.SignedMaurerDistanceMap(side, insideIsPositive=False, squaredDistance=False, useImageSpacing=True)
            for side in (mask, mask == 0)
        )
        distance = sitk.Clamp((outward - inward) / 2.0, sitk.sitkFloat32, -REACH_MM - 3.0, REACH_MM + 3.0)
        smooth = sitk.SmoothingRecursiveGaussian(distance, SMOOTHING_MM)
        result = np.full(grid.shape, REACH_MM, np.float32)
        part, where = _find_part(smooth, grid)
        result[where] = np.clip(_resample(smooth, part, REACH_MM), -REACH_MM, REACH_MM)
        return result

    def label_soft_tissue(self, grid: CubicGrid) -> np.ndarray:
        """Soft tissue (uint8) of each voxel of ``grid``: the label that fills most of its neighbourhood."""
        import SimpleITK as sitk

        best = np.full(grid.shape, 0.45, np.float32)
        tissue = np.full(grid.shape, FAT, np.uint8)
        for label, kind in self.knee_map.soft.items():
            mask = self._mask((label,), 3.0 * _SOFT_SMOOTHING_MM)
            filled = sitk.SmoothingRecursiveGaussian(sitk.Cast(mask, sitk.sitkFloat32), _SOFT_SMOOTHING_MM)
            part, where = _find_part(filled, grid)
            fraction = _resample(filled, part, 0.0)
            better = fraction > best[where]
            best[where][better], tissue[where][better] = fraction[better], kind
        return tissue

    def _mask(self, labels: tuple[int, ...], margin_mm: float) -> sitk.Image:
        """Mask of some labels (uint8), cut out with a margin."""
        import SimpleITK as sitk

        mask = self.image == labels[0]
        for label in labels[1:]:
            mask = mask | (self.image == label)
        shape = sitk.LabelShapeStatisticsImageFilter()
        shape.Execute(mask)
        box = shape.GetBoundingBox(1)
        margins = [int(np.ceil(margin_mm / spacing)) for spacing in mask.GetSpacing()]
        first = [max(0, start - margin) for start, margin in zip(box[:3], margins)]
        last = [min(n, a + b + m) for a, b, m, n in zip(box[:3], box[3:], margins, mask.GetSize())]
        return mask[first[0] : last[0], first[1] : last[1], first[2] : last[2]]


def read_knee(knee_map: KneeMap, data: Path) -> LabelledKnee:
    """Read a label map of the data pack; a left knee is mirrored.

    Raises:
        InputError: the file is absent.
    """
    import SimpleITK as sitk

    path = Path(data) / knee_map.bones_of.file
    if not path.is_file():
        raise InputError(f"{path} does not exist; the anatomy data must hold this label map.")
    image = sitk.DICOMOrient(sitk.Cast(sitk.ReadImage(str(path)), sitk.sitkUInt8), "LPS")
    # Far finer voxels than slices: the smoothing that takes out the slices' steps leaves nothing of them.
    steps = [max(1, round(_FINE_ENOUGH_MM / spacing)) for spacing in image.GetSpacing()]
    image = image[:: steps[0], :: steps[1], :: steps[2]]
    if knee_map.bones_of.side == "left":
        mirrored = sitk.GetImageFromArray(sitk.GetArrayFromImage(image)[:, :, ::-1])
        mirrored.SetSpacing(image.GetSpacing())
        far_corner = image.TransformIndexToPhysicalPoint((image.GetSize()[0] - 1, 0, 0))
        mirrored.SetOrigin((-far_corner[0], *far_corner[1:]))
        image = mirrored
    labels = sitk.GetArrayViewFromImage(image)
    plateau = np.argwhere(np.isin(labels, knee_map.cartilages["tibia"])).mean(axis=0)[::-1]
    centre = image.TransformContinuousIndexToPhysicalPoint([float(place) for place in plateau])
    image.SetOrigin([start - middle for start, middle in zip(image.GetOrigin(), centre)])
    return _continue_labels(image, knee_map)


def list_bone_labels(knee_map: KneeMap) -> dict[str, tuple[int, ...]]:
    """Bone -> its label, as a tuple."""
    return {bone: (knee_map.bones_of.labels[bone],) for bone in BONES}


def _continue_labels(image: sitk.Image, knee_map: KneeMap) -> LabelledKnee:
    import SimpleITK as sitk

    labels = sitk.GetArrayFromImage(image)
    filled = np.flatnonzero(np.isin(labels, list(knee_map.bones_of.labels.values())).any(axis=(1, 2)))
    first, last = int(filled[0]) + _DROPPED_SLICES, int(filled[-1]) - _DROPPED_SLICES
    added = int(np.ceil(_CONTINUED_MM / image.GetSpacing()[2]))
    continued = sitk.GetImageFromArray(np.pad(labels[first : last + 1], ((added, added), (0, 0), (0, 0)), mode="edge"))
    continued.SetSpacing(image.GetSpacing())
    continued.SetDirection(image.GetDirection())
    continued.SetOrigin(image.TransformIndexToPhysicalPoint((0, 0, first - added)))
    seen = tuple(image.TransformIndexToPhysicalPoint((0, 0, place))[2] for place in (first, last))
    return LabelledKnee(knee_map, continued, seen)


def _find_part(image: sitk.Image, grid: CubicGrid) -> tuple[CubicGrid, tuple[slice, slice, slice]]:
    """The part of a grid that an image covers, and where in the grid that is."""
    corners = [
        image.TransformIndexToPhysicalPoint([(size - 1) * bit for size, bit in zip(image.GetSize(), bits)])
        for bits in np.ndindex(2, 2, 2)
    ]
    found = grid.part(np.min(corners, axis=0), np.max(corners, axis=0))
    if found is None:
        raise InputError("A structure of the label map lies outside the grid of the templates.")
    return found


def _resample(image: sitk.Image, grid: CubicGrid, outside: float) -> np.ndarray:
    import SimpleITK as sitk

    reference = sitk.Image([int(size) for size in grid.shape[::-1]], sitk.sitkUInt8)
    reference.SetOrigin([float(value) for value in grid.origin_mm])
    reference.SetSpacing([grid.spacing_mm] * 3)
    return sitk.GetArrayFromImage(sitk.Resample(image, reference, sitk.Transform(), sitk.sitkLinear, outside))
