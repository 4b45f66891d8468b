"""Where a bone touches the border of the scan."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from KneeSegLib.geometry.boxes import ArrayBox, find_border_faces

BORDERS = (("lower", "upper"), ("front", "back"), ("right-hand", "left-hand"))
"""Of the axes z, y, x of a scan turned towards the patient: the border at the first slice, and at the last."""

LENGTHWISE = BORDERS[0]
"""The borders at which every long bone in a scan of one joint ends."""


def measure_border_areas_mm2(
    mask: np.ndarray, place: ArrayBox, shape: Sequence[int], spacing_mm: Sequence[float]
) -> dict[str, float]:
    """Return the area in which a bone touches each border of the scan, only those that it touches.

    Args:
        mask: bool (Z, Y, X), the bone.
        place: the mask's box in the scan.
        shape: of the scan.
        spacing_mm: (z, y, x).
    """
    areas_mm2 = {}
    for axis, (names, on_border) in enumerate(zip(BORDERS, find_border_faces(place, shape))):
        layers = np.moveaxis(mask, axis, 0)
        face_mm2 = float(np.prod(spacing_mm)) / spacing_mm[axis]
        for name, layer, is_border in zip(names, (layers[0], layers[-1]), on_border):
            if is_border and layer.any():
                areas_mm2[name] = float(np.count_nonzero(layer) * face_mm2)
    return areas_mm2
