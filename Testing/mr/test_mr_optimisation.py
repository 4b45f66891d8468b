"""Shapes are optimised on surfaces whose place and direction are known."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from scipy.spatial import ConvexHull, Delaunay, cKDTree

from KneeSegLib.geometry.mesh import point_normals
from KneeSegLib.mr.optimisation import (
    TargetSurface,
    distance_at,
    measure_surface_distance,
    optimise_shape,
    weigh_edges,
)
from KneeSegLib.mr.settings import FARTHEST_MM, OPTIMISATION, SPACING_MM, ShapeOptimisation
from KneeSegLib.networks import ShapeLayer
from KneeSegLib.networks.shape_regressor import INPUT_SIZE
from Testing.phantoms.mr_images import MODES, shipped_models

EVERYWHERE = (np.full(3, -1e3), np.full(3, 1e3))
MIDDLE_MM = (4.0, -3.0, 2.0)
ALIKE = np.ones((INPUT_SIZE,) * 3, np.float32)
DISTANCE_ALONE = replace(OPTIMISATION, facing=0.0)
HALF_MM = (INPUT_SIZE - 1) / 2.0 * SPACING_MM


@pytest.fixture(scope="module", autouse=True)
def without_gradients():
    """As in the pipeline; settling has to make its own."""
    with torch.inference_mode():
        yield


def places() -> np.ndarray:
    axis = (np.arange(INPUT_SIZE) - (INPUT_SIZE - 1) / 2.0) * SPACING_MM
    z, y, x = np.meshgrid(axis, axis, axis, indexing="ij")
    return np.stack([x, y, z], axis=-1)


def test_the_distance_from_a_ball_is_that_of_its_surface():
    radius = np.linalg.norm(places(), axis=-1)
    distance = measure_surface_distance(radius < 22.0)
    near = np.abs(radius - 22.0) < 6.0
    assert np.abs(distance - (radius - 22.0))[near].mean() < 0.35
    assert distance.max() == FARTHEST_MM and distance.min() == -FARTHEST_MM


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_distances_are_read_at_x_y_z(axis):
    field = torch.from_numpy(places()[..., axis].astype(np.float32).copy())
    points = torch.tensor([[3.2, -7.0, 11.5], [-20.0, 15.0, 4.0]])
    assert distance_at(field, points).tolist() == pytest.approx(points[:, axis].tolist(), abs=1e-3)
    beyond = torch.full((1, 3), 2.0 * HALF_MM)
    assert float(distance_at(field, beyond)) == pytest.approx(HALF_MM)


def test_a_ball_that_is_too_small_and_lies_beside_is_optimised_on_the_surface():
    random = np.random.default_rng(0).normal(size=(300, 3))
    mean = 18.0 * random / np.linalg.norm(random, axis=1, keepdims=True)
    layer = ShapeLayer(mean - mean.mean(axis=0), np.zeros((1, 300, 3)), np.ones(1))
    distance = measure_surface_distance(np.linalg.norm(places() - [4.0, -3.0, 2.0], axis=-1) < 22.0)
    found = optimise_shape(
        layer,
        ConvexHull(mean).simplices,
        np.zeros(10, np.float32),
        TargetSurface(distance, ALIKE, EVERYWHERE),
        DISTANCE_ALONE,
    )
    points = layer(torch.from_numpy(found)[None])[0].numpy()
    radius = np.linalg.norm(points - [4.0, -3.0, 2.0], axis=1)
    assert np.abs(radius - 22.0).mean() < 0.3


def test_landmarks_out_of_view_do_not_pull():
    mean = np.array([[10.0 * (i % 5) - 20.0, 10.0 * (i // 5) - 20.0, 0.0] for i in range(25)])
    layer = ShapeLayer(mean, np.zeros((1, 25, 3)), np.ones(1))
    # The surface is a plane at z = 4 where x is below 5, and at z = -8 beyond.
    x, z = places()[..., 0], places()[..., 2]
    distance = np.clip(np.where(x < 5.0, z - 4.0, z + 8.0), -FARTHEST_MM, FARTHEST_MM).astype(np.float32)
    view = (np.array([-1e3, -1e3, -1e3]), np.array([5.0, 1e3, 1e3]))
    found = optimise_shape(
        layer,
        Delaunay(mean[:, :2]).simplices,
        np.zeros(10, np.float32),
        TargetSurface(distance, ALIKE, view),
        DISTANCE_ALONE,
    )
    points = layer(torch.from_numpy(found)[None])[0].numpy()
    assert points[mean[:, 0] < 5.0, 2] == pytest.approx(4.0, abs=0.2)


def test_an_edge_that_fades_has_less_to_say_than_a_sharp_one():
    x, y, z = np.moveaxis(places(), -1, 0)
    radius = np.sqrt(x**2 + y**2 + z**2)
    softness_mm = np.where(z > 0.0, 0.6, 4.0)
    say = weigh_edges(1.0 / (1.0 + np.exp((radius - 25.0) / softness_mm)))
    assert say.shape == radius.shape and say.dtype == np.float32
    assert say[z > 8.0].min() > 0.4 and say[z < -8.0].max() < 0.15
    assert (weigh_edges(np.zeros((8, 8, 8))) == 1.0).all()


def test_parameters_that_fit_already_stay():
    model = shipped_models()["tibia"]
    layer = ShapeLayer(model.mean, model.components[:MODES], model.variances[:MODES])
    flat, mean = np.zeros((INPUT_SIZE,) * 3, np.float32), np.zeros(MODES + 9, np.float32)
    assert np.array_equal(optimise_shape(layer, model.triangles, mean, TargetSurface(flat, ALIKE, EVERYWHERE)), mean)


@pytest.fixture(scope="module")
def tibia():
    """A tibia that the shipped model can be: the model, the layer, the landmarks and the distance from them."""
    model = shipped_models()["tibia"]
    layer = ShapeLayer(model.mean, model.components, model.variances)
    true = np.zeros(layer.parameters_per_shape, np.float32)
    true[:12], true[-9:-6] = np.random.default_rng(3).normal(size=12), MIDDLE_MM
    landmarks = layer(torch.from_numpy(true)[None])[0].numpy()
    return model, layer, landmarks, distance_from(landmarks, model.triangles)


def off_mm(tibia, distance: np.ndarray, weight: np.ndarray, settings: ShapeOptimisation) -> float:
    """Mean distance of landmarks from their places after they were optimised from the mean shape there."""
    model, layer, landmarks, _ = tibia
    start = np.zeros(layer.parameters_per_shape, np.float32)
    start[-9:-6] = MIDDLE_MM
    found = optimise_shape(layer, model.triangles, start, TargetSurface(distance, weight, EVERYWHERE), settings)
    points = layer(torch.from_numpy(found)[None])[0].numpy()
    return float(np.linalg.norm(points - landmarks, axis=1).mean())


def test_landmarks_lie_nearer_to_their_places_where_the_shape_has_to_face_the_right_way(tibia):
    """On a surface with an error of half a millimetre."""
    noise = np.random.default_rng(3).normal(size=tibia[-1].shape)
    distance = tibia[-1] + gaussian_filter(noise, 6.0).astype(np.float32) * 20.0
    free, facing = (off_mm(tibia, distance, ALIKE, settings) for settings in (DISTANCE_ALONE, OPTIMISATION))
    assert facing < 0.9 * free and facing < 1.2


def test_where_a_surface_is_not_sure_landmarks_follow_the_rest_of_it(tibia):
    """One side of the bone seems to lie 4 mm further out than it does."""
    wrong = places()[..., 0] > 12.0
    distance = np.where(wrong, tibia[-1] - 4.0, tibia[-1]).clip(-FARTHEST_MM, FARTHEST_MM)
    weight = np.where(wrong, np.float32(OPTIMISATION.least_weight), ALIKE)
    full, weak = (off_mm(tibia, distance, weights, OPTIMISATION) for weights in (ALIKE, weight))
    assert weak < 0.6 * full


def distance_from(points: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """Signed distance over a crop to the planes of the points of a surface, clipped as distances are."""
    normals = point_normals(points, triangles.astype(int))
    where = places().reshape(-1, 3)
    _, nearest = cKDTree(points).query(where)
    to_plane = np.einsum("nc,nc->n", where - points[nearest], normals[nearest])
    return to_plane.reshape(places().shape[:3]).clip(-FARTHEST_MM, FARTHEST_MM).astype(np.float32)
