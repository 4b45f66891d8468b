"""Two people's knees from label maps: signed distances of the labels, smoothed until the slice steps are gone.

The bones end where the image ended. They are continued beyond by repeating their last slice, so that distances near the
end are those of a longer bone, and the prepared volume stops inside what was really seen.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from KneeSegLib.errors import InputError
from KneeSegLib.training.synthesis.anatomy_file import CLASSES, Anatomy
from KneeSegLib.training.synthesis.bones import Bone
from KneeSegLib.training.synthesis.distance import REACH_MM, BoneFields, Grid
from KneeSegLib.training.synthesis.meshes import Mesh
from KneeSegLib.training.synthesis.voxels import CaseName, assemble_anatomy

SPACING_MM = 0.8
_SMOOTHING_MM = 0.8
_CONTINUED_MM = 16.0
_INSIDE_MM = 2.0


@dataclass(frozen=True)
class LabelMap:
    """A label map of the data pack: its file, the side it shows, the label of each bone, its source with licence."""

    file: str
    side: str
    labels: dict[str, int]
    source: str


LABEL_MAPS = {
    "labelspl": LabelMap(
        "knee_labels/spl_knee_left_label.nrrd",
        "left",
        {"femur": 95, "tibia": 96, "fibula": 97, "patella": 98},
        "mhalle/spl-knee-atlas (3D Slicer licence)",
    ),
    "labeldess": LabelMap(
        "knee_labels/dess_knee_right_label.nrrd",
        "right",
        {"femur": 5, "tibia": 6, "fibula": 8, "patella": 7},
        "gattia/pymskt (MIT)",
    ),
}


def build_label_knee(name: CaseName, data: Path, random: np.random.Generator) -> Anatomy:
    """One right knee from a label map; a left one is mirrored."""
    import SimpleITK as sitk

    label_map = LABEL_MAPS[name.subject]
    path = Path(data) / label_map.file
    if not path.is_file():
        raise InputError(f"{path} does not exist; the anatomy data must hold this label map.")
    image = _continue_labels(sitk.ReadImage(str(path)), label_map)
    low, high = _find_bounds(image)
    grid = Grid.around(low, high, SPACING_MM)
    reference = sitk.Image([int(size) for size in grid.shape[::-1]], sitk.sitkUInt8)
    reference.SetOrigin([float(value) for value in grid.origin_mm])
    reference.SetSpacing([SPACING_MM] * 3)

    fields = BoneFields(grid)
    for number, label in enumerate(label_map.labels.values(), start=1):
        distance = sitk.Resample(
            _measure_smooth_distance(image == label), reference, sitk.Transform(), sitk.sitkLinear, REACH_MM
        )
        fields.add(np.clip(sitk.GetArrayFromImage(distance), -REACH_MM, REACH_MM), number)
    distance, numbers = fields.joined(0.3 if random.random() < 0.15 else random.uniform(0.5, 1.5))
    if label_map.side == "left":
        distance, numbers = distance[:, :, ::-1], numbers[:, :, ::-1]
        origin_x = -(grid.origin_mm[0] + SPACING_MM * (grid.shape[2] - 1))
        grid = Grid((origin_x, *grid.origin_mm[1:]), SPACING_MM, grid.shape)
    classes = np.array([0, *(CLASSES.index(f"{bone}_right") for bone in label_map.labels)], np.uint8)
    factor = random.uniform(0.6, 1.25)
    functions = [
        _make_cortex_function(bone, distance, numbers == number, grid, factor)
        for number, bone in enumerate(label_map.labels, 1)
    ]
    return assemble_anatomy(distance, numbers, classes, functions, grid, name, [label_map.source])


def _continue_labels(image, label_map: LabelMap):
    """The bones' labels with the last slice of what holds bone repeated upward and downward."""
    import SimpleITK as sitk

    image = sitk.Cast(image, sitk.sitkInt16)
    image = sitk.DICOMOrient(image, "LPS")
    labels = sitk.GetArrayFromImage(image)
    labels = np.where(np.isin(labels, list(label_map.labels.values())), labels, 0)
    filled = np.flatnonzero((labels > 0).any(axis=(1, 2)))
    # The outermost two slices that hold bone may hold only part of it.
    first, last = filled[0] + 2, filled[-1] - 2
    added = int(np.ceil(_CONTINUED_MM / image.GetSpacing()[2]))
    continued = sitk.GetImageFromArray(np.pad(labels[first : last + 1], ((added, added), (0, 0), (0, 0)), mode="edge"))
    continued.SetSpacing(image.GetSpacing())
    continued.SetDirection(image.GetDirection())
    continued.SetOrigin(image.TransformIndexToPhysicalPoint([0, 0, int(first) - added]))
    return continued


def _find_bounds(image) -> tuple[np.ndarray, np.ndarray]:
    """Corners (x, y, z) of the upright box around the bones; its top and bottom lie inside what was seen."""
    import SimpleITK as sitk

    labels = sitk.GetArrayViewFromImage(image)
    added = int(np.ceil(_CONTINUED_MM / image.GetSpacing()[2]))
    filled = np.argwhere(labels[added:-added] > 0)[:, ::-1] + (0, 0, added)
    spread = np.array(
        [image.TransformContinuousIndexToPhysicalPoint([float(i) for i in index]) for index in filled[::50]]
    )
    low, high = spread.min(axis=0) - 12.0, spread.max(axis=0) + 12.0
    corners = filled[:, :2].min(axis=0), filled[:, :2].max(axis=0)

    def heights(slice_index: int) -> list[float]:
        return [
            image.TransformIndexToPhysicalPoint([int(x[0]), int(y[1]), slice_index])[2]
            for x in corners
            for y in corners
        ]

    low[2] = max(heights(added)) + _INSIDE_MM
    high[2] = min(heights(labels.shape[0] - added - 1)) - _INSIDE_MM
    # Whole blocks of four voxels must fit inside.
    block = 4 * SPACING_MM
    high[2] = low[2] + block * np.floor((high[2] - low[2]) / block)
    return low, high


def _measure_smooth_distance(mask):
    """Signed distance in mm, negative inside, to the border between voxels in and out of a mask, smoothed."""
    import SimpleITK as sitk

    shape = sitk.LabelShapeStatisticsImageFilter()
    shape.Execute(mask)
    box, sizes = shape.GetBoundingBox(1), mask.GetSize()
    margins = [int(np.ceil((REACH_MM + 2) / spacing)) for spacing in mask.GetSpacing()]
    first = [max(0, start - margin) for start, margin in zip(box[:3], margins)]
    last = [min(size, start + extent + margin) for start, extent, margin, size in zip(box[:3], box[3:], margins, sizes)]
    mask = mask[first[0] : last[0], first[1] : last[1], first[2] : last[2]]
    outward = sitk.SignedMaurerDistanceMap(mask, insideIsPositive=False, squaredDistance=False, useImageSpacing=True)
    inward = sitk.SignedMaurerDistanceMap(
        mask == 0, insideIsPositive=False, squaredDistance=False, useImageSpacing=True
    )
    distance = sitk.Clamp((outward - inward) / 2.0, sitk.sitkFloat32, -REACH_MM - 3, REACH_MM + 3)
    return sitk.SmoothingRecursiveGaussian(distance, _SMOOTHING_MM)


def _make_cortex_function(bone: str, distance: np.ndarray, near: np.ndarray, grid: Grid, factor: float):
    """Cortical thickness along the vertical: one end of a bone is in the volume, the other is taken to be far away."""
    heights = grid.origin_mm[2] + grid.spacing_mm * np.flatnonzero((near & (distance < 0)).any(axis=(1, 2)))
    far_mm = 330.0
    upper = heights[0] + far_mm if bone == "femur" else heights[-1]
    lower = heights[0] if bone == "femur" else heights[-1] - far_mm
    ends = np.array([[0.0, 0.0, upper], [0.0, 0.0, lower]]) if bone != "patella" else None
    empty = Mesh(np.zeros((0, 3)), np.zeros((0, 3), np.int64))
    return Bone(bone, empty, ends, cortex_factor=factor).cortex_mm
