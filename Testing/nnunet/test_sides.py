"""One leg or two, where labels tell no side."""

from __future__ import annotations

import numpy as np
import pytest

from KneeSegLib.geometry.grid import Grid
from KneeSegLib.nnunet.sides import find_sides

GRID = Grid.of_scan((80, 10, 50), (4.0, 4.0, 4.0))


def draw_bone(*middles_mm: tuple[float, float]) -> np.ndarray:
    """Cubes of 40 mm around places along the leg and from side to side."""
    mask = np.zeros(GRID.shape, bool)
    for place in middles_mm:
        z, x = (round(part / 4.0) for part in place)
        mask[z - 5 : z + 5, :, x - 5 : x + 5] = True
    return mask


@pytest.mark.parametrize(
    ("second", "legs"),
    [
        ((50.0, 150.0), 2),
        ((110.0, 160.0), 2),  # the other leg is drawn up
        ((50.0, 90.0), 1),  # one bone in two pieces
        ((265.0, 112.0), 1),  # pieces of another bone of the same slanting leg, taken for this one
    ],
)
def test_two_legs_lie_side_by_side(second, legs):
    found = find_sides({"tibia": draw_bone((50.0, 50.0), second)}, GRID, None)
    assert (found.only is None) == (legs == 2)
