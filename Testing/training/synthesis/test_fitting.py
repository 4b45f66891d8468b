"""Registration: a known motion, a known subject."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.spatial import KDTree

from KneeSegLib.training.synthesis.fitting import Surface, align_surfaces, fit_subject
from KneeSegLib.training.synthesis.limb_model import read_limb_model
from KneeSegLib.training.synthesis.meshes import rotation, scaling, transform_points, translation


def test_a_known_similarity_is_found_again(shared_data: Path) -> None:
    patella = read_limb_model(shared_data).mesh("patella", np.zeros(26))
    patella = patella.transform(translation(-patella.vertices.mean(axis=0)))
    motion = translation(np.array([8.0, -5, 3])) @ rotation(np.array([1.0, 2, 0.5]), 17) @ scaling(1.08, np.zeros(3))
    starts = [rotation(np.array([1.0, 0, 0]), angle) for angle in (-20, 0, 20)]
    found = align_surfaces(patella, patella.transform(motion), starts)
    errors = np.linalg.norm(
        transform_points(found.transform, patella.vertices) - transform_points(motion, patella.vertices), axis=1
    )
    assert errors.max() < 0.2
    assert found.residual_mm < 0.2


def test_a_piece_of_a_subject_determines_the_rest_of_the_bone(shared_data: Path) -> None:
    model = read_limb_model(shared_data)
    truth = np.zeros(model.size)
    truth[:4] = (0.8, -1.0, 0.5, 0.7)
    tibia = model.mesh("tibia", truth)
    home = translation(-tibia.vertices[tibia.vertices[:, 2] < tibia.vertices[:, 2].min() + 80].mean(axis=0))
    scanned = Surface.of(tibia.transform(home))
    piece = scanned.near(np.zeros(3), np.array([0.0, 0, -1]), 60.0)
    assert len(piece.points) < 0.5 * len(scanned.points)
    coefficients, fit = fit_subject(model, {"tibia": piece}, home, np.zeros(model.size))
    fitted = transform_points(fit.transform, model.vertices("tibia", coefficients))
    assert fit.residual_mm < 0.4
    near = scanned.points[:, 2] < 60
    distance, _ = Surface.of(tibia.transform(home)).tree.query(fitted[near])
    assert np.quantile(distance, 0.95) < 1.5
    assert np.all(np.abs(coefficients) <= 2)


@pytest.mark.parametrize("reach_mm", [5.0, 12.0])
def test_the_part_near_a_cut_reaches_as_far_as_asked(reach_mm: float) -> None:
    points = np.random.default_rng(0).uniform(0, 40, (300, 3))
    surface = Surface(points, np.zeros_like(points), KDTree(points))
    near = surface.near(np.array([0, 0, 40.0]), np.array([0, 0, 1.0]), reach_mm)
    assert near.points[:, 2].min() > 40 - reach_mm
    assert len(near.points) == np.count_nonzero(points[:, 2] > 40 - reach_mm)
