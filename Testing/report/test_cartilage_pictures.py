"""Thickness in colours, and the report's section about it."""

import numpy as np
import pytest

from KneeSegLib.report.cartilage import color_thickness, draw_cartilage
from KneeSegLib.report.html import render_report
from KneeSegLib.report.settings import BARE_BONE_COLOR, CARTILAGE_COLORS
from KneeSegLib.report.shading import FROM_ABOVE, FROM_BEHIND, FROM_BELOW, ColoredMesh, draw_meshes
from Testing.measurements.test_cartilage import covered_ball
from Testing.phantoms.joint_surfaces import measured_cartilage


def test_thickness_runs_through_the_scale_and_bare_bone_is_apart():
    colors = color_thickness(np.array([0.0, 0.01, 2.0, 9.0]))
    assert colors[0].tolist() == list(BARE_BONE_COLOR)
    assert colors[1] == pytest.approx(CARTILAGE_COLORS[0], abs=2)
    assert colors[2] == pytest.approx(CARTILAGE_COLORS[2])
    assert colors[3] == pytest.approx(CARTILAGE_COLORS[-1])


@pytest.mark.parametrize("view", [FROM_BELOW, FROM_ABOVE, FROM_BEHIND])
def test_views_are_turned_and_not_mirrored(view):
    assert np.linalg.det(view.lps_to_screen) == pytest.approx(1.0)


def test_points_of_two_colours_are_drawn_in_both():
    points = np.array([[-10.0, -10.0, 0.0], [10.0, -10.0, 0.0], [10.0, 10.0, 0.0], [-10.0, 10.0, 0.0]])
    colors = np.array([[255, 0, 0], [0, 0, 255], [0, 0, 255], [255, 0, 0]])
    mesh = ColoredMesh(points, np.array([[0, 1, 2], [0, 2, 3]]), colors)
    picture = draw_meshes([mesh], FROM_ABOVE, np.zeros(3), (20.0, 20.0), 0.5)
    row = picture[20]
    # From above the patient's left, where points are blue, is on the left.
    assert row[3, 2] > row[3, 0] and row[-4, 0] > row[-4, 2]


def test_the_report_shows_regions_and_their_thickness():
    case = covered_ball()
    case.scans[0].cartilage = measured_cartilage(case)
    (picture,) = draw_cartilage(case.cartilage)
    assert picture.caption == "Right femur, from below"
    page = render_report(case, {"statement": "", "software": {}})
    assert "Cartilage thickness" in page and "Medial central" in page and "2.3" in page


def test_a_case_without_cartilage_has_no_such_section():
    assert "Cartilage thickness" not in render_report(covered_ball(), {"statement": "", "software": {}})
