"""Signed distances against solids whose distance is known."""

from __future__ import annotations

import numpy as np
import pytest

from KneeSegLib.training.synthesis.bone_fields import BoneFields
from KneeSegLib.training.synthesis.cubic_grid import CubicGrid
from KneeSegLib.training.synthesis.distance import find_nearest_on_triangles, measure_signed_distance
from KneeSegLib.training.synthesis.meshes import Mesh, sample_surface
from KneeSegLib.training.synthesis.settings import REACH_MM

CENTER = np.array([0.3, -0.7, 0.11])
RADIUS_MM = 20.0


@pytest.fixture(scope="module")
def sphere() -> Mesh:
    """A ball of triangles, cut four times from an icosahedron: nowhere more than 0.03 mm inside the true sphere."""
    from scipy.spatial import ConvexHull

    golden = (1 + np.sqrt(5)) / 2
    points = np.array([(0, i, j * golden) for i in (-1, 1) for j in (-1, 1)])
    points = np.concatenate([np.roll(points, turn, axis=1) for turn in range(3)])
    for _ in range(4):
        points /= np.linalg.norm(points, axis=1, keepdims=True)
        corners = points[ConvexHull(points).simplices]
        middles = (corners + np.roll(corners, 1, axis=1)).reshape(-1, 3) / 2
        points = np.unique(np.concatenate([points, middles]).round(9), axis=0)
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    triangles = ConvexHull(points).simplices
    corners = points[triangles]
    turned = np.einsum(
        "tx,tx->t", np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), corners[:, 0]
    )
    triangles[turned < 0] = triangles[turned < 0][:, ::-1]
    return Mesh(points * RADIUS_MM + CENTER, triangles)


def radius_at(grid: CubicGrid) -> np.ndarray:
    x, y, z = grid.coordinates()
    return np.sqrt((x - CENTER[0]) ** 2 + (y[:, None] - CENTER[1]) ** 2 + (z[:, None, None] - CENTER[2]) ** 2)


def test_distance_to_a_sphere_is_right_to_a_tenth_of_a_millimetre(sphere: Mesh) -> None:
    grid = CubicGrid.around(np.full(3, -34.0), np.full(3, 34.0), 1.0)
    expected = radius_at(grid) - RADIUS_MM
    error = np.abs(measure_signed_distance(sphere, grid) - expected)
    # Towards the centre of a sphere all its surface is equally near: the hardest place, and of no use to an image.
    assert error[(expected > -6) & (expected < REACH_MM - 0.5)].max() < 0.1
    assert error[np.abs(expected) < 3].mean() < 0.03


def test_beyond_its_reach_distance_is_clipped_with_the_right_sign(sphere: Mesh) -> None:
    grid = CubicGrid.around(np.full(3, -40.0), np.full(3, 40.0), 2.0)
    distance = measure_signed_distance(sphere, grid)
    assert np.all(distance[radius_at(grid) > RADIUS_MM + 14] == REACH_MM)
    assert np.all(distance[radius_at(grid) < RADIUS_MM - 14] < -10)


def test_a_part_of_the_grid_gets_what_the_whole_grid_would(sphere: Mesh) -> None:
    grid = CubicGrid.around(np.full(3, -34.0), np.full(3, 34.0), 1.0)
    found = grid.part(np.array([-5.0, -40.0, 6.0]), np.array([40.0, 8.0, 30.0]))
    assert found is not None
    part, where = found
    whole = measure_signed_distance(sphere, grid)[where]
    near = np.abs(whole) < 3.5
    np.testing.assert_allclose(measure_signed_distance(sphere, part)[near], whole[near], atol=1e-4)


def test_an_open_end_is_inside_but_no_surface(sphere: Mesh) -> None:
    grid = CubicGrid.around(np.full(3, -24.0), np.full(3, 24.0), 1.0)
    upper = sphere.vertices[sphere.triangles].mean(axis=1)[:, 2] > 12
    distance = measure_signed_distance(sphere, grid, upper)
    inside = radius_at(grid) < RADIUS_MM - 1.5
    assert np.all(distance[inside] < 0)
    top = np.unravel_index(
        np.argmin(np.abs(radius_at(grid) - RADIUS_MM) + 1000 * (grid.coordinates()[2] < 19)[:, None, None]), grid.shape
    )
    assert abs(distance[top]) > 5


def test_feet_on_triangles_agree_with_dense_sampling() -> None:
    random = np.random.default_rng(3)
    triangle = random.uniform(-5, 5, (3, 3))
    points = random.uniform(-10, 10, (50, 3))
    feet = find_nearest_on_triangles(points, np.repeat(triangle[None], 50, axis=0))
    dense, _ = sample_surface(Mesh(triangle, np.array([[0, 1, 2]])), 0.05)
    sampled = np.linalg.norm(points[:, None] - dense, axis=2).min(axis=1)
    exact = np.linalg.norm(points - feet, axis=1)
    assert np.all(exact <= sampled + 1e-9)
    np.testing.assert_allclose(exact, sampled, atol=0.05)


@pytest.mark.parametrize("overlap_mm", [-1.0, 0.0, 2.0])
def test_bones_that_come_too_near_are_drawn_back_alike(overlap_mm: float) -> None:
    # Two half spaces facing each other: planes x = 10 and x = 10 - overlap.
    grid = CubicGrid((0.0, 0.0, 0.0), 0.5, (4, 4, 41))
    x = np.broadcast_to(grid.coordinates()[0], grid.shape).astype(np.float32)
    fields = BoneFields(grid)
    fields.add(x - 10, 1)
    fields.add(10 - overlap_mm - x, 2)
    bones = fields.join(3.0)
    distance, numbers = bones.distance_mm, bones.numbers
    middle = 10 - overlap_mm / 2
    expected = np.abs(x - middle) * -1 + 1.5
    np.testing.assert_allclose(distance, np.minimum(expected, REACH_MM), atol=1e-5)
    assert set(np.unique(numbers[distance < 0])) == {1, 2}
    assert np.all(numbers[x < middle] == 1)


def test_bones_far_enough_apart_stay_as_they_are(sphere: Mesh) -> None:
    grid = CubicGrid.around(np.full(3, -34.0), np.full(3, 34.0), 2.0)
    alone = measure_signed_distance(sphere, grid)
    fields = BoneFields(grid)
    fields.add(alone, 1)
    np.testing.assert_allclose(fields.join(3.0).distance_mm, alone)
