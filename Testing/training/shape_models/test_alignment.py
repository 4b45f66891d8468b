"""Procrustes alignment of points."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from KneeSegLib.training.shape_models.alignment import align, align_all, measure_radius

RANDOM = np.random.default_rng(3)
SHAPE = RANDOM.normal(0, 10, (40, 3)) * (1, 2, 3)


def moved(points: np.ndarray, number: int, scale: float = 1.0) -> np.ndarray:
    random = np.random.default_rng(number)
    return scale * Rotation.random(rng=random).apply(points) + random.uniform(-100, 100, 3)


def test_a_similarity_is_undone():
    np.testing.assert_allclose(align(moved(SHAPE, 1, 1.3), SHAPE), SHAPE, atol=1e-9)


def test_no_better_scale_exists():
    noisy = SHAPE + RANDOM.normal(0, 2, SHAPE.shape)
    best = align(noisy, SHAPE)
    center = SHAPE.mean(axis=0)
    error = np.sum((best - SHAPE) ** 2)
    for factor in (0.99, 1.01):
        assert np.sum(((best - center) * factor + center - SHAPE) ** 2) > error


def test_a_mirrored_shape_is_turned_and_not_reflected():
    mirrored = SHAPE * (-1, 1, 1)
    turned = align(mirrored, SHAPE)
    corner = [0, 1, 2, 3]
    orientation = [np.sign(np.linalg.det(np.diff(shape[corner], axis=0))) for shape in (mirrored, turned)]
    assert orientation[0] == orientation[1]


def test_copies_of_one_shape_fall_onto_each_other_with_their_average_size():
    scales = (0.8, 1.0, 1.3)
    shapes = np.stack([moved(SHAPE, number, scale) for number, scale in enumerate(scales)])
    placed = align_all(shapes)
    np.testing.assert_allclose(placed, np.broadcast_to(placed[0], placed.shape), atol=1e-6)
    assert measure_radius(placed[0]) == pytest.approx(measure_radius(SHAPE) * np.mean(scales))
    np.testing.assert_allclose(placed.mean(axis=(0, 1)), 0, atol=1e-9)


def test_the_mean_lies_like_the_shape_that_it_starts_from():
    shapes = np.stack([moved(SHAPE, number) for number in range(4)])
    placed = align_all(shapes, start=2)
    np.testing.assert_allclose(placed[0], shapes[2] - shapes[2].mean(axis=0), atol=1e-6)
