"""Pieces of a bone that carry the name of the bone next to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from KneeSegLib.anatomy import Structure
from KneeSegLib.cleaning.components import Anchor, Spacing, anchor_within, boxes_of, find_main_component
from KneeSegLib.cleaning.heads import HEADED, SOCKET, find_severed_heads

_SMALLEST_CONTACT = 0.1
"""Contact area, as a share of (volume of the piece) ** (2/3), from which a piece belongs to the bone it touches."""


def relabel_by_neighbour(
    labels: np.ndarray,
    spacing_mm: Spacing,
    structures: Sequence[Structure],
    anchors: Mapping[str, Anchor] | None = None,
) -> np.ndarray:
    """Return ``labels`` in which stray pieces of a bone carry the name of the bone of the same leg that they touch.

    A piece is stray when it is not the component that belongs (see :func:`keep_component_that_belongs`). It is renamed
    to the bone with which it shares more than half of its contact with other bones of the leg, if that contact is broad
    for the piece's size: a blob in a muscle that merely touches a bone keeps its wrong name and is removed later. The
    head of a femur is not renamed to the bone of its socket (see :mod:`KneeSegLib.cleaning.heads`).
    """
    renamed = labels.copy()
    bones = [structure for structure in structures if structure.tissue.kind == "bone"]
    # Only what belongs gives its name away: two stray pieces that touch each other settle nothing.
    settled = labels.copy()
    strays = [found for bone in bones if (found := _set_strays_aside(settled, bone, spacing_mm, anchors)) is not None]
    while any([_settle(stray, settled, renamed, spacing_mm, bones) for stray in strays]):
        pass
    return renamed


@dataclass
class _Strays:
    """The voxels of one bone outside the component that belongs.

    Attributes:
        position: (3, N) index [z, y, x] of each voxel.
        piece: (N,) number of its piece.
        voxels: how many voxels each piece has, by its number.
        head: which pieces, by their number, are a head that was cut off.
    """

    bone: Structure
    position: np.ndarray
    piece: np.ndarray
    voxels: np.ndarray
    head: np.ndarray

    def drop(self, gone: np.ndarray) -> None:
        self.position, self.piece = self.position[:, ~gone], self.piece[~gone]


def _set_strays_aside(
    labels: np.ndarray, bone: Structure, spacing_mm: Spacing, anchors: Mapping[str, Anchor] | None
) -> _Strays | None:
    """Set the stray pieces of ``bone`` in ``labels`` to 0 and return them; None where there are none."""
    box = boxes_of(labels, bone.label_value).get(bone.label_value)
    if box is None:
        return None
    components, count = ndimage.label(labels[box] == bone.label_value)
    if count < 2:
        return None
    voxels = np.bincount(components.ravel(), minlength=count + 1)
    main = find_main_component(components, voxels, anchor_within(anchors, bone, box))
    head = np.zeros(count + 1, bool)
    if bone.tissue.key == HEADED:
        head = find_severed_heads(components, voxels, main, spacing_mm)
    components[components == main] = 0
    within = np.nonzero(components)
    position = np.stack([index + edge.start for index, edge in zip(within, box)])
    labels[tuple(position)] = 0
    return _Strays(bone, position, components[within], voxels, head)


def _settle(
    strays: _Strays, settled: np.ndarray, labels: np.ndarray, spacing_mm: Spacing, bones: Sequence[Structure]
) -> bool:
    """Move stray pieces into ``settled`` and ``labels`` under the name of the settled bone that they touch.

    Returns:
        Whether any piece moved, so that others may now touch it.
    """
    others = [other for other in bones if other.side == strays.bone.side and other is not strays.bone]
    contact = _contact_areas(strays, settled, spacing_mm, [other.label_value for other in others])
    contact[np.ix_(strays.head, [other.tissue.key == SOCKET for other in others])] = 0.0
    new_label = np.zeros(len(contact), labels.dtype)
    for piece in np.flatnonzero(contact.any(axis=1)):
        broadest = int(contact[piece].argmax())
        area = contact[piece, broadest]
        broad_enough = _SMALLEST_CONTACT * (strays.voxels[piece] * float(np.prod(spacing_mm))) ** (2 / 3)
        if area > contact[piece].sum() / 2 and area >= broad_enough:
            new_label[piece] = others[broadest].label_value
    if not new_label.any():
        return False
    of_voxel = new_label[strays.piece]
    for array in (labels, settled):
        array[tuple(strays.position[:, of_voxel != 0])] = of_voxel[of_voxel != 0]
    strays.drop(of_voxel != 0)
    return True


def _contact_areas(
    strays: _Strays, labels: np.ndarray, spacing_mm: Spacing, neighbour_values: Sequence[int]
) -> np.ndarray:
    """Return the area in mm² (piece, neighbour) over which each stray piece touches each neighbouring label."""
    column = np.full(256, -1)
    column[list(neighbour_values)] = np.arange(len(neighbour_values))
    areas = np.zeros((len(strays.voxels), len(neighbour_values)))
    for axis in range(3):
        face_mm2 = float(np.prod(spacing_mm)) / spacing_mm[axis]
        for step in (-1, 1):
            beside = strays.position.copy()
            beside[axis] += step
            exists = (beside[axis] >= 0) & (beside[axis] < labels.shape[axis])
            neighbour = column[labels[tuple(beside[:, exists])]]
            touches = neighbour >= 0
            np.add.at(areas, (strays.piece[exists][touches], neighbour[touches]), face_mm2)
    return areas
