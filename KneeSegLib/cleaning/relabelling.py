"""Components of a bone that carry the label of the bone next to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from KneeSegLib.anatomy import Structure
from KneeSegLib.cleaning.components import Anchor, Spacing, crop_anchor, find_main_component
from KneeSegLib.cleaning.heads import HEADED, SOCKET, find_severed_heads
from KneeSegLib.cleaning.settings import LEAST_CONTACT
from KneeSegLib.geometry.boxes import find_label_boxes
from KneeSegLib.geometry.masks import label_components


def relabel_by_neighbour(
    labels: np.ndarray,
    spacing_mm: Spacing,
    structures: Sequence[Structure],
    anchors: Mapping[str, Anchor] | None = None,
) -> np.ndarray:
    """Return ``labels`` in which spurious components of a bone carry the label of the bone that they touch.

    A component is spurious when it is not the main one (:func:`KneeSegLib.cleaning.components.find_main_component`).
    It is relabelled as the bone of the same leg with which it shares more than half of its contact with other bones of
    the leg, if that contact is broad for the component's size: one in a muscle that merely touches a bone keeps its
    wrong label and is removed later. The head of a femur is not relabelled as the bone of its socket (see
    :mod:`KneeSegLib.cleaning.heads`).

    Args:
        labels: integer array (Z, Y, X) of label values.
        spacing_mm: (z, y, x).
        structures: which labels may change; only bones do.
        anchors: where a structure is known to be, by its key; without one its largest component is the main one.
    """
    relabelled = labels.copy()
    bones = [structure for structure in structures if structure.tissue.kind == "bone"]
    # Only what belongs to a bone gives its label away: two spurious components that touch tell nothing.
    resolved = labels.copy()
    spurious = [
        found for bone in bones if (found := _take_out_spurious(resolved, bone, spacing_mm, anchors)) is not None
    ]
    while any([_resolve(components, resolved, relabelled, spacing_mm, bones) for components in spurious]):
        pass
    return relabelled


@dataclass
class _Spurious:
    """The voxels of one bone outside its main component.

    Attributes:
        position: (3, N) index [z, y, x] of each voxel.
        component: (N,) number of its component.
        voxels: how many voxels each component has, by its number.
        is_head: which components, by their number, are a head that was cut off.
    """

    bone: Structure
    position: np.ndarray
    component: np.ndarray
    voxels: np.ndarray
    is_head: np.ndarray

    def drop(self, gone: np.ndarray) -> None:
        self.position, self.component = self.position[:, ~gone], self.component[~gone]


def _take_out_spurious(
    labels: np.ndarray, bone: Structure, spacing_mm: Spacing, anchors: Mapping[str, Anchor] | None
) -> _Spurious | None:
    """Set the spurious components of ``bone`` in ``labels`` to 0 and return them; None where there are none."""
    box = find_label_boxes(labels, bone.label_value).get(bone.label_value)
    if box is None:
        return None
    components, voxels = label_components(labels[box] == bone.label_value)
    if len(voxels) <= 2:
        return None
    main = find_main_component(components, voxels, crop_anchor(anchors, bone, box))
    is_head = np.zeros(len(voxels), bool)
    if bone.tissue.key == HEADED:
        is_head = find_severed_heads(components, voxels, main, spacing_mm)
    components[components == main] = 0
    within = np.nonzero(components)
    position = np.stack([index + edge.start for index, edge in zip(within, box)])
    labels[tuple(position)] = 0
    return _Spurious(bone, position, components[within], voxels, is_head)


def _resolve(
    spurious: _Spurious, resolved: np.ndarray, labels: np.ndarray, spacing_mm: Spacing, bones: Sequence[Structure]
) -> bool:
    """Move spurious components into ``resolved`` and ``labels`` under the label of the resolved bone that they touch.

    Returns:
        Whether any component moved, so that others may now touch it.
    """
    others = [other for other in bones if other.side == spurious.bone.side and other is not spurious.bone]
    contact_mm2 = _contact_areas_mm2(spurious, resolved, spacing_mm, [other.label_value for other in others])
    is_socket = np.array([other.tissue.key == SOCKET for other in others], bool)
    contact_mm2[np.ix_(spurious.is_head, is_socket)] = 0.0
    new_label = np.zeros(len(contact_mm2), labels.dtype)
    for component in np.flatnonzero(contact_mm2.any(axis=1)):
        broadest = int(contact_mm2[component].argmax())
        area_mm2 = contact_mm2[component, broadest]
        broad_enough_mm2 = LEAST_CONTACT * (spurious.voxels[component] * float(np.prod(spacing_mm))) ** (2 / 3)
        if area_mm2 > contact_mm2[component].sum() / 2 and area_mm2 >= broad_enough_mm2:
            new_label[component] = others[broadest].label_value
    if not new_label.any():
        return False
    of_voxel = new_label[spurious.component]
    for array in (labels, resolved):
        array[tuple(spurious.position[:, of_voxel != 0])] = of_voxel[of_voxel != 0]
    spurious.drop(of_voxel != 0)
    return True


def _contact_areas_mm2(
    spurious: _Spurious, labels: np.ndarray, spacing_mm: Spacing, neighbour_values: Sequence[int]
) -> np.ndarray:
    """Return the area (component, neighbour) over which each spurious component touches each neighbouring label."""
    column = np.full(256, -1)
    column[list(neighbour_values)] = np.arange(len(neighbour_values))
    areas_mm2 = np.zeros((len(spurious.voxels), len(neighbour_values)))
    for axis in range(3):
        face_mm2 = float(np.prod(spacing_mm)) / spacing_mm[axis]
        for step in (-1, 1):
            beside = spurious.position.copy()
            beside[axis] += step
            exists = (beside[axis] >= 0) & (beside[axis] < labels.shape[axis])
            neighbour = column[labels[tuple(beside[:, exists])]]
            touches = neighbour >= 0
            np.add.at(areas_mm2, (spurious.component[exists][touches], neighbour[touches]), face_mm2)
    return areas_mm2
