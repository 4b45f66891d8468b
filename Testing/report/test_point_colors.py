"""Surfaces whose points have colours of their own."""

from __future__ import annotations

import numpy as np
import pytest

from KneeSegLib.report.shading import FRONT, ColoredMesh, draw_meshes

RED, BLUE = (220, 40, 40), (40, 40, 220)
CORNERS = np.array([[-20.0, 0.0, -10.0], [20.0, 0.0, -10.0], [20.0, 0.0, 10.0], [-20.0, 0.0, 10.0]])
FACES = np.array([[0, 1, 2], [0, 2, 3]])  # towards the front


def picture(color) -> np.ndarray:
    return draw_meshes([ColoredMesh(CORNERS, FACES, color)], FRONT, np.zeros(3), (48.0, 28.0), 0.5).astype(float)


def test_one_colour_for_all_points_is_the_same_as_one_colour():
    assert np.array_equal(picture(np.array([RED] * 4)), picture(RED))


def test_colours_stay_with_their_points():
    pixels = picture(np.array([RED, BLUE, BLUE, RED]))
    left, right = pixels[28, 12, :3], pixels[28, -13, :3]
    assert left[0] > 2.0 * left[2] and right[2] > 2.0 * right[0]


def test_between_two_points_light_is_mixed():
    pixels = picture(np.array([RED, BLUE, BLUE, RED]))
    middle = pixels[28, 48, :3]
    assert middle[0] == pytest.approx(middle[2], abs=6.0)
    # Half of either light, and not half of either number: sRGB is no scale of light.
    full = picture(RED)[28, 48, 0]
    red, blue = ((channel / 255.0) ** 2.2 for channel in (RED[0], BLUE[0]))
    assert middle[0] / full == pytest.approx(((red + blue) / 2.0 / red) ** (1 / 2.2), abs=0.03)
