"""Connected components: which one is the structure, and where it was expected."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from scipy import ndimage

from KneeSegLib.anatomy import Structure
from KneeSegLib.cleaning.heads import find_severed_heads
from KneeSegLib.cleaning.shafts import find_shaft_continuations

Spacing = tuple[float, float, float]
"""In mm, in the array's order of axes: (z, y, x)."""
Anchor = np.ndarray | tuple[slice, slice, slice]
"""Where a structure is known to be: a bool array of the same shape, or a box."""

_SMALLEST_PIECE_OF_CARTILAGE = 0.1


def keep_component_that_belongs(
    mask: np.ndarray,
    spacing_mm: Spacing,
    anchor: Anchor | None = None,
    kind: str = "bone",
    cut_faces: Sequence[tuple[bool, bool]] = ((True, True),) * 3,
    headed: bool = False,
) -> np.ndarray:
    """Return the part of ``mask`` that is the structure: one component, and what visibly continues it.

    The component with the largest overlap with ``anchor``, or the largest one without an anchor. Components are
    connected through faces of voxels, as surfaces are. Of a bone, a further component stays when it continues the shaft
    beyond a gap (a bone that leaves the field of view and comes back, slices lost to metal): see
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
    components, count = ndimage.label(mask)
    if count < 2:
        return mask.copy()
    voxels = np.bincount(components.ravel(), minlength=count + 1)
    main = find_main_component(components, voxels, anchor)
    keep = np.zeros(count + 1, bool)
    keep[main] = True
    if kind != "bone":
        keep[1:] |= voxels[1:] >= _SMALLEST_PIECE_OF_CARTILAGE * voxels[main]
        return keep[components]
    if headed:
        keep |= find_severed_heads(components, voxels, main, spacing_mm)
    return keep[components] | find_shaft_continuations(components, voxels, main, spacing_mm, cut_faces)


def find_main_component(components: np.ndarray, voxels: np.ndarray, anchor: Anchor | None) -> int:
    """Return the number of the component with most voxels in the anchor, or most voxels at all."""
    if anchor is not None:
        anchored = components[anchor]
        overlap = np.bincount(anchored.ravel(), minlength=len(voxels))
        if overlap[1:].any():
            return int(overlap[1:].argmax()) + 1
    return int(voxels[1:].argmax()) + 1


def boxes_of(labels: np.ndarray, only: int = 0) -> dict[int, tuple[slice, ...]]:
    """Return the box of every label value that occurs (or of just one)."""
    found = ndimage.find_objects(labels, only)
    return {value: box for value, box in enumerate(found, start=1) if box is not None}


def cut_faces_of(box: tuple[slice, ...], shape: tuple[int, ...]) -> list[tuple[bool, bool]]:
    """Return for each axis whether the box begins with the array's first layer, and whether it ends with the last."""
    return [(edge.start == 0, edge.stop == size) for edge, size in zip(box, shape)]


def anchor_within(anchors: Mapping[str, Anchor] | None, structure: Structure, box: tuple[slice, ...]) -> Anchor | None:
    """Return the structure's anchor relative to ``box``."""
    anchor = (anchors or {}).get(structure.key)
    if anchor is None:
        return None
    if isinstance(anchor, np.ndarray):
        return anchor[box].astype(bool, copy=False)
    return tuple(
        slice(max(inner.start - outer.start, 0), max(inner.stop - outer.start, 0)) for inner, outer in zip(anchor, box)
    )
