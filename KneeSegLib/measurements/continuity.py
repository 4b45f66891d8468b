"""Whether the shaft of a bone goes on in the next block of a scan where it left the one above."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk

from KneeSegLib.anatomy import Structure
from KneeSegLib.measurements.settings import BEND_LIMITS_DEGREES, SHAFT_END_MM, SHAFT_REACHES_BORDER_MM


@dataclass(frozen=True)
class ShaftBend:
    """By how much a shaft bends on the way between two blocks that was not recorded, in degrees.

    Attributes:
        frontal_degrees, sagittal_degrees: the larger of the two angles between the ends and the line that joins them,
            seen from the front and from the side.
    """

    frontal_degrees: float
    sagittal_degrees: float

    @property
    def is_odd(self) -> bool:
        """Whether no healthy shaft bends so much."""
        frontal, sagittal = BEND_LIMITS_DEGREES
        return self.frontal_degrees > frontal or self.sagittal_degrees > sagittal


def measure_bend(upper: sitk.Image, lower: sitk.Image, value: int) -> ShaftBend | None:
    """Return how a shaft bends between two label maps in common LPS; None where one of them does not cut it.

    Args:
        upper, lower: the block nearer to the head, and the other one.
        value: of the bone's voxels.
    """
    end, begin = _end_of_shaft(upper, value, lowest=True), _end_of_shaft(lower, value, lowest=False)
    if end is None or begin is None:
        return None
    (above, direction_above), (below, direction_below) = end, begin
    between = above - below
    if between[2] <= 0.0:
        return None
    frontal, sagittal = (
        max(abs(_angle(direction, axis) - _angle(between, axis)) for direction in (direction_above, direction_below))
        for axis in (0, 1)
    )
    return ShaftBend(frontal, sagittal)


def describe_bend(bone: Structure, bend: ShaftBend, upper: str, lower: str) -> str:
    """Return the warning for a shaft that bends as none does."""
    worst = max(bend.frontal_degrees, bend.sagittal_degrees)
    return (
        f"The {bone.name.lower()} does not go on in the {lower} scan in the line in which it leaves the {upper} scan "
        f"(it bends by {worst:.0f} degrees): the patient may have moved between the blocks. Do not measure lengths and "
        "axes from one block to another without checking."
    )


def _end_of_shaft(labels: sitk.Image, value: int, lowest: bool) -> tuple[np.ndarray, np.ndarray] | None:
    """Return the centre (LPS, mm) of a bone's end and the direction (up) in which it points; None if the scan does not
    cut the bone there."""
    array = sitk.GetArrayViewFromImage(labels)
    indices = np.argwhere(array == value)[:, ::-1]
    if not len(indices):
        return None
    direction = np.reshape(labels.GetDirection(), (3, 3))
    points = indices * np.array(labels.GetSpacing()) @ direction.T + np.array(labels.GetOrigin())
    corners = [
        labels.TransformIndexToPhysicalPoint([int(k * (n - 1)) for k, n in zip(corner, labels.GetSize())])[2]
        for corner in np.ndindex(2, 2, 2)
    ]
    heights = points[:, 2]
    end_mm, border_mm = (heights.min(), min(corners)) if lowest else (heights.max(), max(corners))
    if abs(end_mm - border_mm) > SHAFT_REACHES_BORDER_MM:
        return None
    from_end = np.abs(heights - end_mm)
    near, far = (
        points[(from_end >= begin) & (from_end < begin + SHAFT_END_MM / 2)] for begin in (0.0, SHAFT_END_MM / 2)
    )
    if not (len(near) and len(far)):
        return None
    near, far = near.mean(axis=0), far.mean(axis=0)
    return near, (far - near) * (1.0 if lowest else -1.0)


def _angle(vector: np.ndarray, axis: int) -> float:
    """Return by how many degrees a vector that points up leans along one of the horizontal axes."""
    return float(np.degrees(np.arctan2(vector[axis], vector[2])))
