"""What a label image holds: each structure with its volume and where it lies."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING

import numpy as np
import SimpleITK as sitk

from KneeSegLib.anatomy import STRUCTURES, Structure
from KneeSegLib.geometry.boxes import ArrayBox, find_border_faces, find_label_boxes

if TYPE_CHECKING:
    from KneeSegLib.edges.measurement import EdgeMeasurement
    from KneeSegLib.quality import QualityResult


@dataclass
class FoundStructure:
    """A structure that a label image holds.

    Attributes:
        voxels, volume_mm3: how large it is.
        box: the smallest part ``[k, j, i]`` of the label image's array that holds it.
        touches_border: its box reaches an edge of the scan: volume and surface are those of the part in view.
        warnings: sentences.
        digest: SHA-256 of which voxels of its box are its own.
        quality: how far it can be relied on; None where no pipeline assessed it.
        edge: how far two conventions of its edge lie apart; None where no pipeline measured it.
    """

    structure: Structure
    volume_mm3: float
    voxels: int
    box: ArrayBox
    touches_border: bool
    digest: str = ""
    warnings: list[str] = field(default_factory=list)
    quality: QualityResult | None = None
    edge: EdgeMeasurement | None = None

    @property
    def extent(self) -> str:
        """How much of it is in view, in words."""
        if self.touches_border:
            return "part, cut by the edge"
        if self.quality is not None and self.quality.goes_on_unseen:
            return "part, cut by the field of view"
        return "whole"


def measure_structures(labels: sitk.Image) -> list[FoundStructure]:
    """Measure every structure in ``labels`` (uint8, 3D), in the order of the anatomy table."""
    array = sitk.GetArrayViewFromImage(labels)
    voxel_mm3 = math.prod(labels.GetSpacing())
    boxes = find_label_boxes(array)
    found = []
    for structure in STRUCTURES:
        box = boxes.get(structure.label_value)
        if box is not None:
            inside = array[box] == structure.label_value
            voxels, digest = int(np.count_nonzero(inside)), sha256(np.packbits(inside).tobytes()).hexdigest()
            at_border = any(first or last for first, last in find_border_faces(box, array.shape))
            found.append(FoundStructure(structure, voxels * voxel_mm3, voxels, box, at_border, digest))
    return found
