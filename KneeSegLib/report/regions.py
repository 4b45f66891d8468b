"""Where to look: the joints and shafts that a label image shows, and the slices that show each of them best."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from KneeSegLib.anatomy import JOINT_BONES, SIDES, Side, Structure, structure
from KneeSegLib.geometry.boxes import ArrayBox, grow_box, intersect_boxes, make_box
from KneeSegLib.geometry.grid import Axis, Grid
from KneeSegLib.report.planes import PLANES, Position, Window
from KneeSegLib.report.settings import (
    CONTACT_DEPTH_MM,
    FARTHEST_MEETING_MM,
    JOINT_VIEWS,
    LONE_BONE_WIDTH_MM,
    SEARCH_FRACTION,
    SEARCH_SPACING_MM,
    SHAFT_BONES,
    SHAFT_SHOWN_FROM_MM,
    SHAFT_WIDTH_MM,
)


@dataclass(frozen=True)
class LabelledGrid:
    """Labels to look at.

    Attributes:
        labels: array ``[S, P, L]`` on ``grid``.
        boxes: of each structure that it holds.
    """

    labels: np.ndarray
    grid: Grid
    boxes: Mapping[Structure, ArrayBox]


@dataclass(frozen=True)
class Region:
    """A part of the body with a row of square pictures, each ``width_mm`` wide: caption and window."""

    title: str
    width_mm: float
    windows: dict[str, Window]


@dataclass(frozen=True)
class _Target:
    """What a region has to show: ``parts`` around ``center``, from slices within ``reach_mm`` of it."""

    title: str
    parts: Sequence[Structure]
    center: Position
    width_mm: float
    reach_mm: float


def find_joint_regions(scan: LabelledGrid) -> list[Region]:
    """Return one region per joint of which two neighbouring bones were found, right side first and from the hip
    downwards.

    A bone that belongs to none of them is a region by itself.
    """
    shown: list[Region] = []
    for side in SIDES:
        alone = [part for part in scan.boxes if part.side == side and part.tissue.kind == "bone"]
        for name, view in JOINT_VIEWS.items():
            center = _find_joint_center(view.meeting, side, scan)
            if center is None:
                continue
            parts = [structure(key, side) for key in JOINT_BONES[name] if structure(key, side) in scan.boxes]
            target = _Target(f"{side.capitalize()} {name}", parts, center, view.width_mm, view.reach_mm)
            shown.append(_choose_slices(target, scan))
            alone = [part for part in alone if part not in parts]
        for part in alone:
            z, y, x = ((bounds.start + bounds.stop) // 2 for bounds in scan.boxes[part])
            target = _Target(part.name, [part], (z, y, x), LONE_BONE_WIDTH_MM, LONE_BONE_WIDTH_MM / 2)
            shown.append(_choose_slices(target, scan))
    return shown


def find_shaft_regions(scan: LabelledGrid) -> list[Region]:
    """Return one region: an axial slice through the middle of every long bone much of which is in the scan; or none."""
    windows = {}
    for bone in (structure(key, side) for side in SIDES for key in SHAFT_BONES):
        box = scan.boxes.get(bone)
        if box is None or (box[0].stop - box[0].start) * scan.grid.z.spacing_mm < SHAFT_SHOWN_FROM_MM:
            continue
        level = (box[0].start + box[0].stop) // 2
        on_slice = np.argwhere(scan.labels[level] == bone.label_value)
        if len(on_slice):
            row, column = on_slice.mean(axis=0)
            center = (level, int(row), int(column))
            windows[f"{bone.name}, axial, middle"] = Window.around("axial", center, SHAFT_WIDTH_MM, scan.grid)
    return [Region("Shafts", SHAFT_WIDTH_MM, windows)] if windows else []


def _find_joint_center(meeting: Sequence[tuple[str, str]], side: Side, scan: LabelledGrid) -> Position | None:
    for first_key, second_key in meeting:
        first, second = structure(first_key, side), structure(second_key, side)
        if first in scan.boxes and second in scan.boxes:
            center = _find_meeting_point(first, second, scan)
            if center is not None:
                return center
    return None


def _find_meeting_point(first: Structure, second: Structure, scan: LabelledGrid) -> Position | None:
    """Return the middle of the part of ``first`` that faces ``second``, or None when the two lie too far apart."""
    from scipy import ndimage

    reach = [int(np.ceil(FARTHEST_MEETING_MM / axis.spacing_mm)) for axis in scan.grid]
    grown = [grow_box(scan.boxes[part], reach, scan.grid.shape) for part in (first, second)]
    shared = intersect_boxes(*grown)
    if shared is None:
        return None
    steps = _choose_steps(scan.grid)
    near = scan.labels[_thin_box(shared, steps)]
    in_first, in_second = near == first.label_value, near == second.label_value
    if not in_first.any() or not in_second.any():
        return None
    sampling = [step * axis.spacing_mm for step, axis in zip(steps, scan.grid)]
    distances = np.asarray(ndimage.distance_transform_edt(~in_second, sampling=sampling))[in_first]
    if distances.min() > FARTHEST_MEETING_MM:
        return None
    facing = np.argwhere(in_first)[distances <= distances.min() + CONTACT_DEPTH_MM].mean(axis=0)
    z, y, x = (round(bounds.start + step * middle) for bounds, step, middle in zip(shared, steps, facing))
    return z, y, x


def _choose_slices(target: _Target, scan: LabelledGrid) -> Region:
    """Return one window per plane: the slice near the target's center in which its parts show the most of themselves.

    A part counts by its area relative to its own largest area nearby, so that a patella weighs as much as a femur.
    """
    width_mm = min(target.width_mm, max(axis.count * axis.spacing_mm for axis in scan.grid))
    steps = _choose_steps(scan.grid)
    searched = _search_box(target.center, SEARCH_FRACTION * width_mm, scan.grid)
    near = scan.labels[_thin_box(searched, steps)]
    masks = [near == part.label_value for part in target.parts]
    best, middle = [], []
    for number, axis in enumerate(scan.grid):
        others = tuple(other for other in range(3) if other != number)
        positions = searched[number].start + steps[number] * np.arange(near.shape[number])
        areas = np.array([np.count_nonzero(mask, axis=others) for mask in masks])
        shown = (areas / np.maximum(areas.max(axis=1, keepdims=True), 1)).sum(axis=0)
        farthest_mm = max(target.reach_mm, steps[number] * axis.spacing_mm)
        too_far = np.abs(positions - target.center[number]) * axis.spacing_mm > farthest_mm
        best.append(int(positions[np.where(too_far, -1.0, shown).argmax()]))
        occupied = positions[areas.any(axis=0)] if areas.any() else positions
        middle.append(_move_inwards(int(occupied[0] + occupied[-1]) // 2, width_mm, axis))
    windows = {}
    for number, plane in enumerate(PLANES):
        z, y, x = (best[other] if other == number else middle[other] for other in range(3))
        windows[plane.capitalize()] = Window.around(plane, (z, y, x), width_mm, scan.grid)
    return Region(target.title, width_mm, windows)


def _search_box(center: Position, half_mm: float, grid: Grid) -> ArrayBox:
    bounds = []
    for middle, axis in zip(center, grid):
        half = half_mm / axis.spacing_mm
        bounds.append((max(0, int(middle - half)), min(axis.count, int(middle + half) + 1)))
    return make_box(bounds)


def _choose_steps(grid: Grid) -> list[int]:
    return [max(1, round(SEARCH_SPACING_MM / axis.spacing_mm)) for axis in grid]


def _thin_box(box: ArrayBox, steps: Sequence[int]) -> tuple[slice, ...]:
    return tuple(slice(bounds.start, bounds.stop, step) for bounds, step in zip(box, steps))


def _move_inwards(middle: int, width_mm: float, axis: Axis) -> int:
    """Return ``middle``, moved so that a picture of ``width_mm`` reaches over no edge that it can avoid."""
    width = width_mm / axis.spacing_mm
    if width >= axis.count:
        return axis.count // 2
    return int(round(min(max(middle, width / 2), axis.count - width / 2)))
