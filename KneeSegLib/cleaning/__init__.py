"""Cleaning of label arrays: first the right name, then the component that belongs, then holes.

Names come first. A network that sees the edge of a bone well may still call a part of it by its neighbour's name;
removing everything but the largest component of each name would turn that into a hole, where renaming makes it whole.

Arrays are indexed [z, y, x] with z along the body's long axis, as
:func:`KneeSegLib.geometry.orientation.reorient_to_lps` leaves them, and ``spacing_mm`` is in the same order. The
array's border is taken for the border of the image: bone there is cut off.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from KneeSegLib.anatomy import LONG_BONES, Structure
from KneeSegLib.cleaning.closing import close_with_ball
from KneeSegLib.cleaning.components import (
    Anchor,
    Spacing,
    anchor_within,
    boxes_of,
    cut_faces_of,
    keep_component_that_belongs,
)
from KneeSegLib.cleaning.heads import HEADED
from KneeSegLib.cleaning.holes import fill_holes
from KneeSegLib.cleaning.relabelling import relabel_by_neighbour

__all__ = ["clean_labels", "close_with_ball", "fill_holes", "keep_component_that_belongs", "relabel_by_neighbour"]


def clean_labels(
    labels: np.ndarray,
    spacing_mm: Spacing,
    structures: Sequence[Structure],
    anchors: Mapping[str, Anchor] | None = None,
) -> np.ndarray:
    """Return ``labels`` with every structure renamed, freed from stray pieces and filled, in this order.

    Args:
        labels: integer array (Z, Y, X) of label values.
        spacing_mm: (z, y, x).
        structures: which to clean; all other labels stay untouched.
        anchors: where a structure is known to be, by its key; without one its largest component counts.
    """
    cleaned = relabel_by_neighbour(labels, spacing_mm, structures, anchors)
    boxes = boxes_of(cleaned)
    for structure in structures:
        box = boxes.get(structure.label_value)
        if box is None:
            continue
        part = cleaned[box]
        found = part == structure.label_value
        cut = cut_faces_of(box, cleaned.shape)
        anchor, tissue = anchor_within(anchors, structure, box), structure.tissue
        belongs = keep_component_that_belongs(found, spacing_mm, anchor, tissue.kind, cut, tissue.key == HEADED)
        part[found & ~belongs] = 0
        if tissue.kind == "bone":
            filled = fill_holes(belongs, spacing_mm, tissue.key in LONG_BONES, cut)
            part[filled & (part == 0)] = structure.label_value
    return cleaned
