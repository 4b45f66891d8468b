"""Points on the bones of templates and subjects: they lie on the surface, and they correspond."""

import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch

from KneeSegLib.errors import InputError
from KneeSegLib.shape.model_file import read_shape_models
from KneeSegLib.training.synthesis.mr.displacement import sample_displacement
from KneeSegLib.training.synthesis.mr.landmarks import (
    SHAPES_NAME,
    carry_back,
    measure_bone_distance,
    prepare_landmarks,
    project_onto_surface,
    spread_points,
)
from KneeSegLib.training.synthesis.mr.landmarks_file import FILE_NAME, LANDMARK_BONES, Landmarks
from KneeSegLib.training.synthesis.mr.settings import STEPS_GRID
from KneeSegLib.training.synthesis.mr.subjects import PreparedKnee, TemplateTensors
from Testing.phantoms.mr_knees import SHAFT_RADIUS_MM, cylinder_knee_template
from Testing.phantoms.mr_landmarks import END_MM, broader_subject, cylinder_landmarks, landmarks, tall_template

COUNT = 150
SHIFT_MM = 5.0
FACTORS = (0.85, 0.95, 1.0, 1.1)


@pytest.fixture(scope="module")
def templates():
    return [tall_template(), tall_template("others", SHIFT_MM)]


@pytest.fixture(scope="module")
def tibia(templates):
    return spread_points(templates, "tibia", COUNT)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    folder = tmp_path_factory.mktemp("landmarks")
    template = tall_template()
    template.save(folder)
    for number, factor in enumerate(FACTORS):
        broader_subject(f"cylinders-{number}", factor).save(folder)
    return folder, prepare_landmarks([template], folder, per_subject=0)


def test_a_distance_is_that_to_the_cylinder():
    points = np.array([[26.0, 0.0, 20.0], [0.0, -20.0, -20.0], [0.0, 0.0, 5.0]])
    expected = [26.0 - SHAFT_RADIUS_MM, 20.0 - SHAFT_RADIUS_MM, END_MM["femur"] - 5.0]
    assert measure_bone_distance(points, cylinder_knee_template()) == pytest.approx(expected, abs=0.1)


def test_points_beside_the_surface_are_moved_onto_it_and_hardly_along_it():
    points = cylinder_landmarks("femur").astype(float)
    side = points[np.hypot(points[:, 0], points[:, 1]) > SHAFT_RADIUS_MM - 1.0]
    away = side * [1.08, 1.08, 1.0]  # 1.9 mm outside
    found = project_onto_surface(away, cylinder_knee_template())
    assert np.hypot(found[:, 0], found[:, 1]) == pytest.approx(SHAFT_RADIUS_MM, abs=0.1)
    assert np.median(np.linalg.norm(found - side, axis=1)) < 0.1


def test_points_are_spread_over_the_surface_of_the_bone(tibia, templates):
    for template in templates:
        assert tibia.points[template.name].shape == (COUNT, 3)
        assert np.abs(measure_bone_distance(tibia.points[template.name], template)).max() < 0.2
    side = tibia.points["cylinders"][:, 2] < -8.0
    assert np.hypot(*tibia.points["cylinders"][side, :2].T) == pytest.approx(SHAFT_RADIUS_MM, abs=0.2)


def test_points_of_two_templates_correspond(tibia):
    steps = tibia.points["others"] - tibia.points["cylinders"]
    assert steps[:, 0] == pytest.approx(SHIFT_MM, abs=0.6)
    assert np.abs(steps[:, 1:]).max() < 0.6


def test_cartilage_is_carried_on_the_plateau_and_nowhere_else(tibia):
    points = tibia.points["cylinders"]
    top = (points[:, 2] > END_MM["tibia"] - 0.3) & (np.hypot(points[:, 0], points[:, 1]) < SHAFT_RADIUS_MM - 2.0)
    assert top.any() and (tibia.cartilage[top] == 1.0).all()
    assert (tibia.cartilage[points[:, 2] < -8.0] == 0.0).all()


def test_carrying_back_undoes_a_displacement():
    x, y, z = STEPS_GRID.coordinates()
    bend = 4.0 * np.sin(x / 25.0) + 0.0 * y[:, None] + 0.0 * z[:, None, None]
    field = np.stack([bend, 0.5 * bend, -bend]).astype(np.float32)
    points = np.random.default_rng(0).uniform(-50.0, 50.0, (200, 3))
    reached = points + sample_displacement(field, (points - np.array(STEPS_GRID.origin_mm)) / STEPS_GRID.spacing_mm)
    assert carry_back(field, reached) == pytest.approx(points, abs=0.01)


@pytest.mark.parametrize("factor", FACTORS)
def test_points_carried_to_a_broader_subject_are_broader(factor):
    subject = PreparedKnee(broader_subject("one", factor), TemplateTensors(cylinder_knee_template()))
    points = cylinder_landmarks("tibia")
    carried = subject.carry_points(torch.from_numpy(points)).numpy()
    assert carried == pytest.approx(points * [factor, 1.0, 1.0], abs=0.1)


def test_models_of_the_training_subjects_are_written_beside_their_landmarks(prepared):
    folder, models = prepared
    stored, read = Landmarks.load(folder), read_shape_models(folder / SHAPES_NAME)
    assert set(models) == set(LANDMARK_BONES) == set(read)
    for bone, model in models.items():
        mean, components, variances = stored.modes[bone]
        assert mean == pytest.approx(model.mean, abs=1e-4) and variances == pytest.approx(model.variances, rel=1e-4)
        assert components == pytest.approx(model.components, abs=1e-5)
        assert variances == pytest.approx(read[bone].variances, rel=1e-4)
        assert stored.points[bone]["cylinders"].shape == model.mean.shape
        assert model.provenance.cases == len(FACTORS)


def test_a_model_of_broader_and_slimmer_subjects_has_that_one_mode(prepared):
    _, models = prepared
    for model in models.values():
        assert model.variances[0] / model.variances.sum() > 0.95
        widths = [np.ptp(model.shape([weight])[:, 0]) / np.ptp(model.shape([weight])[:, 1]) for weight in (-1.0, 1.0)]
        assert max(widths) / min(widths) > 1.1


def test_with_too_few_subjects_no_landmarks_are_written(tmp_path):
    template = tall_template()
    template.save(tmp_path)
    for number in range(2):
        broader_subject(f"cylinders-{number}", 1.0 + 0.1 * number).save(tmp_path)
    assert prepare_landmarks([template], tmp_path) == {}
    assert not (tmp_path / FILE_NAME).exists()


def test_landmarks_are_read_as_they_were_written(tmp_path):
    written = landmarks()
    written.save(tmp_path)
    read = Landmarks.load(tmp_path)
    for bone in LANDMARK_BONES:
        assert np.array_equal(read.points[bone]["cylinders"], written.points[bone]["cylinders"])
        for first, second in zip(read.modes[bone], written.modes[bone]):
            assert first == pytest.approx(second, rel=1e-6)


def test_templates_with_an_underline_in_their_name_keep_it(tmp_path):
    written = landmarks()
    points = {bone: {"knee_a_b": of_bone["cylinders"]} for bone, of_bone in written.points.items()}
    replace(written, points=points).save(tmp_path)
    assert set(Landmarks.load(tmp_path).points["femur"]) == {"knee_a_b"}


@pytest.mark.parametrize("damage", ["missing", "cut", "other"])
def test_a_folder_without_landmarks_is_named(tmp_path, damage):
    if damage != "missing":
        path = landmarks().save(tmp_path)
        path.write_bytes(path.read_bytes()[:400] if damage == "cut" else b"no numbers")
    with pytest.raises(InputError, match="holds no landmarks of prepared knees.*synthesize --prepare --joint mr-knee"):
        Landmarks.load(tmp_path)


def test_several_bent_shapes_of_each_subject_make_a_richer_model(prepared, tmp_path):
    folder, as_they_are = prepared
    for path in folder.glob("*.npz"):
        shutil.copy(path, tmp_path)
    first, again, other = (
        prepare_landmarks([tall_template()], tmp_path, per_subject=3, seed=seed) for seed in (1, 1, 2)
    )
    for bone in LANDMARK_BONES:
        assert first[bone].provenance.cases == len(FACTORS)
        assert len(first[bone].variances) > 2 * len(as_they_are[bone].variances)
        assert first[bone].variances == pytest.approx(again[bone].variances)
        assert first[bone].variances != pytest.approx(other[bone].variances, rel=1e-3)
        quality, of_unbent = first[bone].quality, as_they_are[bone].quality
        assert quality is not None and of_unbent is not None
        assert quality.generalisation_mm[-1] > of_unbent.generalisation_mm[0]
