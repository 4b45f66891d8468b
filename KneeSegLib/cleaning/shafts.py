"""Components of one long bone: which of them lie on one line, although something is missing in between."""

from __future__ import annotations

import numpy as np
from scipy.spatial import KDTree

from KneeSegLib.cleaning.settings import (
    FEWEST_SHAFT_POINTS,
    LARGEST_GAP_OUTSIDE_MM,
    LARGEST_SHAFT_ANGLE_DEG,
    LARGEST_SHAFT_GAP_MM,
    LEAST_SHAFT_FRACTION,
    MOST_SHAFT_POINTS,
    SHAFT_END_MM,
)
from KneeSegLib.geometry.boxes import Faces


def find_shaft_continuations(
    components: np.ndarray,
    voxels: np.ndarray,
    main: int,
    spacing_mm: tuple[float, float, float],
    cut_faces: Faces,
) -> np.ndarray:
    """Return the voxels (bool, as ``components``) of the components that continue the main one beyond a gap.

    A component does when it is large enough to matter (5 % of the main one), and the line between the two ends that
    face each other runs along both ends (30 degrees). Gaps inside the image may be 30 mm long; where both components
    are cut off by the image's border, 150 mm: the bone was outside the field of view there.

    Args:
        components: int (Z, Y, X), component numbers, 0 outside.
        voxels: number of voxels of each component.
        main: number of the component that the others have to continue.
        spacing_mm: (z, y, x).
        cut_faces: for each axis, whether the first and the last layer lie on the image's border.
    """
    continuing = np.zeros(components.shape, bool)
    candidates = [
        number
        for number in range(1, len(voxels))
        if number != main and voxels[number] >= LEAST_SHAFT_FRACTION * voxels[main]
    ]
    if not candidates:
        return continuing
    cut = _find_cut_components(components, cut_faces)
    main_mm = _points_mm(components == main, spacing_mm)
    for number in candidates:
        inside = components == number
        largest_gap_mm = LARGEST_GAP_OUTSIDE_MM if main in cut and number in cut else LARGEST_SHAFT_GAP_MM
        if _lie_on_one_line(main_mm, _points_mm(inside, spacing_mm), largest_gap_mm):
            continuing |= inside
    return continuing


def _lie_on_one_line(first_mm: np.ndarray, second_mm: np.ndarray, largest_gap_mm: float) -> bool:
    distance_mm, nearest = map(np.asarray, KDTree(first_mm).query(second_mm))
    closest = int(np.argmin(distance_mm))
    if distance_mm[closest] > largest_gap_mm:
        return False
    ends = [
        points[np.linalg.norm(points - near, axis=1) <= SHAFT_END_MM]
        for points, near in ((first_mm, first_mm[nearest[closest]]), (second_mm, second_mm[closest]))
    ]
    if min(len(end) for end in ends) < FEWEST_SHAFT_POINTS:
        return False
    direction = ends[1].mean(axis=0) - ends[0].mean(axis=0)
    length = np.linalg.norm(direction)
    if length == 0:
        return False
    cosines = [abs(_long_axis(end) @ direction) / length for end in ends]
    return min(cosines) >= np.cos(np.radians(LARGEST_SHAFT_ANGLE_DEG))


def _long_axis(points_mm: np.ndarray) -> np.ndarray:
    """Return the unit direction in which the points spread most."""
    _, axes = np.linalg.eigh(np.cov(points_mm.T))
    return axes[:, -1]


def _points_mm(mask: np.ndarray, spacing_mm: tuple[float, float, float]) -> np.ndarray:
    """Return an even selection of the mask's voxel centres, (N, 3) in mm in the array's order of axes."""
    points = np.argwhere(mask)
    return points[:: max(1, len(points) // MOST_SHAFT_POINTS)] * np.asarray(spacing_mm)


def _find_cut_components(components: np.ndarray, cut_faces: Faces) -> set[int]:
    """Return the numbers of the components that reach a face on the image's border."""
    cut: set[int] = set()
    for axis, ends in enumerate(cut_faces):
        layers = np.moveaxis(components, axis, 0)
        for end, is_cut in zip((0, -1), ends):
            if is_cut:
                cut.update(np.unique(layers[end]).tolist())
    return cut - {0}
