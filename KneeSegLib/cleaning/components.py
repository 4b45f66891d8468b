"""Connected components: which of them are the structure, and where it was expected."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from KneeSegLib.anatomy import Structure
from KneeSegLib.cleaning.heads import find_severed_heads
from KneeSegLib.cleaning.settings import LEAST_CARTILAGE_FRACTION
from KneeSegLib.cleaning.shafts import find_shaft_continuations
from KneeSegLib.geometry.boxes import ALL_FACES, ArrayBox, Faces, crop_box, intersect_boxes
from KneeSegLib.geometry.masks import label_components

Spacing = tuple[float, float, float]
"""In mm, in the array's order of axes: (z, y, x)."""
Anchor = np.ndarray | ArrayBox
"""Where a structure is known to be: a bool array of the same shape, or a box."""


def keep_main_components(
    mask: np.ndarray,
    spacing_mm: Spacing,
    anchor: Anchor | None = None,
    kind: str = "bone",
    cut_faces: Faces = ALL_FACES,
    headed: bool = False,
) -> np.ndarray:
    """Return the part of ``mask`` that is the structure: its main component, and what visibly continues it.

    The main component is the one with the largest overlap with ``anchor``, or the largest one without an anchor.
    Components are connected through faces of voxels, as surfaces are. Of a bone, a further component stays when it
    continues the shaft beyond a gap (a bone that leaves the field of view and comes back, slices lost to metal): see
    :func:`KneeSegLib.cleaning.shafts.find_shaft_continuations`; or when it is the head that belongs to the shaft, if it
    has one (:func:`KneeSegLib.cleaning.heads.find_severed_heads`). Of cartilage and meniscus, which may be several
    plates, every component of at least a tenth of the main one stays.

    Args:
        mask: bool (Z, Y, X).
        spacing_mm: (z, y, x).
        anchor: where the structure is known to be.
        kind: the tissue's kind.
        cut_faces: for each axis, whether the first and the last layer of ``mask`` lie on the image's border.
        headed: whether the bone has a head that may be cut off, as a femur has.
    """
    components, voxels = label_components(mask)
    if len(voxels) <= 2:
        return mask.copy()
    main = find_main_component(components, voxels, anchor)
    keep = np.zeros(len(voxels), bool)
    keep[main] = True
    if kind != "bone":
        keep[1:] |= voxels[1:] >= LEAST_CARTILAGE_FRACTION * voxels[main]
        return keep[components]
    if headed:
        keep |= find_severed_heads(components, voxels, main, spacing_mm)
    return keep[components] | find_shaft_continuations(components, voxels, main, spacing_mm, cut_faces)


def find_main_component(components: np.ndarray, voxels: np.ndarray, anchor: Anchor | None) -> int:
    """Return the number of the component with most voxels in the anchor, or most voxels at all.

    Args:
        components: int (Z, Y, X), component numbers, 0 outside.
        voxels: number of voxels of each component.
        anchor: where the structure is known to be.
    """
    if anchor is not None:
        anchored = components[anchor]
        overlap = np.bincount(anchored.ravel(), minlength=len(voxels))
        if overlap[1:].any():
            return int(overlap[1:].argmax()) + 1
    return int(voxels[1:].argmax()) + 1


def crop_anchor(anchors: Mapping[str, Anchor] | None, structure: Structure, box: ArrayBox) -> Anchor | None:
    """Return the part of the structure's anchor that lies in ``box``, as an anchor of the crop."""
    anchor = (anchors or {}).get(structure.key)
    if anchor is None:
        return None
    if isinstance(anchor, np.ndarray):
        return anchor[box].astype(bool, copy=False)
    common = intersect_boxes(anchor, box)
    return None if common is None else crop_box(common, box)
