"""Outlines against shapes whose outline is known."""

from __future__ import annotations

import numpy as np
import pytest

from KneeSegLib.report.contours import format_svg_path, trace_contours

ROWS, COLUMNS = np.mgrid[0:60, 0:80] + 0.5


def test_the_outline_of_a_distance_field_is_the_circle_itself():
    distance = 20.25 - np.hypot(COLUMNS - 41.0, ROWS - 30.5)
    (line,) = trace_contours(distance, 0.0)
    radii = np.hypot(line[:, 0] - 41.0, line[:, 1] - 30.5)
    assert np.allclose(radii, 20.25, atol=0.02)
    assert np.allclose(line[0], line[-1])


def test_the_outline_of_a_mask_runs_between_its_pixels_and_their_neighbours():
    mask = np.zeros((10, 12), np.float32)
    mask[2:5, 3:9] = 1
    (line,) = trace_contours(mask, 0.5)
    assert line.min(axis=0).tolist() == [3.0, 2.0]
    assert line.max(axis=0).tolist() == [9.0, 5.0]


def test_an_outline_that_leaves_the_picture_stays_open():
    mask = np.zeros((10, 12), np.float32)
    mask[4:, 3:9] = 1
    (line,) = trace_contours(mask, 0.5)
    assert not np.allclose(line[0], line[-1])
    assert sorted(line[[0, -1], 0].tolist()) == [3.0, 9.0]
    assert "Z" not in format_svg_path([line], (1, 1))


def test_separate_pieces_and_holes_have_outlines_of_their_own():
    mask = np.zeros((30, 40), np.float32)
    mask[2:12, 2:12] = 1
    mask[5:8, 5:8] = 0
    mask[15:20, 20:30] = 1
    assert len(trace_contours(mask, 0.5)) == 3


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_a_picture_inside_or_outside_of_a_structure_has_no_outline(value):
    assert trace_contours(np.full((5, 5), value), 0.5) == []


def test_a_path_is_scaled_moved_and_closed():
    square = np.array([[0, 0], [2, 0], [2, 1], [0, 1], [0, 0]], dtype=float)
    assert format_svg_path([square], (0.5, 2.0), (10, 20)) == "M10.00 20.00L11.00 20.00L11.00 22.00L10.00 22.00Z"
