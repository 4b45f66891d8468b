"""Cartilage lies on bone, and menisci near it: components that do not are something else."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from KneeSegLib.cleaning.components import Spacing
from KneeSegLib.cleaning.settings import LEAST_ATTACHED_MM3
from KneeSegLib.geometry.boxes import find_mask_box, grow_box
from KneeSegLib.geometry.masks import FACES_AND_EDGES, label_components, measure_distance_mm


def keep_attached(mask: np.ndarray, bone: np.ndarray, spacing_mm: Spacing, gap_mm: float = 0.0) -> np.ndarray:
    """Return the components of ``mask`` that share a face with ``bone`` and hold :data:`LEAST_ATTACHED_MM3`.

    Components are connected through faces and edges: a sheet that is one voxel thick may climb along a slope.

    Args:
        mask: bool (Z, Y, X), of cartilage or meniscus.
        bone: bool, of the same shape.
        spacing_mm: (z, y, x).
        gap_mm: a component may also lie as far as this from the bone, from voxel to voxel: there is fluid between.
    """
    kept = np.zeros_like(mask)
    box = find_mask_box(mask)
    if box is None:
        return kept
    around = grow_box(box, [max(int(np.ceil(gap_mm / step)), 1) for step in spacing_mm], mask.shape)
    mask, bone = mask[around], bone[around]
    components, voxels = label_components(mask, FACES_AND_EDGES)
    large = voxels * float(np.prod(spacing_mm)) >= LEAST_ATTACHED_MM3
    near = np.asarray(ndimage.binary_dilation(bone), bool)
    if gap_mm > 0.0:
        near |= measure_distance_mm(bone, spacing_mm) <= gap_mm
    keep = np.zeros(len(voxels), bool)
    keep[np.unique(components[near & mask])] = True
    keep &= large
    keep[0] = False
    kept[around] = keep[components]
    return kept
