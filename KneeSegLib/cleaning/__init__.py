"""Cleaning of label arrays: first the right label, then the components that belong to the structure, then holes.

Labels come first. A network that sees the edge of a bone well may still give a part of it the label of its neighbour;
keeping only the largest component of each label would turn that part into a hole, where relabelling makes the bone
whole.

Arrays are indexed [z, y, x] with z along the body's long axis, as
:func:`KneeSegLib.geometry.orientation.reorient_to_lps` leaves them, and ``spacing_mm`` is in the same order. The
array's border is taken for the border of the image: bone there is cut off.

MONAI's transforms do less and take longer: ``KeepLargestConnectedComponent`` knows neither anchors nor shafts and needs
scikit-image, ``FillHoles`` opens a canal that the image cuts and takes ten times as long.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from KneeSegLib.anatomy import LONG_BONES, Structure
from KneeSegLib.cleaning.closing import close_with_ball
from KneeSegLib.cleaning.components import Anchor, Spacing, crop_anchor, keep_main_components
from KneeSegLib.cleaning.heads import HEADED
from KneeSegLib.cleaning.holes import fill_holes
from KneeSegLib.cleaning.relabelling import relabel_by_neighbour
from KneeSegLib.geometry.boxes import find_border_faces, find_label_boxes

__all__ = ["clean_labels", "close_with_ball", "fill_holes", "keep_main_components", "relabel_by_neighbour"]


def clean_labels(
    labels: np.ndarray,
    spacing_mm: Spacing,
    structures: Sequence[Structure],
    anchors: Mapping[str, Anchor] | None = None,
) -> np.ndarray:
    """Return ``labels`` with every structure relabelled, freed from spurious components and filled, in this order.

    Args:
        labels: integer array (Z, Y, X) of label values.
        spacing_mm: (z, y, x).
        structures: which to clean; all other labels stay untouched.
        anchors: where a structure is known to be, by its key; without one its largest component counts.
    """
    cleaned = relabel_by_neighbour(labels, spacing_mm, structures, anchors)
    boxes = find_label_boxes(cleaned)
    for structure in structures:
        box = boxes.get(structure.label_value)
        if box is None:
            continue
        part = cleaned[box]
        found = part == structure.label_value
        cut = find_border_faces(box, cleaned.shape)
        anchor, tissue = crop_anchor(anchors, structure, box), structure.tissue
        kept = keep_main_components(found, spacing_mm, anchor, tissue.kind, cut, tissue.key == HEADED)
        part[found & ~kept] = 0
        if tissue.kind == "bone":
            filled = fill_holes(kept, spacing_mm, tissue.key in LONG_BONES, cut)
            part[filled & (part == 0)] = structure.label_value
    return cleaned
