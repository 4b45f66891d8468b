"""Outlines of a structure in one slice, as polygons without holes: a hole is joined to what surrounds it by a cut.

Planning systems fill closed polygons and know no holes. The keyhole of the DICOM standard (PS3.3 C.8.8.6.3) goes from
the hole straight to the nearest boundary and back on the same way, so that every reader fills the same pixels.
"""

from __future__ import annotations

import numpy as np

from KneeSegLib.report.contours import trace_contours

Polygon = np.ndarray
"""``(points, 2)``: column and row, the centre of the first pixel at (0, 0); the last point is joined to the first."""


def trace_polygons(field: np.ndarray, level: float) -> list[Polygon]:
    """Return the polygons around all of a slice that lies above ``level``.

    Args:
        field: ``(rows, columns)``, 0 where nothing of the structure is, 1 where all is.
        level: between 0 and 1; lines are interpolated between pixels.
    """
    lines = trace_contours(np.pad(np.asarray(field, np.float32), 1), level)
    rings = [ring for line in lines if len(ring := _without_repeats(line.astype(np.float64) - 1.5)) > 2]
    holes = [_is_within_another(number, rings) for number in range(len(rings))]
    loops = [ring if (_signed_area(ring) < 0) == hole else ring[::-1] for ring, hole in zip(rings, holes)]
    outer = [ring for ring, hole in zip(loops, holes) if not hole]
    # From the right: what a cut meets has been joined to its surroundings already, or surrounds it.
    for hole in sorted((ring for ring, hole in zip(loops, holes) if hole), key=lambda ring: -ring[:, 0].max()):
        _join(outer, hole)
    return [simple for polygon in outer if len(simple := _without_straight_points(polygon)) > 2]


def _without_repeats(ring: np.ndarray) -> np.ndarray:
    return ring[np.abs(ring - np.roll(ring, 1, axis=0)).max(axis=1) > 1e-6]


def _is_within_another(number: int, rings: list[np.ndarray]) -> bool:
    """Return whether an odd number of the other rings surround a ring: then what it surrounds is outside."""
    ring = rings[number]
    point = ring[ring[:, 0].argmax()]
    crossed = sum(
        int(np.isfinite(_cross_to_the_right(other, point)).sum()) for at, other in enumerate(rings) if at != number
    )
    return crossed % 2 == 1


def _cross_to_the_right(ring: np.ndarray, point: np.ndarray) -> np.ndarray:
    """Return for each edge of a ring the column at which a line from ``point`` to the right crosses it, or infinity."""
    end = np.roll(ring, -1, axis=0)
    crosses = (ring[:, 1] <= point[1]) != (end[:, 1] <= point[1])
    with np.errstate(divide="ignore", invalid="ignore"):
        at = ring[:, 0] + (point[1] - ring[:, 1]) / (end[:, 1] - ring[:, 1]) * (end[:, 0] - ring[:, 0])
    return np.where(crosses & (at > point[0]), at, np.inf)


def _join(outer: list[np.ndarray], hole: np.ndarray) -> None:
    """Put ``hole`` into the polygon that surrounds it, by a cut to the right."""
    start = int(hole[:, 0].argmax())
    crossings = [_cross_to_the_right(polygon, hole[start]) for polygon in outer]
    number = min(range(len(outer)), key=lambda at: crossings[at].min())
    edge = int(crossings[number].argmin())
    polygon = outer[number]
    door = np.array([[crossings[number][edge], hole[start, 1]]])
    loop = np.concatenate([hole[start:], hole[: start + 1]])
    outer[number] = np.concatenate([polygon[: edge + 1], door, loop, door, polygon[edge + 1 :]])


def _without_straight_points(ring: np.ndarray) -> np.ndarray:
    """Return a ring without points that lie on the line between their neighbours, and without repeated ones."""
    ring = _without_repeats(ring)
    before, after = ring - np.roll(ring, 1, axis=0), np.roll(ring, -1, axis=0) - ring
    turns = np.abs(before[:, 0] * after[:, 1] - before[:, 1] * after[:, 0]) > 1e-5
    back = (before * after).sum(axis=1) < 0  # the end of a cut turns by half a circle
    return ring[turns | back]


def _signed_area(ring: np.ndarray) -> float:
    x, y = ring.T
    return float(x @ np.roll(y, -1) - y @ np.roll(x, -1)) / 2.0
