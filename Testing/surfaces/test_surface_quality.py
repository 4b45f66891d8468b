from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
import SimpleITK as sitk

from KneeSegLib.geometry.mesh import points_of, polydata_from, triangles_of
from KneeSegLib.surfaces import decimate, surface_quality
from KneeSegLib.surfaces.meshing import surface_of_mask
from KneeSegLib.surfaces.quality import distances
from KneeSegLib.surfaces.self_intersections import count_self_intersections
from KneeSegLib.surfaces.topology import topology_of

TETRAHEDRON = np.array([[0, 2, 1], [0, 1, 3], [1, 2, 3], [0, 3, 2]])
CORNERS = np.array([[0.0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]])


@pytest.fixture(scope="module")
def ball():
    z, y, x = np.mgrid[-14:15, -14:15, -14:15] - 0.3
    return sitk.GetImageFromArray((np.sqrt(x**2 + y**2 + z**2) < 10).astype(np.uint8))


def test_figures_of_a_ball(ball):
    quality = surface_quality(surface_of_mask(ball), ball, with_self_intersections=True)
    assert quality.watertight
    assert quality.open_edges == quality.non_manifold_edges == quality.self_intersections == 0
    assert quality.components == 1
    assert quality.volume_mm3 == pytest.approx(4 / 3 * math.pi * 10**3, rel=0.02)
    assert quality.area_mm2 == pytest.approx(4 * math.pi * 10**2, rel=0.02)


def test_unsmoothed_surface_is_the_masks_boundary(ball):
    quality = surface_quality(surface_of_mask(ball, smoothing="none"), ball)
    assert quality.max_distance_mm == pytest.approx(0, abs=1e-6)
    assert quality.max_distance_from_mask_mm == pytest.approx(0, abs=1e-6)


def test_shifted_surface_is_a_shift_away(ball):
    surface = surface_of_mask(ball, smoothing="none")
    shifted = polydata_from(points_of(surface) + (0, 0, 2.0), triangles_of(surface))
    quality = surface_quality(shifted, ball)
    # Near the poles by 2 mm, at the equator along the surface.
    assert 1.8 < quality.max_distance_mm <= 2.01
    assert len(quality.problems) == 2


def test_concentric_sphere_is_the_difference_of_the_radii_away(ball):
    z, y, x = np.mgrid[-14:15, -14:15, -14:15] - 0.3
    larger = sitk.GetImageFromArray((np.sqrt(x**2 + y**2 + z**2) < 13).astype(np.uint8))
    # The nearest point of a boundary with steps is more often an outer corner than an inner one.
    assert 2.8 < surface_quality(surface_of_mask(larger), ball).mean_distance_mm < 3.0


def test_lost_part_of_the_mask_shows(ball):
    two = np.zeros((29, 29, 70), np.uint8)
    two[:, :, :29] = two[:, :, 36:65] = sitk.GetArrayFromImage(ball)
    quality = surface_quality(surface_of_mask(ball), sitk.GetImageFromArray(two))
    assert quality.max_distance_mm < 0.6
    assert quality.max_distance_from_mask_mm > 20


def test_self_intersections_are_counted_where_asked_for_and_are_a_problem_then(ball):
    surface = surface_of_mask(ball)
    points = points_of(surface)
    points[0] = 2 * points.mean(axis=0) - points[0]  # one vertex pulled out on the far side
    spiked = polydata_from(points, triangles_of(surface))
    counted = surface_quality(spiked, ball, with_self_intersections=True)
    assert counted.self_intersections > 0
    assert any("runs through itself" in problem for problem in counted.problems)
    assert surface_quality(spiked, ball).self_intersections is None


def test_missing_triangle_opens_the_surface():
    topology = topology_of(TETRAHEDRON[1:])
    assert (topology.open_edges, topology.non_manifold_edges) == (3, 0)
    assert not topology.is_watertight


def test_fin_is_a_non_manifold_edge():
    assert topology_of(np.vstack([TETRAHEDRON, [[0, 1, 4]]])).non_manifold_edges == 1


def test_one_turned_triangle_is_not_watertight():
    turned = TETRAHEDRON.copy()
    turned[0] = turned[0, ::-1]
    assert topology_of(TETRAHEDRON).is_watertight
    assert not topology_of(turned).is_watertight


def test_two_pieces_are_two_components():
    assert topology_of(np.vstack([TETRAHEDRON, TETRAHEDRON + 4])).components == 2


def test_surface_turned_inside_out_is_a_problem(ball):
    surface = surface_of_mask(ball)
    quality = surface_quality(polydata_from(points_of(surface), triangles_of(surface)[:, ::-1]), ball)
    assert any("inside out" in problem for problem in quality.problems)


def test_two_tetrahedra_that_pierce_each_other_are_found():
    apart = np.vstack([CORNERS, CORNERS + 5])
    piercing = np.vstack([CORNERS, CORNERS + (0.2, 0.15, 0.1)])
    both = np.vstack([TETRAHEDRON, TETRAHEDRON + 4])
    assert count_self_intersections(apart, both) == 0
    assert count_self_intersections(piercing, both) > 0


def test_large_triangles_among_small_ones_are_searched_too(ball):
    surface = surface_of_mask(ball)
    points, triangles = points_of(surface), triangles_of(surface)
    through_the_middle = np.array([[-50.0, 14, -50], [80, 14, -50], [14, 14, 100]])
    count = count_self_intersections(
        np.vstack([points, through_the_middle]),
        np.vstack([triangles, [[len(points), len(points) + 1, len(points) + 2]]]),
    )
    # One great circle of the sphere, in triangles of less than a millimetre.
    assert 60 < count < 200


def test_distance_is_to_the_nearest_triangle():
    square = polydata_from(np.array([[0.0, 0, 0], [4, 0, 0], [4, 4, 0], [0, 4, 0]]), np.array([[0, 1, 2], [0, 2, 3]]))
    assert distances(np.array([[1.0, 1, 3], [7, 8, 0], [2, 2, -0.5]]), square) == pytest.approx([3, 5, 0.5])


def test_coarse_voxels_are_judged_by_what_they_can_know(ball):
    fine = dataclasses.replace(surface_quality(surface_of_mask(ball), ball), mean_distance_mm=0.15, voxel_mm=0.5)
    assert fine.problems
    assert not dataclasses.replace(fine, voxel_mm=1.0).problems


def test_decimation_keeps_shape_and_topology(ball):
    surface = surface_of_mask(ball)
    coarse = decimate(surface, 2.0)
    quality = surface_quality(coarse, ball, with_self_intersections=True)
    assert quality.problems == ()
    assert quality.volume_mm3 == pytest.approx(surface_quality(surface, ball).volume_mm3, rel=0.01)
    expected = quality.area_mm2 / (math.sqrt(3) / 4 * 2.0**2)
    assert coarse.GetNumberOfPolys() == pytest.approx(expected, rel=0.3)


def test_decimation_to_shorter_edges_changes_nothing(ball):
    surface = surface_of_mask(ball)
    assert decimate(surface, 0.1).GetNumberOfPolys() == surface.GetNumberOfPolys()
