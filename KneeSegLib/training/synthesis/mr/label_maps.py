"""Label maps of knees as smooth signed distances on an upright grid, of a right knee centred on its plateau.

The maps end in mid-bone. All labels are continued beyond by repeating the last slice, so that distances near the end
are those of a longer knee; the heights that the map itself shows come with them.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from KneeSegLib.errors import InputError
from KneeSegLib.training.synthesis.cubic_grid import CubicGrid
from KneeSegLib.training.synthesis.label_distance import continue_slices, cut_out, measure_smooth_distance
from KneeSegLib.training.synthesis.mr.knee_maps import KneeMap
from KneeSegLib.training.synthesis.mr.settings import (
    DROPPED_SLICES,
    FINE_ENOUGH_MM,
    LABEL_CONTINUED_MM,
    LABEL_SMOOTHING_MM,
    LEAST_SOFT_FRACTION,
)
from KneeSegLib.training.synthesis.mr.structures import BONES, FAT
from KneeSegLib.training.synthesis.settings import REACH_MM

if TYPE_CHECKING:
    import SimpleITK as sitk


@dataclass(frozen=True)
class LabelledKnee:
    """A right knee's labels, the plateau's middle in the origin.

    Attributes:
        knee_map: meaning of the labels.
        image: labels, continued upward and downward.
        shown_mm: lowest and highest z that the map itself shows.
    """

    knee_map: KneeMap
    image: sitk.Image
    shown_mm: tuple[float, float]

    def measure_distance(self, labels: tuple[int, ...], grid: CubicGrid) -> np.ndarray:
        """Return the smooth signed distance in mm to some labels' union, negative inside; float32 on ``grid``."""
        smooth = measure_smooth_distance(self._mask(labels), LABEL_SMOOTHING_MM)
        result = np.full(grid.shape, REACH_MM, np.float32)
        part, where = _find_part(smooth, grid)
        result[where] = np.clip(_resample(smooth, part, REACH_MM), -REACH_MM, REACH_MM)
        return result

    def label_soft_tissue(self, grid: CubicGrid) -> np.ndarray:
        """Return the soft tissue (uint8) of each voxel of ``grid``: the label that fills most of its neighbourhood."""
        import SimpleITK as sitk

        best = np.full(grid.shape, LEAST_SOFT_FRACTION, np.float32)
        tissue = np.full(grid.shape, FAT, np.uint8)
        for label, kind in self.knee_map.soft.items():
            mask = cut_out(self._mask((label,)), 3.0 * LABEL_SMOOTHING_MM)
            filled = sitk.SmoothingRecursiveGaussian(sitk.Cast(mask, sitk.sitkFloat32), [LABEL_SMOOTHING_MM] * 3)
            part, where = _find_part(filled, grid)
            fraction = _resample(filled, part, 0.0)
            better = fraction > best[where]
            best[where][better], tissue[where][better] = fraction[better], kind
        return tissue

    def _mask(self, labels: tuple[int, ...]) -> sitk.Image:
        """Return the mask of some labels (uint8)."""
        mask = self.image == labels[0]
        for label in labels[1:]:
            mask = mask | (self.image == label)
        return mask


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
    steps = [max(1, round(FINE_ENOUGH_MM / spacing)) for spacing in image.GetSpacing()]
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
    """Return bone -> its label, as a tuple."""
    return {bone: (knee_map.bones_of.labels[bone],) for bone in BONES}


def _continue_labels(image: sitk.Image, knee_map: KneeMap) -> LabelledKnee:
    """Return a knee whose labels are continued beyond the slices that surely hold whole structures."""
    import SimpleITK as sitk

    labels = sitk.GetArrayFromImage(image)
    filled = np.flatnonzero(np.isin(labels, list(knee_map.bones_of.labels.values())).any(axis=(1, 2)))
    first, last = int(filled[0]) + DROPPED_SLICES, int(filled[-1]) - DROPPED_SLICES
    continued = continue_slices(image, labels, (first, last), LABEL_CONTINUED_MM)
    low, high = (image.TransformIndexToPhysicalPoint((0, 0, place))[2] for place in (first, last))
    return LabelledKnee(knee_map, continued, (low, high))


def _find_part(image: sitk.Image, grid: CubicGrid) -> tuple[CubicGrid, tuple[slice, slice, slice]]:
    """Return the part of a grid that an image covers, and where in the grid that is."""
    corners = [
        image.TransformIndexToPhysicalPoint([(size - 1) * bit for size, bit in zip(image.GetSize(), bits)])
        for bits in np.ndindex(2, 2, 2)
    ]
    found = grid.part(np.min(corners, axis=0), np.max(corners, axis=0))
    if found is None:
        raise InputError("A structure of the label map lies outside the grid of the templates.")
    return found


def _resample(image: sitk.Image, grid: CubicGrid, outside: float) -> np.ndarray:
    """Return an image on a grid [Z, Y, X], interpolated linearly; ``outside`` beyond its border."""
    import SimpleITK as sitk

    reference = sitk.Image([int(size) for size in grid.shape[::-1]], sitk.sitkUInt8)
    reference.SetOrigin([float(value) for value in grid.origin_mm])
    reference.SetSpacing([grid.spacing_mm] * 3)
    return sitk.GetArrayFromImage(sitk.Resample(image, reference, sitk.Transform(), sitk.sitkLinear, outside))
