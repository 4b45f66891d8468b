"""Components and quality figures of families whose modes are known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from KneeSegLib.training.shape_models.alignment import align_all
from KneeSegLib.training.shape_models.components import count_kept, decompose
from KneeSegLib.training.shape_models.correspondence import measure_correspondence_error
from KneeSegLib.training.shape_models.quality import measure_compactness, measure_generalisation, measure_specificity
from Testing.phantoms.bones import Pebble, sphere

POINTS, CASES = 60, 12
RANDOM = np.random.default_rng(5)
MEAN = RANDOM.normal(0, 20, (POINTS, 3))
MODES = np.linalg.qr(RANDOM.normal(size=(3 * POINTS, 2)))[0].T.reshape(2, POINTS, 3)


def family(deviations_mm: tuple[float, float], cases: int = CASES) -> np.ndarray:
    """Shapes (N, P, 3) with exactly two uncorrelated modes of these standard deviations."""
    weights = np.random.default_rng(6).normal(size=(cases, 2))
    weights = np.linalg.qr(weights - weights.mean(axis=0))[0] * np.sqrt(cases - 1)
    return MEAN + np.tensordot(weights * deviations_mm, MODES, 1)


def test_known_modes_are_found_with_their_variances():
    mean, components, variances = decompose(family((30.0, 10.0)))
    np.testing.assert_allclose(mean, MEAN, atol=1e-9)
    np.testing.assert_allclose(variances[:2], (900.0, 100.0))
    np.testing.assert_allclose(variances[2:], 0, atol=1e-9)
    for found, known in zip(components, MODES):
        assert abs(np.sum(found * known)) == pytest.approx(1.0)


def test_components_have_the_same_sign_every_time():
    shapes = family((30.0, 10.0))
    first, second = (decompose(cases)[1][:2] for cases in (shapes, shapes[::-1]))
    np.testing.assert_allclose(first, second, atol=1e-9)


def test_two_modes_are_worth_keeping_where_there_are_two():
    _, _, variances = decompose(family((30.0, 10.0)))
    assert count_kept(variances) == 2
    np.testing.assert_allclose(measure_compactness(variances)[:2], (0.9, 1.0))


def test_a_case_is_explained_by_the_others_once_their_modes_are_used():
    """One mode of two leaves the other one: about its mean deviation, 0.8 SD, over the root of the points."""
    errors = measure_generalisation(family((6.0, 2.0)))
    assert len(errors) == CASES - 2
    assert errors[1] < 0.05
    assert 0.7 < errors[0] / (2.0 * 0.8 / np.sqrt(POINTS)) < 1.5
    assert (np.diff(errors) < 1e-9).all()


def test_shapes_of_one_person_are_left_out_together():
    """Everybody differs in a way of their own; a person seen twice would be known by heart from the other time."""
    people = MEAN + np.random.default_rng(7).normal(0.0, 2.0, (6, POINTS, 3))
    twice = np.repeat(people, 2, axis=0)
    once = measure_generalisation(people)
    by_heart, left_out = (measure_generalisation(twice, count)[len(once)] for count in (1, 2))
    assert by_heart < 0.1 * once[-1]
    assert left_out == pytest.approx(once[-1], rel=0.02)


def test_generalisation_does_not_depend_on_where_cases_lie():
    shapes = family((30.0, 10.0), 5)
    turned = np.stack([Rotation.random(rng=RANDOM).apply(shape) + 50 * number for number, shape in enumerate(shapes)])
    np.testing.assert_allclose(measure_generalisation(turned), measure_generalisation(shapes), atol=1e-3)


def test_specificity_is_the_distance_to_the_nearest_case():
    shapes = align_all(family((30.0, 10.0)))
    mean, components, variances = decompose(shapes)
    fast = measure_specificity(shapes, components[:3], variances[:3], np.random.default_rng(1))
    samples = np.random.default_rng(1).standard_normal((200, 3)) * np.sqrt(variances[:3])
    drawn = mean + np.tensordot(samples[:, :2], components[:2], 1)
    distances = np.sqrt(((drawn[:, None] - shapes) ** 2).sum(axis=(2, 3)) / POINTS)
    assert fast[1] == pytest.approx(distances.min(axis=1).mean(), rel=1e-6)


def test_known_correspondence_has_no_error_and_a_shift_has_its_own():
    mesh = sphere(20)
    cases = np.stack([Pebble(length, lean).placed(mesh.vertices) for length, lean in ((0, 0), (2, 1), (-3, 2))])
    corners = cases[:, mesh.triangles[::7]]
    points = np.einsum("c,npcx->npx", (0.2, 0.3, 0.5), corners)
    exact = measure_correspondence_error(points, cases, 0, mesh.triangles)
    assert exact.mean_mm < 1e-3
    shifted = points.copy()
    shifted[1:] += (0.0, 0.0, 1.5)
    error = measure_correspondence_error(shifted, cases, 0, mesh.triangles)
    assert error.mean_mm == pytest.approx(1.5, abs=1e-3)
    assert error.percentile_95_mm == pytest.approx(1.5, abs=1e-3)
    assert 0 < error.across_mm < 1.5 and 0 < error.along_mm < 1.5
