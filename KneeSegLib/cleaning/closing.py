"""Morphological closing with a ball, equal to its definition voxel for voxel.

A ball is no product of lines, but its squared radius is a sum over the axes: the least squared distance to a mask, as
far as the ball reaches, takes one pass of shifts along each axis, on bytes where voxels are cubic. Large balls go
through a distance transform, whose time does not grow with the radius.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import repeat

import numpy as np
import SimpleITK as sitk

from KneeSegLib.cleaning.components import Spacing
from KneeSegLib.cleaning.settings import CLOSING_BLOCK, MOST_SHIFTS
from KneeSegLib.geometry.boxes import find_mask_box

_SLACK = 1e-5
"""Relative: a centre that lies on the ball belongs to it, however it was rounded."""


def close_with_ball(mask: np.ndarray, radius_mm: float, spacing_mm: Spacing) -> np.ndarray:
    """Return the morphological closing of ``mask`` with a ball.

    Equal to a dilation and an erosion with the voxels whose centres lie within ``radius_mm`` of the ball's centre, on
    an image without border.

    Args:
        mask: bool (Z, Y, X).
        radius_mm: radius of the ball.
        spacing_mm: (z, y, x).
    """
    closed = mask.copy()
    box = find_mask_box(mask)
    if box is None:
        return closed
    reach = [int(np.ceil(radius_mm / step)) + 1 for step in spacing_mm]
    padded = np.pad(mask[box], [(steps, steps) for steps in reach])
    dilated = find_within(padded, radius_mm, spacing_mm)
    eroded = ~find_within(~dilated, radius_mm, spacing_mm)
    closed[box] |= eroded[tuple(slice(steps, -steps) for steps in reach)]
    return closed


def find_within(mask: np.ndarray, radius_mm: float, spacing_mm: Spacing) -> np.ndarray:
    """Return for every voxel whether the centre of one of ``mask`` lies within ``radius_mm`` of its own."""
    limit = radius_mm * (1.0 + _SLACK)
    steps = [int(limit / step) for step in spacing_mm]
    if max(steps) > MOST_SHIFTS:
        return _measure_distance_mm(mask, spacing_mm) <= limit
    if len(set(spacing_mm)) == 1:
        # In squared voxels these are whole numbers; what is out of reach and one more shift together fit a byte.
        square = int((limit / spacing_mm[0]) ** 2)
        squares = [[k * k for k in range(1, count + 1)] for count in steps]
        return _find_least_squares(mask, squares, np.uint8(square + 1)) <= square
    squares = [[(k * step) ** 2 for k in range(1, count + 1)] for count, step in zip(steps, spacing_mm)]
    return _find_least_squares(mask, squares, np.float32(np.inf)) <= np.float32(limit**2)


def _find_least_squares(mask: np.ndarray, squares: Sequence[Sequence[float]], far: np.generic) -> np.ndarray:
    """Return the least squared distance to ``mask`` over so many shifts along each axis; ``far`` beyond.

    Args:
        squares: for each axis the squared distances of one, two, three ... voxels.
    """
    least = np.where(mask, far.dtype.type(0), far)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for axis, own in enumerate(squares):
            spread = np.empty_like(least)
            sources, results = (_split(np.moveaxis(whole, axis, 0)) for whole in (least, spread))
            list(pool.map(_spread, sources, results, repeat(own)))
            least = spread
    return least


def _split(whole: np.ndarray) -> list[np.ndarray]:
    """Return views of blocks of an array, each with the whole first axis, along which it will be shifted."""
    return [whole[:, start : start + CLOSING_BLOCK] for start in range(0, whole.shape[1], CLOSING_BLOCK)]


def _spread(source: np.ndarray, result: np.ndarray, squares: Sequence[float]) -> None:
    """Write the least of ``source`` and its shifts along the first axis, each more by its square, into ``result``."""
    np.copyto(result, source)
    for shift, square in enumerate(squares[: len(source) - 1], start=1):
        more = source + source.dtype.type(square)
        np.minimum(result[shift:], more[:-shift], out=result[shift:])
        np.minimum(result[:-shift], more[shift:], out=result[:-shift])


def _measure_distance_mm(mask: np.ndarray, spacing_mm: Spacing) -> np.ndarray:
    """Return the distance in mm from every voxel centre to the nearest one of ``mask`` (0 or less inside)."""
    image = sitk.GetImageFromArray(mask.view(np.uint8))
    image.SetSpacing(tuple(float(step) for step in reversed(spacing_mm)))
    return sitk.GetArrayFromImage(sitk.SignedMaurerDistanceMap(image, squaredDistance=False, useImageSpacing=True))
