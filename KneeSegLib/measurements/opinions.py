"""How far two segmentations of one scan agree, structure by structure, and where they do not."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass
from typing import Literal

import numpy as np
import SimpleITK as sitk
from scipy.spatial import KDTree

from KneeSegLib.anatomy import STRUCTURES, Side, Structure
from KneeSegLib.geometry.boxes import ArrayBox, enclose_boxes, find_label_boxes
from KneeSegLib.geometry.masks import find_edge_voxels
from KneeSegLib.measurements.metrics import measure_overlap
from KneeSegLib.measurements.settings import OPINION_LIMITS_MM

FoundBy = Literal["both", "first", "second"]


@dataclass(frozen=True)
class OpinionAgreement:
    """One structure in two segmentations.

    Attributes:
        found_by: which of the two hold it.
        looked_for: both pipelines know such a structure; else it says nothing that one of them lacks it.
        first_mm3, second_mm3: its volumes.
        dice: overlap; None where only one holds it.
        largest_mm: the largest distance of a voxel on either's surface from the other's surface.
        largest_at_mm: where that is, LPS.
        largest_at: the same in words.
        limit_mm: a larger distance than this is flagged.
        scan: name of the scan that both segmented, where a case has several.
    """

    structure: Structure
    found_by: FoundBy
    looked_for: bool
    first_mm3: float
    second_mm3: float
    dice: float | None = None
    largest_mm: float | None = None
    largest_at_mm: tuple[float, float, float] | None = None
    largest_at: str = ""
    limit_mm: float = 0.0
    scan: str = ""

    @property
    def name(self) -> str:
        """The structure's name, with that of the scan where a case has several."""
        return f"{self.structure.name} ({self.scan})" if self.scan else self.structure.name

    @property
    def disagrees(self) -> bool:
        """Whether it is to be checked."""
        if self.found_by != "both":
            return self.looked_for
        return self.largest_mm is not None and self.largest_mm > self.limit_mm


def compare_opinions(first: sitk.Image, second: sitk.Image, known: Set[str]) -> list[OpinionAgreement]:
    """Compare two label images of one grid; every structure that either holds, in the order of the anatomy table.

    Args:
        known: keys of the tissues that both pipelines look for.
    """
    arrays = sitk.GetArrayViewFromImage(first), sitk.GetArrayViewFromImage(second)
    boxes = [find_label_boxes(array) for array in arrays]
    voxel_mm3 = float(np.prod(first.GetSpacing()))
    found = []
    for entry in STRUCTURES:
        own = [box[entry.label_value] for box in boxes if entry.label_value in box]
        if not own:
            continue
        box = enclose_boxes(own)
        masks = [array[box] == entry.label_value for array in arrays]
        own_mm3, other_mm3 = (float(np.count_nonzero(mask)) * voxel_mm3 for mask in masks)
        looked_for = entry.tissue.key in known
        if not (own_mm3 and other_mm3):
            found_by: FoundBy = "first" if own_mm3 else "second"
            found.append(OpinionAgreement(entry, found_by, looked_for, own_mm3, other_mm3))
            continue
        largest_mm, index = find_largest_distance(masks[0], masks[1], box, first)
        found.append(
            OpinionAgreement(
                entry,
                "both",
                looked_for,
                own_mm3,
                other_mm3,
                dice=measure_overlap(*masks)["dice"],
                largest_mm=largest_mm,
                largest_at_mm=first.TransformIndexToPhysicalPoint(index),
                largest_at=describe_place(index, box, first, entry.side) if largest_mm > 0.0 else "",
                limit_mm=OPINION_LIMITS_MM[entry.tissue.kind],
            )
        )
    return found


def find_largest_distance(
    first: np.ndarray, second: np.ndarray, box: ArrayBox, image: sitk.Image
) -> tuple[float, tuple[int, int, int]]:
    """Return the largest distance between two surfaces in mm, and the voxel (i, j, k) of the image where it is.

    Args:
        first, second: bool, not empty; ``box`` of the array of ``image``.
    """
    spacing_mm = np.array(image.GetSpacing()[::-1])
    edges = [np.argwhere(find_edge_voxels(mask)) for mask in (first, second)]
    farthest = (0.0, edges[0][0])
    for here, there in (edges, edges[::-1]):
        distances_mm, _ = KDTree(there * spacing_mm).query(here * spacing_mm)
        place = int(distances_mm.argmax())
        if distances_mm[place] > farthest[0]:
            farthest = (float(distances_mm[place]), here[place])
    k, j, i = (int(voxel + cut.start) for voxel, cut in zip(farthest[1], box))
    return farthest[0], (i, j, k)


def describe_place(index: tuple[int, int, int], box: ArrayBox, image: sitk.Image, side: Side) -> str:
    """Return in words where in a structure's box a voxel lies: ``"lower medial front"``; empty for its middle."""
    low, high = (
        np.array(image.TransformIndexToPhysicalPoint([int(corner(cut)) for cut in box[::-1]]))
        for corner in (lambda cut: cut.start, lambda cut: cut.stop - 1)
    )
    low, high = np.minimum(low, high), np.maximum(low, high)
    fractions = (np.array(image.TransformIndexToPhysicalPoint(index)) - low) / np.maximum(high - low, 1e-6)
    # x grows to the patient's left, which is medial of a right leg; y to the back, z to the head.
    sideways = ("lateral", "medial") if side == "right" else ("medial", "lateral")
    words = [("lower", "upper"), sideways, ("front", "back")]
    parts = [
        names[0] if fraction < 1 / 3 else names[1]
        for names, fraction in zip(words, (fractions[2], fractions[0], fractions[1]))
        if not 1 / 3 <= fraction <= 2 / 3
    ]
    return " ".join(parts)
