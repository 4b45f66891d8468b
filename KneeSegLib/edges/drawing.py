"""Labels of a leg, brought from the edge that networks estimate to another convention's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations
from math import ceil, nan
from typing import TYPE_CHECKING

import numpy as np

from KneeSegLib.anatomy import structure
from KneeSegLib.edges.fields import field_of, margin_of, split_overlap
from KneeSegLib.edges.half_maximum import LocatedEdges
from KneeSegLib.edges.lattice import Lattice
from KneeSegLib.edges.measurement import EdgeMeasurement
from KneeSegLib.edges.moving import move_field, smooth_offsets
from KneeSegLib.edges.profiles import SurfacePoints, find_normals, find_surface_points, sample_profiles
from KneeSegLib.edges.settings import AROUND_MM, MARGIN_SCALE
from KneeSegLib.geometry.boxes import (
    ArrayBox,
    box_shape,
    crop_box,
    enclose_boxes,
    find_mask_box,
    grow_box,
    intersect_boxes,
    overlap_boxes,
    uncrop_box,
)
from KneeSegLib.progress import Progress, no_progress, report_each

if TYPE_CHECKING:
    from KneeSegLib.inference.labels import LegLabels, Margin
    from KneeSegLib.inference.scan import Scan

LocateEdge = Callable[[np.ndarray], LocatedEdges]
"""Locates the edge on profiles of the image: what makes a convention in one modality."""


def draw_edges(
    leg: LegLabels, scan: Scan, locate: LocateEdge, move: bool, progress: Progress = no_progress
) -> dict[str, EdgeMeasurement]:
    """Measure how far the located edge of each bone of a leg lies from the one that it has, and move it there.

    No voxel of one bone becomes another's, and bones that grow into the same gap meet half-way.

    Args:
        leg: labels and margins change where ``move`` is true, and do not otherwise.

    Returns:
        By structure key, of every bone that has a surface.

    Raises:
        Cancelled: raised by ``progress`` between two bones.
    """
    measured = {}
    for bone in report_each(list(leg.margins), progress, f"Edges of the {leg.side} leg"):
        box = _box_around(leg, bone, scan)
        if box is None:
            continue
        if move:
            _make_room(leg.margins[bone], box)
        measurement, surface = _measure_edge(leg, bone, box, scan, locate)
        measured[structure(bone, leg.side).key] = measurement
        if move:
            _move_edge(leg, bone, box, surface)
    if move:
        _separate_bones(leg)
        _take_labels(leg)
    return measured


@dataclass(frozen=True)
class _Surface:
    """The surface of a bone in a crop as it is, and where the image has its edge."""

    field: np.ndarray
    lattice: Lattice
    normals: np.ndarray
    points: SurfacePoints
    located: LocatedEdges


def _box_around(leg: LegLabels, bone: str, scan: Scan) -> ArrayBox | None:
    """The bone with its surroundings, in the leg's crop; None where there is no bone."""
    margin = leg.margins[bone]
    found = find_mask_box(margin.values > 0)
    if found is None:
        return None
    around = [ceil(AROUND_MM / step) for step in scan.grid.spacing_mm]
    return grow_box(uncrop_box(found, margin.place), around, leg.labels.shape)


def _make_room(margin: Margin, box: ArrayBox) -> None:
    """Let a margin reach as far as a box of the leg's crop."""
    place = enclose_boxes([box, margin.place])
    if place != margin.place:
        larger = np.full(box_shape(place), -MARGIN_SCALE, np.int8)
        larger[crop_box(margin.place, place)] = margin.values
        margin.values, margin.place = larger, place


def _measure_edge(
    leg: LegLabels, bone: str, box: ArrayBox, scan: Scan, locate: LocateEdge
) -> tuple[EdgeMeasurement, _Surface]:
    margin = leg.margins[bone]
    box = intersect_boxes(box, margin.place) or box
    field = field_of(margin.values[crop_box(box, margin.place)])
    lattice = Lattice.over(box_shape(box), scan.grid.spacing_mm)
    normals = find_normals(field, lattice)
    points = find_surface_points(field, normals, lattice)
    located = locate(sample_profiles(scan.values[uncrop_box(box, leg.place)], points, lattice.spacing_mm))
    told = located.offsets_mm[np.isfinite(located.offsets_mm) & ~located.kept]
    measurement = EdgeMeasurement(float(np.median(told)) if told.size else nan, float(located.kept.mean()))
    return measurement, _Surface(field, lattice, normals, points, located)


def _move_edge(leg: LegLabels, bone: str, box: ArrayBox, surface: _Surface) -> None:
    """Write the bone's margin anew around its surface; the labels are still those of before."""
    lattice = surface.lattice
    offsets_mm = smooth_offsets(surface.located, surface.points, lattice)
    index = lattice.find_voxels_near(_find_reaches(offsets_mm, surface.points, lattice))
    moved = margin_of(move_field(surface.field, index, offsets_mm, surface.normals, lattice))
    voxels = tuple(index)
    label = leg.labels[box][voxels]
    of_others = (label != 0) & (label != structure(bone, leg.side).label_value)
    margin = leg.margins[bone]
    margin.values[crop_box(box, margin.place)][voxels] = np.where(of_others, np.minimum(moved, -1), moved)


def _find_reaches(offsets_mm: np.ndarray, points: SurfacePoints, lattice: Lattice) -> np.ndarray:
    """How far around each node the margin changes: as far as the surface moves, and to the next voxels."""
    reaches_mm = np.full(lattice.shape, -1.0, np.float32)
    cells = np.unravel_index(lattice.cell_numbers(points.index), lattice.shape)
    reaches_mm[cells] = np.abs(offsets_mm[cells]) + max(lattice.spacing_mm)
    return reaches_mm


def _separate_bones(leg: LegLabels) -> None:
    """Let no two margins be positive at the same voxel, nor their surfaces cross between voxels."""
    for first, second in combinations(leg.margins.values(), 2):
        overlap = overlap_boxes(first.place, second.place)
        if overlap is not None:
            split_overlap(first.values[overlap[0]], second.values[overlap[1]])


def _take_labels(leg: LegLabels) -> None:
    """Write the labels anew, as the margins have them."""
    labels = leg.labels.copy()
    for bone, margin in leg.margins.items():
        value, part = structure(bone, leg.side).label_value, labels[margin.place]
        inside = margin.values > 0
        part[(part == value) & ~inside] = 0
        part[inside] = value
    leg.labels = labels
