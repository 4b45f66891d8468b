"""Cleaning of label arrays: first the right name, then the component that belongs, then holes.

Names come first. A network that sees the edge of a bone well may still call a part of it by its neighbour's name; removing
everything but the largest component of each name would turn that into a hole, where renaming makes it whole.

Arrays are indexed [z, y, x] with z along the body's long axis, as :func:`KneeSegLib.volume.to_lps` leaves them, and
``spacing_mm`` is in the same order. The array's border is taken for the border of the image: bone there is cut off.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import SimpleITK as sitk
from scipy import ndimage

from KneeSegLib.anatomy import Structure
from KneeSegLib.shafts import continues_the_shaft

Spacing = tuple[float, float, float]
Anchor = np.ndarray | tuple[slice, slice, slice]
"""Where a structure is known to be: a bool array of the same shape, or a box."""

LONG_BONES = ("femur", "tibia", "fibula")
_LARGEST_CANAL_MM2 = 600.0
_SMALLEST_CONTACT = 0.1
"""Contact area, as a share of (volume of the piece) ** (2/3), from which a piece belongs to the bone that it touches."""
_SMALLEST_PIECE_OF_CARTILAGE = 0.1
_RENAMING_ROUNDS = 3


def clean(
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
    cleaned = rename_by_neighbour(labels, spacing_mm, structures, anchors)
    boxes = _boxes(cleaned)
    for structure in structures:
        box = boxes.get(structure.label_value)
        if box is None:
            continue
        part = cleaned[box]
        found = part == structure.label_value
        cut = _cut_faces(box, cleaned.shape)
        belongs = keep_component_that_belongs(
            found, spacing_mm, _anchor_in(anchors, structure, box), structure.tissue.kind, cut
        )
        part[found & ~belongs] = 0
        if structure.tissue.kind == "bone":
            filled = fill_holes(belongs, spacing_mm, structure.tissue.key in LONG_BONES, cut)
            part[filled & (part == 0)] = structure.label_value
    return cleaned


def rename_by_neighbour(
    labels: np.ndarray,
    spacing_mm: Spacing,
    structures: Sequence[Structure],
    anchors: Mapping[str, Anchor] | None = None,
) -> np.ndarray:
    """Return ``labels`` in which a stray piece of one bone carries the name of the bone of the same leg that it touches.

    A piece is stray when it is not the component that belongs (see :func:`keep_component_that_belongs`). It is renamed to the
    bone with which it shares more than half of its contact with other bones of the leg, if that contact is broad for
    the piece's size: a blob in a muscle that merely touches a bone keeps its wrong name and is removed later.
    """
    renamed = labels.copy()
    bones = [structure for structure in structures if structure.tissue.kind == "bone"]
    for _ in range(_RENAMING_ROUNDS):
        changes = [
            _rename_strays(renamed, spacing_mm, bone, [other for other in bones if other.side == bone.side], anchors)
            for bone in bones
        ]
        if not any(changes):
            break
    return renamed


def keep_component_that_belongs(
    mask: np.ndarray,
    spacing_mm: Spacing,
    anchor: Anchor | None = None,
    kind: str = "bone",
    cut_faces: Sequence[tuple[bool, bool]] = ((True, True),) * 3,
) -> np.ndarray:
    """Return the part of ``mask`` that is the structure: one component, and what visibly continues it.

    The component with the largest overlap with ``anchor``, or the largest one without an anchor. Components are connected
    through faces of voxels, as surfaces are. Of a bone, a further piece stays when it continues the shaft beyond a gap
    (a bone that leaves the field of view and comes back, slices lost to metal): see
    :func:`KneeSegLib.shafts.continues_the_shaft`. Of cartilage and meniscus, which may be several plates, every piece of
    at least a tenth of the main one stays.

    Args:
        mask: bool (Z, Y, X).
        spacing_mm: (z, y, x).
        anchor: where the structure is known to be.
        kind: the tissue's kind.
        cut_faces: for each axis, whether the first and the last layer of ``mask`` lie on the image's border.
    """
    components, count = ndimage.label(mask)
    if count < 2:
        return mask.copy()
    voxels = np.bincount(components.ravel(), minlength=count + 1)
    main = _main_component(components, voxels, anchor)
    keep = np.zeros(count + 1, bool)
    keep[main] = True
    if kind != "bone":
        keep[1:] |= voxels[1:] >= _SMALLEST_PIECE_OF_CARTILAGE * voxels[main]
        return keep[components]
    return keep[components] | continues_the_shaft(components, voxels, main, spacing_mm, cut_faces)


def fill_holes(
    mask: np.ndarray,
    spacing_mm: Spacing,
    is_long_bone: bool = False,
    cut_faces: Sequence[tuple[bool, bool]] = ((True, True),) * 3,
) -> np.ndarray:
    """Return ``mask`` with its cavities filled; openings that lead outside, such as the obturator foramen, stay open.

    Filled are cavities closed on all sides, where the image's border closes what it cuts (a medullary canal that ends at the
    last slice). In long bones also rings in single transverse slices up to the size of a medullary canal, whose wall
    may leak elsewhere.

    Args:
        mask: bool (Z, Y, X).
        spacing_mm: (z, y, x).
        is_long_bone: whether rings in transverse slices are shafts.
        cut_faces: for each axis, whether the first and the last layer of ``mask`` lie on the image's border.
    """
    filled = mask | _canals(mask, spacing_mm) if is_long_bone else mask.copy()
    padded = np.pad(filled, 1)
    for axis, ends in enumerate(cut_faces):
        layers = np.moveaxis(padded, axis, 0)
        for end, beside, is_cut in zip((0, -1), (1, -2), ends):
            if is_cut:
                # A lid outside the image over whatever the bone's outline encloses in its last layer.
                layers[end][1:-1, 1:-1] = ndimage.binary_fill_holes(layers[beside][1:-1, 1:-1])
    background, _ = ndimage.label(~padded)
    return (background != background[0, 0, 0])[1:-1, 1:-1, 1:-1]


def closing_with_ball(mask: np.ndarray, radius_mm: float, spacing_mm: Spacing) -> np.ndarray:
    """Return the morphological closing of ``mask`` with a ball, by distance transforms: time does not grow with the radius.

    Equal to a dilation and an erosion with the voxels whose centres lie within ``radius_mm`` of the ball's centre, on an
    image without border.

    Args:
        mask: bool (Z, Y, X).
        radius_mm: radius of the ball.
        spacing_mm: (z, y, x).
    """
    closed = mask.copy()
    occupied = ndimage.find_objects(mask.view(np.uint8))
    if not occupied:
        return closed
    box = occupied[0]
    reach = [int(np.ceil(radius_mm / step)) + 1 for step in spacing_mm]
    padded = np.pad(mask[box], [(steps, steps) for steps in reach])
    dilated = _distance_to(padded, spacing_mm) <= radius_mm * (1 + 1e-5)
    eroded = _distance_to(~dilated, spacing_mm) > radius_mm * (1 + 1e-5)
    closed[box] |= eroded[tuple(slice(steps, -steps) for steps in reach)]
    return closed


def _rename_strays(
    labels: np.ndarray,
    spacing_mm: Spacing,
    bone: Structure,
    leg: Sequence[Structure],
    anchors: Mapping[str, Anchor] | None,
) -> bool:
    """Rename the stray pieces of ``bone`` in ``labels`` in place; returns whether there were any to rename."""
    box = _boxes(labels, bone.label_value).get(bone.label_value)
    if box is None:
        return False
    components, count = ndimage.label(labels[box] == bone.label_value)
    if count < 2:
        return False
    voxels = np.bincount(components.ravel(), minlength=count + 1)
    main = _main_component(components, voxels, _anchor_in(anchors, bone, box))
    others = [other for other in leg if other is not bone]
    contact = _contact_areas(components, main, labels, box, spacing_mm, [other.label_value for other in others])
    new_label = np.zeros(count + 1, labels.dtype)
    for piece in np.flatnonzero(contact.any(axis=1)):
        broadest = int(contact[piece].argmax())
        area = contact[piece, broadest]
        broad_enough = _SMALLEST_CONTACT * (voxels[piece] * float(np.prod(spacing_mm))) ** (2 / 3)
        if area > contact[piece].sum() / 2 and area >= broad_enough:
            new_label[piece] = others[broadest].label_value
    if not new_label.any():
        return False
    part = labels[box]
    of_piece = new_label[components]
    part[of_piece != 0] = of_piece[of_piece != 0]
    return True


def _contact_areas(
    components: np.ndarray,
    main: int,
    labels: np.ndarray,
    box: tuple[slice, ...],
    spacing_mm: Spacing,
    neighbour_values: Sequence[int],
) -> np.ndarray:
    """Return the area in mm² (component, neighbour) over which each stray component touches each neighbouring label."""
    column = np.full(256, -1)
    column[list(neighbour_values)] = np.arange(len(neighbour_values))
    areas = np.zeros((components.max() + 1, len(neighbour_values)))
    where = np.nonzero((components > 0) & (components != main))
    piece = components[where]
    position = np.stack([index + edge.start for index, edge in zip(where, box)])
    for axis in range(3):
        face_mm2 = float(np.prod(spacing_mm)) / spacing_mm[axis]
        for step in (-1, 1):
            beside = position.copy()
            beside[axis] += step
            exists = (beside[axis] >= 0) & (beside[axis] < labels.shape[axis])
            neighbour = column[labels[tuple(beside[:, exists])]]
            touches = neighbour >= 0
            np.add.at(areas, (piece[exists][touches], neighbour[touches]), face_mm2)
    return areas


def _main_component(components: np.ndarray, voxels: np.ndarray, anchor: Anchor | None) -> int:
    """Return the number of the component with most voxels in the anchor, or most voxels at all."""
    if anchor is not None:
        anchored = components[anchor]
        overlap = np.bincount(anchored.ravel(), minlength=len(voxels))
        if overlap[1:].any():
            return int(overlap[1:].argmax()) + 1
    return int(voxels[1:].argmax()) + 1


def _canals(mask: np.ndarray, spacing_mm: Spacing) -> np.ndarray:
    """Return the holes of single transverse slices that are no larger than a medullary canal."""
    in_slice = np.zeros((3, 3, 3), bool)
    in_slice[1] = ndimage.generate_binary_structure(2, 1)
    background, count = ndimage.label(~np.pad(mask, ((0, 0), (1, 1), (1, 1))), in_slice)
    area_mm2 = np.bincount(background.ravel(), minlength=count + 1) * spacing_mm[1] * spacing_mm[2]
    is_canal = area_mm2 <= _LARGEST_CANAL_MM2
    is_canal[0] = False
    is_canal[np.unique(background[:, 0, 0])] = False
    return is_canal[background][:, 1:-1, 1:-1]


def _distance_to(mask: np.ndarray, spacing_mm: Spacing) -> np.ndarray:
    """Return the distance in mm from every voxel centre to the nearest one of ``mask`` (0 or less inside)."""
    image = sitk.GetImageFromArray(mask.view(np.uint8))
    image.SetSpacing(tuple(float(step) for step in reversed(spacing_mm)))
    return sitk.GetArrayFromImage(sitk.SignedMaurerDistanceMap(image, squaredDistance=False, useImageSpacing=True))


def _boxes(labels: np.ndarray, only: int = 0) -> dict[int, tuple[slice, ...]]:
    """Return the box of every label value that occurs (or of just one)."""
    found = ndimage.find_objects(labels, only)
    return {value: box for value, box in enumerate(found, start=1) if box is not None}


def _cut_faces(box: tuple[slice, ...], shape: tuple[int, ...]) -> list[tuple[bool, bool]]:
    return [(edge.start == 0, edge.stop == size) for edge, size in zip(box, shape)]


def _anchor_in(anchors: Mapping[str, Anchor] | None, structure: Structure, box: tuple[slice, ...]) -> Anchor | None:
    """Return the structure's anchor relative to ``box``."""
    anchor = (anchors or {}).get(structure.key)
    if anchor is None:
        return None
    if isinstance(anchor, np.ndarray):
        return anchor[box].astype(bool, copy=False)
    return tuple(
        slice(max(inner.start - outer.start, 0), max(inner.stop - outer.start, 0)) for inner, outer in zip(anchor, box)
    )
