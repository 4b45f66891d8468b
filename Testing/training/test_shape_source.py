"""Crops with landmarks, and the training of a network that names shapes."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from KneeSegLib.inference.mr.crops import SPACING_MM, crop_centre
from KneeSegLib.networks.shape_regressor import INPUT_SIZE
from KneeSegLib.synthesis.mr.landmarks import onto_surface
from KneeSegLib.synthesis.mr.landmarks_file import LANDMARK_BONES, Landmarks
from KneeSegLib.synthesis.mr.person import random_lattice, read_knees
from KneeSegLib.synthesis.mr.render import MrSynthesis
from KneeSegLib.training.export import export_bundle
from KneeSegLib.training.loop import Training
from KneeSegLib.training.recipe import ShapeFit, read_recipe
from KneeSegLib.training.shape_source import ShapeSource, places_of
from Testing.phantoms.mr_knees import cylinder_knee_person, cylinder_knee_template

POINTS = 60
CLEAN = ShapeFit("femur", 3, surface_mm=(0.0, 0.0), hole_probability=0.0, cut_probability=0.0, thick_probability=0.0)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory) -> Path:
    """Cylinder knees of both groups, with landmarks on the side of each bone and three modes of invented variation."""
    folder = tmp_path_factory.mktemp("prepared_mr")
    template = cylinder_knee_template()
    template.save(folder)
    for group in ("train", "validation"):
        cylinder_knee_person(group).save(folder)
    random = np.random.default_rng(0)
    points, modes = {}, {}
    for bone, heights in (("femur", (6.0, 30.0)), ("tibia", (-30.0, -6.0))):
        angle, z = random.uniform(0, 2 * np.pi, POINTS), random.uniform(*heights, POINTS)
        ring = np.stack([24 * np.cos(angle), 24 * np.sin(angle), z], axis=1)
        places = onto_surface(ring, template).astype(np.float32)
        points[bone] = {template.name: places}
        components = np.linalg.qr(random.normal(size=(3 * POINTS, 3)))[0].T.reshape(3, POINTS, 3)
        modes[bone] = (places - places.mean(axis=0), components, np.array([9.0, 4.0, 1.0]))
    Landmarks(points, modes).save(folder)
    return folder


def recipe(**changes):
    return replace(read_recipe("mr-shape-femur"), shape=CLEAN, widths=(2, 2, 2, 2, 2), batch=2, pool=4, **changes)


def test_landmarks_are_read_as_they_were_written(prepared):
    landmarks = Landmarks.load(prepared)
    assert set(landmarks.points) == set(LANDMARK_BONES)
    mean, components, variances = landmarks.modes["tibia"]
    assert mean.shape == (POINTS, 3) and components.shape == (3, POINTS, 3) and variances.tolist() == [9.0, 4.0, 1.0]


def test_landmarks_lie_on_the_surface_that_the_crop_shows(prepared):
    source = ShapeSource.of_folder(recipe(), prepared, "train")
    for seed in range(3):
        samples = source.render((INPUT_SIZE,) * 3, torch.Generator().manual_seed(seed))
        grid = samples.landmarks_mm[0] / ((INPUT_SIZE - 1) / 2 * SPACING_MM)
        share = torch.nn.functional.grid_sample(samples.inputs[:, :1], grid[None, None, None], align_corners=True)
        assert share.mean() == pytest.approx(0.5, abs=0.1)
        assert share.std() < 0.25


def test_places_of_a_warped_slab_are_found_again():
    shape, warp = [60, 64, 68], MrSynthesis().warp
    lattice = random_lattice(shape, (SPACING_MM,) * 3, torch.zeros(3), warp, torch.Generator().manual_seed(4))
    node = (5, 9, 7)
    person = lattice[node][None]
    steps = [index * (size - 1) / (count - 1) for index, size, count in zip(node, shape, lattice.shape)]
    x, z, y = ((step - (size - 1) / 2) * SPACING_MM for step, size in zip(steps, shape))
    assert places_of(person, lattice, shape)[0].tolist() == pytest.approx([x, y, z], abs=0.05)


@pytest.mark.parametrize("bone, upward", [("femur", 1), ("tibia", -1)])
def test_a_crop_hangs_from_the_end_at_the_knee(bone, upward):
    shaft = torch.stack([torch.linspace(5, 9, 50), torch.zeros(50), upward * torch.linspace(0, 140, 50)], dim=1)
    centre = crop_centre(shaft, bone)
    assert centre[2] == pytest.approx(upward * 45.0)
    assert centre[0] == pytest.approx(5.9, abs=0.2)  # of the part near the knee alone


def test_a_shape_network_trains_saves_and_ships_with_its_model(tmp_path, prepared):
    small = recipe(steps=2, validate_every=2)
    training = Training(small, prepared, tmp_path / "run")
    training.run(report=lambda line: None)
    figures = (tmp_path / "run" / "log.csv").read_text().splitlines()
    assert figures[0] == "step,loss,seconds,landmark_mm" and float(figures[-1].split(",")[-1]) > 0
    bundle = export_bundle(small, tmp_path / "run", prepared, tmp_path / "mr-shape-femur")
    assert bundle.facts["shape_model"]["variances_mm2"] == [9.0, 4.0, 1.0]
    assert bundle.network().modes == 3
    assert len(read_knees(prepared, "train")) == 1
    again = export_bundle(small, tmp_path / "run", prepared, tmp_path / "again" / "mr-shape-femur", start=bundle.path)
    before, after = bundle.network().state_dict(), again.network().state_dict()
    assert all(torch.allclose(before[name], after[name], atol=1e-3) for name in before)  # the mean of a run and itself
    assert "mean" in again.facts["recipe"]["started_from"]
