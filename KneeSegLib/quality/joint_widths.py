"""How wide bones are at the knee, to recognise a wrong spacing: a femoral condyle is neither 6 nor 20 cm wide.

The width is the largest distance of two points of the outline of a bone's end, seen along the scan's axis from foot to
head.
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import SimpleITK as sitk
from scipy.spatial import ConvexHull, QhullError
from scipy.spatial.distance import pdist

from KneeSegLib.anatomy import Structure
from KneeSegLib.geometry.boxes import ArrayBox, box_shape
from KneeSegLib.quality.settings import JOINT_END_MM, JOINT_WIDTHS_MM, LONGEST_ACROSS

_ENDS = {"femur": "lower", "tibia": "upper"}


def measure_joint_width_mm(labels: sitk.Image, structure: Structure, box: ArrayBox) -> float | None:
    """Return how wide the end of a bone is that belongs to the knee; None where the image's border cuts it.

    Nor has a bone a width that lies across the scan, as in a knee that is bent by a right angle.

    Args:
        labels: of any orientation.
        box: of the structure, of the array ``[k, j, i]`` of ``labels``.
    """
    end = _ENDS.get(structure.tissue.key)
    direction = np.reshape(labels.GetDirection(), (3, 3))[:, ::-1]  # columns: axes k, j, i
    along = int(np.abs(direction[2]).argmax())
    first_is_low = direction[2, along] > 0
    at_first = (end == "lower") == first_is_low
    array = sitk.GetArrayViewFromImage(labels)
    border = [(part.start == 0, part.stop == size) for part, size in zip(box, array.shape)]
    across = [axis for axis in range(3) if axis != along]
    if end is None or border[along][0 if at_first else 1] or any(any(border[axis]) for axis in across):
        return None
    spacing_mm = np.array(labels.GetSpacing()[::-1])
    slices = max(1, round(JOINT_END_MM / spacing_mm[along]))
    extents_mm = np.multiply(box_shape(box), spacing_mm)
    if box_shape(box)[along] <= slices or extents_mm[across].max() > LONGEST_ACROSS * extents_mm[along]:
        return None  # a fragment of a joint, or a bone that lies across the scan: its slices are no cross-sections
    slab = list(box)
    slab[along] = (
        slice(box[along].start, box[along].start + slices)
        if at_first
        else slice(box[along].stop - slices, box[along].stop)
    )
    outline = (array[tuple(slab)] == structure.label_value).any(axis=along)
    points_mm = np.argwhere(outline) * spacing_mm[across]
    try:
        return float(pdist(points_mm[ConvexHull(points_mm).vertices]).max())
    except (QhullError, ValueError):  # a line or nothing
        return None


def shows_knee(structure: Structure, found: Collection[Structure]) -> bool:
    """Return whether the scan shows the other bone of the knee too: a tibia of an ankle ends where the view does."""
    return any(other.side == structure.side and other.tissue.key in _ENDS and other != structure for other in found)


def describe_odd_width(structure: Structure, width_mm: float | None) -> str | None:
    """Return in a sentence what is odd about the width of a bone's end, and what may be wrong; None if nothing is."""
    known = JOINT_WIDTHS_MM.get(structure.tissue.key)
    if width_mm is None or known is None:
        return None
    low_mm, high_mm = known
    if low_mm <= width_mm <= high_mm:
        return None
    return (
        f"At the knee it is {width_mm:.0f} mm wide; those of adults have {low_mm:.0f} to {high_mm:.0f} mm. The spacing "
        "of the image may be wrong: compare its voxel size with the scanner's (--spacing gives another)."
    )
