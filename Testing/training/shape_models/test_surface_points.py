"""Points and triangles on the surface of a bone."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial import cKDTree

from KneeSegLib.errors import InputError
from KneeSegLib.geometry.mesh import enclosed_volume
from KneeSegLib.surfaces.topology import topology_of
from KneeSegLib.training.shape_models.bone_image import prepare_bone_image
from KneeSegLib.training.shape_models.surface_points import place_surface_points
from Testing.phantoms.bones import Pebble, distal_femur

PEBBLE = Pebble()


@pytest.fixture(scope="module")
def points_and_triangles() -> tuple[np.ndarray, np.ndarray]:
    return place_surface_points(prepare_bone_image(PEBBLE.labels(), "patella", "right", "a", 1.5), 300)


def test_points_lie_on_the_surface(points_and_triangles):
    points, _ = points_and_triangles
    assert len(points) == 300
    assert np.abs(np.linalg.norm(PEBBLE.sphere_points(points), axis=1) - 1).max() < 0.05


def test_points_are_spread_evenly(points_and_triangles):
    points, _ = points_and_triangles
    apart = cKDTree(points).query(points, k=2)[0][:, 1]
    assert apart.min() > 0.6 * np.median(apart)


def test_the_triangles_close_the_surface_and_face_outward(points_and_triangles):
    points, triangles = points_and_triangles
    assert len(points) - len(triangles) / 2 == 2  # Euler's formula of a closed surface without handles
    assert topology_of(triangles).open_edges == 0
    assert enclosed_volume(points, triangles) == pytest.approx(4 / 3 * np.pi * 18 * 11 * 20, rel=0.05)


def test_the_face_of_a_cut_has_no_points():
    bone = prepare_bone_image(distal_femur(60.0), "femur", "right", "a", 2.0)
    points, triangles = place_surface_points(bone, 300)
    highest = points[:, 2].max()
    assert bone.cut_mm - 6 < highest < bone.cut_mm - 1.9
    shaft = points[points[:, 2] > 12]
    assert np.linalg.norm(shaft[:, :2], axis=1).min() > 10
    assert topology_of(triangles).open_edges > 6


def test_coarse_voxels_are_divided_for_many_points():
    bone = prepare_bone_image(PEBBLE.labels(), "patella", "right", "a", 2.0)
    points, triangles = place_surface_points(bone, 1500)
    assert np.abs(np.linalg.norm(PEBBLE.sphere_points(points), axis=1) - 1).mean() < 0.03
    assert len(points) - len(triangles) / 2 == 2


def test_more_points_than_the_voxels_can_tell_are_refused():
    bone = prepare_bone_image(PEBBLE.labels(), "patella", "right", "a", 3.0)
    with pytest.raises(InputError, match="too coarse for 4000 points"):
        place_surface_points(bone, 4000)
