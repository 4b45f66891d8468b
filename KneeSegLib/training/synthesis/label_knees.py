"""Two subjects' knees from label maps: signed distances of the labels, smoothed until the slice steps are gone.

The bones end where the image ended. They are continued beyond by repeating their last slice, so that distances near the
end are those of a longer bone, and the prepared volume stops inside what the image shows.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from KneeSegLib.errors import InputError
from KneeSegLib.training.synthesis.anatomy_file import CLASSES, Anatomy
from KneeSegLib.training.synthesis.bone_fields import BoneFields, BoneVolume
from KneeSegLib.training.synthesis.bones import Bone, draw_cortex_factor
from KneeSegLib.training.synthesis.cubic_grid import CubicGrid
from KneeSegLib.training.synthesis.label_distance import continue_slices, count_added, measure_smooth_distance
from KneeSegLib.training.synthesis.meshes import Mesh
from KneeSegLib.training.synthesis.settings import (
    LABEL_CONTINUED_MM,
    LABEL_FAR_END_MM,
    LABEL_INSIDE_MM,
    LABEL_SMOOTHING_MM,
    LABEL_SPACING_MM,
    REACH_MM,
)
from KneeSegLib.training.synthesis.voxels import CaseName, CortexFunction, assemble_anatomy, draw_gap_mm

if TYPE_CHECKING:
    import SimpleITK as sitk


@dataclass(frozen=True)
class LabelMap:
    """A label map of the data pack.

    Attributes:
        file: its path in the pack.
        side: that it shows.
        labels: bone -> its label.
        source: name and licence.
    """

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
    """Build one right knee from a label map; a left one is mirrored.

    Raises:
        InputError: the data pack lacks the label map.
    """
    import SimpleITK as sitk

    label_map = LABEL_MAPS[name.subject]
    path = Path(data) / label_map.file
    if not path.is_file():
        raise InputError(f"{path} does not exist; the anatomy data must hold this label map.")
    image = _continue_labels(sitk.ReadImage(str(path)), label_map)
    low, high = _find_bounds(image)
    grid = CubicGrid.around(low, high, LABEL_SPACING_MM)
    reference = sitk.Image([int(size) for size in grid.shape[::-1]], sitk.sitkUInt8)
    reference.SetOrigin([float(value) for value in grid.origin_mm])
    reference.SetSpacing([grid.spacing_mm] * 3)

    fields = BoneFields(grid)
    for number, label in enumerate(label_map.labels.values(), start=1):
        smooth = measure_smooth_distance(image == label, LABEL_SMOOTHING_MM)
        distance = sitk.Resample(smooth, reference, sitk.Transform(), sitk.sitkLinear, REACH_MM)
        fields.add(np.clip(sitk.GetArrayFromImage(distance), -REACH_MM, REACH_MM), number)
    bones = fields.join(draw_gap_mm(random, 1.5))
    if label_map.side == "left":
        bones = _mirror_volume(bones)
    classes = np.array([0, *(CLASSES.index(f"{bone}_right") for bone in label_map.labels)], np.uint8)
    factor = draw_cortex_factor(random)
    functions = [_make_cortex_function(bone, bones, number, factor) for number, bone in enumerate(label_map.labels, 1)]
    return assemble_anatomy(bones, classes, functions, name, [label_map.source])


def _continue_labels(image: sitk.Image, label_map: LabelMap) -> sitk.Image:
    """Return the bones' labels with the last slice of what holds bone repeated upward and downward."""
    import SimpleITK as sitk

    image = sitk.DICOMOrient(sitk.Cast(image, sitk.sitkInt16), "LPS")
    labels = sitk.GetArrayFromImage(image)
    labels = np.where(np.isin(labels, list(label_map.labels.values())), labels, 0)
    filled = np.flatnonzero((labels > 0).any(axis=(1, 2)))
    # The outermost two slices that hold bone may hold only part of it.
    return continue_slices(image, labels, (int(filled[0]) + 2, int(filled[-1]) - 2), LABEL_CONTINUED_MM)


def _find_bounds(image: sitk.Image) -> tuple[np.ndarray, np.ndarray]:
    """Return corners (x, y, z) of the upright box around the bones; top and bottom lie inside what the map shows."""
    import SimpleITK as sitk

    labels = sitk.GetArrayViewFromImage(image)
    added = count_added(image, LABEL_CONTINUED_MM)
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

    low[2] = max(heights(added)) + LABEL_INSIDE_MM
    high[2] = min(heights(labels.shape[0] - added - 1)) - LABEL_INSIDE_MM
    # Whole blocks of four voxels must fit inside.
    block = 4 * LABEL_SPACING_MM
    high[2] = low[2] + block * np.floor((high[2] - low[2]) / block)
    return low, high


def _mirror_volume(bones: BoneVolume) -> BoneVolume:
    """Return the bones of the other side of the body."""
    _, y, z = bones.grid.origin_mm
    x = bones.grid.corners()[1][0]
    grid = CubicGrid((-x, y, z), bones.grid.spacing_mm, bones.grid.shape)
    return BoneVolume(grid, bones.distance_mm[:, :, ::-1], bones.numbers[:, :, ::-1])


def _make_cortex_function(bone: str, bones: BoneVolume, number: int, factor: float) -> CortexFunction:
    """Return cortical thickness along the vertical: of a bone's two ends the one that is not shown is far away."""
    inside = (bones.numbers == number) & (bones.distance_mm < 0)
    heights = bones.grid.origin_mm[2] + bones.grid.spacing_mm * np.flatnonzero(inside.any(axis=(1, 2)))
    upper = heights[0] + LABEL_FAR_END_MM if bone == "femur" else heights[-1]
    lower = heights[0] if bone == "femur" else heights[-1] - LABEL_FAR_END_MM
    ends = np.array([[0.0, 0.0, upper], [0.0, 0.0, lower]]) if bone != "patella" else None
    empty = Mesh(np.zeros((0, 3)), np.zeros((0, 3), np.int64))
    return Bone(bone, empty, ends, cortex_factor=factor).cortex_mm
