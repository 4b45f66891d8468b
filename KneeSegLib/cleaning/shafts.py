"""Pieces of one long bone: which of them lie on one line, although something is missing in between."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.spatial import cKDTree

_SMALLEST_SHARE = 0.05
"""A piece of less than this share of the main piece's volume is no part of a shaft."""
_LARGEST_GAP_MM = 30.0
_LARGEST_GAP_OUTSIDE_THE_IMAGE_MM = 150.0
_END_MM = 40.0
_LARGEST_ANGLE_DEG = 30.0
_POINTS = 20_000
_FEWEST_POINTS = 4
"""Fewer voxels run nowhere."""


def find_shaft_continuations(
    components: np.ndarray,
    voxels: np.ndarray,
    main: int,
    spacing_mm: tuple[float, float, float],
    cut_faces: Sequence[tuple[bool, bool]],
) -> np.ndarray:
    """Return the voxels (bool, as ``components``) of the pieces that continue the main component beyond a gap.

    A piece does when it is large enough to matter (5 % of the main one), and the line between the two ends that face
    each other runs along both ends (30 degrees). Gaps inside the image may be 30 mm long; where both pieces are cut off
    by the image's border, 150 mm: the bone was outside the field of view there.

    Args:
        components: int (Z, Y, X), component numbers, 0 outside.
        voxels: number of voxels of each component.
        main: number of the component that the others have to continue.
        spacing_mm: (z, y, x).
        cut_faces: for each axis, whether the first and the last layer lie on the image's border.
    """
    continuing = np.zeros(components.shape, bool)
    candidates = [
        piece for piece in range(1, len(voxels)) if piece != main and voxels[piece] >= _SMALLEST_SHARE * voxels[main]
    ]
    if not candidates:
        return continuing
    cut = _components_cut(components, cut_faces)
    main_mm = _points_mm(components == main, spacing_mm)
    for piece in candidates:
        inside = components == piece
        outside_the_image = main in cut and piece in cut
        largest_gap_mm = _LARGEST_GAP_OUTSIDE_THE_IMAGE_MM if outside_the_image else _LARGEST_GAP_MM
        if _lie_on_one_line(main_mm, _points_mm(inside, spacing_mm), largest_gap_mm):
            continuing |= inside
    return continuing


def _lie_on_one_line(first_mm: np.ndarray, second_mm: np.ndarray, largest_gap_mm: float) -> bool:
    distance, nearest = cKDTree(first_mm).query(second_mm)
    closest = int(distance.argmin())
    if distance[closest] > largest_gap_mm:
        return False
    ends = [
        points[np.linalg.norm(points - near, axis=1) <= _END_MM]
        for points, near in ((first_mm, first_mm[nearest[closest]]), (second_mm, second_mm[closest]))
    ]
    if min(len(end) for end in ends) < _FEWEST_POINTS:
        return False
    direction = ends[1].mean(axis=0) - ends[0].mean(axis=0)
    length = np.linalg.norm(direction)
    if length == 0:
        return False
    cosines = [abs(_long_axis(end) @ direction) / length for end in ends]
    return min(cosines) >= np.cos(np.radians(_LARGEST_ANGLE_DEG))


def _long_axis(points_mm: np.ndarray) -> np.ndarray:
    """Return the unit direction in which the points spread most."""
    _, axes = np.linalg.eigh(np.cov(points_mm.T))
    return axes[:, -1]


def _points_mm(mask: np.ndarray, spacing_mm: tuple[float, float, float]) -> np.ndarray:
    """Return an even selection of the mask's voxel centres, (N, 3) in mm in the array's order of axes."""
    points = np.argwhere(mask)
    return points[:: max(1, len(points) // _POINTS)] * np.asarray(spacing_mm)


def _components_cut(components: np.ndarray, cut_faces: Sequence[tuple[bool, bool]]) -> set[int]:
    """Return the numbers of the components that reach a face on the image's border."""
    cut: set[int] = set()
    for axis, ends in enumerate(cut_faces):
        layers = np.moveaxis(components, axis, 0)
        for end, is_cut in zip((0, -1), ends):
            if is_cut:
                cut.update(np.unique(layers[end]).tolist())
    return cut - {0}
