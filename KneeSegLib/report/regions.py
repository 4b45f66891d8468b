"""Where to look: the joints and shafts that a label image shows, and the slices that show each of them best."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from KneeSegLib.anatomy import JOINT_BONES, SIDES, Side, Structure, structure
from KneeSegLib.report.planes import PLANES, Box, Grid, Position, Window


@dataclass(frozen=True)
class _Joint:
    """How a joint is found and shown.

    ``meeting``: pairs of bones whose meeting marks it, the telling pair first. ``width_mm``: of its pictures.
    ``reach_mm``: how far from the meeting point a slice may lie to be chosen; a hip is judged through the femoral head.
    """

    meeting: tuple[tuple[str, str], ...]
    width_mm: float
    reach_mm: float


_JOINTS = {
    "hip": _Joint((("femur", "hip_bone"),), 170.0, 10.0),
    "knee": _Joint((("femur", "tibia"), ("femur", "patella")), 150.0, 40.0),
    "ankle": _Joint((("tibia", "talus"), ("talus", "calcaneus")), 140.0, 30.0),
}
_LONG_BONES = ("femur", "tibia")
_SHAFT_SHOWN_FROM_MM = 220.0
_SHAFT_WIDTH_MM = 120.0
_LONE_BONE_WIDTH_MM = 170.0

_FARTHEST_MEETING_MM = 25.0
_CONTACT_DEPTH_MM = 6.0
_SEARCH_SPACING_MM = 1.6


@dataclass(frozen=True)
class Region:
    """A part of the body with a row of square pictures, each ``width_mm`` wide: caption and window."""

    title: str
    width_mm: float
    windows: dict[str, Window]


def joint_regions(
    found: Sequence[Structure], labels: np.ndarray, boxes: Mapping[Structure, Box], grid: Grid
) -> list[Region]:
    """Return one region per joint of which two neighbouring bones were found, right side first and from the hip
    downwards.

    A bone that belongs to none of them is a region by itself.

    Args:
        found: the structures in ``labels``.
        labels: label array ``[S, P, L]``.
        boxes: bounding box of each structure in ``labels``.
    """
    shown: list[Region] = []
    for side in SIDES:
        alone = [part for part in found if part.side == side and part.tissue.kind == "bone"]
        for name, joint in _JOINTS.items():
            center = _joint_center(joint, side, found, labels, boxes, grid)
            if center is None:
                continue
            parts = [structure(key, side) for key in JOINT_BONES[name] if structure(key, side) in found]
            title = f"{side.capitalize()} {name}"
            shown.append(_best_view(title, parts, labels, center, joint.width_mm, joint.reach_mm, grid))
            alone = [part for part in alone if part not in parts]
        for part in alone:
            center = tuple((bounds.start + bounds.stop) // 2 for bounds in boxes[part])
            width_mm = _LONE_BONE_WIDTH_MM
            shown.append(_best_view(part.name, [part], labels, center, width_mm, width_mm / 2, grid))
    return shown


def shaft_regions(
    found: Sequence[Structure], labels: np.ndarray, boxes: Mapping[Structure, Box], grid: Grid
) -> list[Region]:
    """Return one region: an axial slice through the middle of every long bone much of which is in the scan; or none."""
    windows = {}
    for bone in (structure(key, side) for side in SIDES for key in _LONG_BONES):
        if (
            bone not in found
            or (boxes[bone][0].stop - boxes[bone][0].start) * grid.spacing_mm[0] < _SHAFT_SHOWN_FROM_MM
        ):
            continue
        level = (boxes[bone][0].start + boxes[bone][0].stop) // 2
        on_slice = np.argwhere(labels[level] == bone.label_value)
        if len(on_slice):
            row, column = on_slice.mean(axis=0)
            center = (level, int(row), int(column))
            windows[f"{bone.name}, axial, middle"] = Window.around("axial", center, _SHAFT_WIDTH_MM, grid)
    return [Region("Shafts", _SHAFT_WIDTH_MM, windows)] if windows else []


def _joint_center(
    joint: _Joint,
    side: Side,
    found: Sequence[Structure],
    labels: np.ndarray,
    boxes: Mapping[Structure, Box],
    grid: Grid,
) -> Position | None:
    for first_key, second_key in joint.meeting:
        first, second = structure(first_key, side), structure(second_key, side)
        if first in found and second in found:
            center = _meeting_point(first, second, labels, boxes, grid)
            if center is not None:
                return center
    return None


def _meeting_point(
    first: Structure, second: Structure, labels: np.ndarray, boxes: Mapping[Structure, Box], grid: Grid
) -> Position | None:
    """Return the middle of the part of ``first`` that faces ``second``, or None when the two lie too far apart."""
    from scipy import ndimage

    shared = []
    for one, other, spacing in zip(boxes[first], boxes[second], grid.spacing_mm):
        reach = int(np.ceil(_FARTHEST_MEETING_MM / spacing))
        start, stop = max(one.start, other.start) - reach, min(one.stop, other.stop) + reach
        if start >= stop:
            return None
        shared.append((max(0, start), stop))
    steps = _search_steps(grid)
    near = labels[tuple(slice(start, stop, step) for (start, stop), step in zip(shared, steps))]
    in_first, in_second = near == first.label_value, near == second.label_value
    if not in_first.any() or not in_second.any():
        return None
    sampling = [step * spacing for step, spacing in zip(steps, grid.spacing_mm)]
    distances = ndimage.distance_transform_edt(~in_second, sampling=sampling)[in_first]
    if distances.min() > _FARTHEST_MEETING_MM:
        return None
    facing = np.argwhere(in_first)[distances <= distances.min() + _CONTACT_DEPTH_MM].mean(axis=0)
    return tuple(int(round(start + step * middle)) for (start, _), step, middle in zip(shared, steps, facing))


def _best_view(
    title: str,
    parts: Sequence[Structure],
    labels: np.ndarray,
    center: Position,
    width_mm: float,
    reach_mm: float,
    grid: Grid,
) -> Region:
    """Return one window per plane: the slice within ``reach_mm`` of ``center`` in which ``parts`` show the most of
    themselves.

    A part counts by its area relative to its own largest area nearby, so that a patella weighs as much as a femur.
    """
    width_mm = min(width_mm, max(size * spacing for size, spacing in zip(grid.size, grid.spacing_mm)))
    steps = _search_steps(grid)
    bounds = []
    for middle, spacing, size in zip(center, grid.spacing_mm, grid.size):
        half = 0.4 * width_mm / spacing
        bounds.append((max(0, int(middle - half)), min(size, int(middle + half) + 1)))
    near = labels[tuple(slice(start, stop, step) for (start, stop), step in zip(bounds, steps))]
    present = np.isin(near, [part.label_value for part in parts])
    best, middle = [], []
    for axis in range(3):
        others = tuple(other for other in range(3) if other != axis)
        positions = bounds[axis][0] + steps[axis] * np.arange(near.shape[axis])
        areas = [np.count_nonzero(near == part.label_value, axis=others) for part in parts]
        shares = sum(area / max(area.max(), 1) for area in areas)
        too_far = np.abs(positions - center[axis]) * grid.spacing_mm[axis] > max(
            reach_mm, steps[axis] * grid.spacing_mm[axis]
        )
        best.append(int(positions[np.where(too_far, -1.0, shares).argmax()]))
        occupied = positions[present.any(axis=others)] if present.any() else positions
        middle.append(
            _moved_inwards(int(occupied[0] + occupied[-1]) // 2, width_mm / grid.spacing_mm[axis], grid.size[axis])
        )
    windows = {}
    for axis, plane in enumerate(PLANES):
        target = tuple(best[axis] if other == axis else middle[other] for other in range(3))
        windows[plane.capitalize()] = Window.around(plane, target, width_mm, grid)
    return Region(title, width_mm, windows)


def _search_steps(grid: Grid) -> list[int]:
    return [max(1, round(_SEARCH_SPACING_MM / spacing)) for spacing in grid.spacing_mm]


def _moved_inwards(middle: int, width: float, size: int) -> int:
    """Return ``middle``, moved so that a picture of ``width`` voxels reaches over no edge that it can avoid."""
    if width >= size:
        return size // 2
    return int(round(min(max(middle, width / 2), size - width / 2)))
