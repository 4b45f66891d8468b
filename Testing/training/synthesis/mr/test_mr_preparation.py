"""From label maps and shape models to prepared knees: files, displacement fields, correspondence of bones."""

from dataclasses import fields, replace

import numpy as np
import pytest

from KneeSegLib.errors import InputError
from KneeSegLib.training.synthesis.cubic_grid import CubicGrid
from KneeSegLib.training.synthesis.meshes import Mesh, rotation, transform_points
from KneeSegLib.training.synthesis.mr.anatomy_file import MrSubject, MrTemplate
from KneeSegLib.training.synthesis.mr.displacement import (
    fit_unfolded_displacement,
    measure_least_volume_change,
    sample_displacement,
)
from KneeSegLib.training.synthesis.mr.knee_maps import KNEE_MAPS
from KneeSegLib.training.synthesis.mr.label_maps import list_bone_labels, read_knee
from KneeSegLib.training.synthesis.mr.matching import extract_surface, find_similarity
from KneeSegLib.training.synthesis.mr.prepare import list_cases
from KneeSegLib.training.synthesis.mr.settings import Variation
from KneeSegLib.training.synthesis.mr.surroundings import measure_hull_distance
from KneeSegLib.training.synthesis.mr.variation import reduce_variation
from KneeSegLib.training.synthesis.packing import pack_field, sum_differences, take_differences, unpack_field
from Testing.phantoms.mr_knees import cylinder_knee_subject, cylinder_knee_template

GRID = CubicGrid((-40.0, -40.0, -40.0), 4.0, (21, 21, 21))


def test_a_template_and_a_subject_are_read_as_they_were_written(tmp_path):
    template, subject = cylinder_knee_template(), cylinder_knee_subject(step_mm=3.0)
    for written, kind in ((template, MrTemplate), (subject, MrSubject)):
        read = kind.load(written.save(tmp_path))
        for entry in fields(kind):
            first, second = getattr(written, entry.name), getattr(read, entry.name)
            if isinstance(first, np.ndarray):
                assert first.dtype == second.dtype and np.array_equal(first, second), entry.name
            elif entry.name != "vertices":
                assert first == second, entry.name


def test_a_damaged_file_is_named(tmp_path):
    path = cylinder_knee_subject().save(tmp_path)
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(InputError, match="prepare it again"):
        MrSubject.load(path)


def test_fields_that_do_not_fit_are_named():
    template = cylinder_knee_template()
    with pytest.raises(InputError, match="cavity is"):
        replace(template, cavity=template.cavity[1:]).check()


def test_packing_undoes_itself_for_signed_bytes_and_words():
    random = np.random.default_rng(0)
    for kind in (np.int8, np.int16):
        limits = np.iinfo(kind)
        field = random.integers(limits.min, limits.max, (3, 4, 5), kind)
        new = take_differences(field)
        assert np.array_equal(sum_differences(unpack_field(pack_field(new), new.shape, new.dtype.type), kind), field)


def test_a_turn_of_all_points_is_found_everywhere():
    points = np.random.default_rng(0).uniform(-30, 30, (400, 3))
    turn = rotation(np.array([0.0, 0.0, 1.0]), 8.0)
    field = fit_unfolded_displacement(points, transform_points(turn, points) - points, GRID)
    corner = np.array([[3.0, 17.0, 10.0]])
    place = corner * GRID.spacing_mm + GRID.origin_mm
    assert sample_displacement(field, corner)[0] == pytest.approx((transform_points(turn, place) - place)[0], abs=0.4)
    assert measure_least_volume_change(field, GRID.spacing_mm) == pytest.approx(1.0, abs=0.1)


def test_two_sheets_that_come_close_do_not_fold_the_space_between():
    """Sheets 8 mm apart come to 2 mm: one linear field between them would squeeze, and a wider one would fold."""
    plane = np.stack(np.meshgrid(np.arange(-36, 37, 3.0), np.arange(-36, 37, 3.0)), axis=-1).reshape(-1, 2)
    sheets = [np.column_stack([plane, np.full(len(plane), z)]) for z in (-1.0, 1.0)]
    steps = [np.tile([0.0, 0.0, 3.0 * sign], (len(plane), 1)) for sign in (-1, 1)]
    slid = [step + np.array([6.0 * sign, 0.0, 0.0]) for step, sign in zip(steps, (-1, 1))]
    field = fit_unfolded_displacement(np.concatenate(sheets), np.concatenate(slid), GRID)
    assert measure_least_volume_change(field, GRID.spacing_mm) > 0.0
    assert measure_least_volume_change(-3.0 * field, GRID.spacing_mm) < 0.0


def test_similarity_recovers_turn_shift_and_growth():
    points = np.random.default_rng(0).normal(0, 20, (50, 3))
    wanted = rotation(np.array([1.0, 2.0, 3.0]), 30.0)
    wanted[:3, :3] *= 1.2
    wanted[:3, 3] = (4.0, -5.0, 6.0)
    assert find_similarity(points, transform_points(wanted, points)) == pytest.approx(wanted, abs=1e-9)
    rigid = find_similarity(points, transform_points(wanted, points), scaled=False)
    assert np.linalg.det(rigid[:3, :3]) == pytest.approx(1.0)


def test_the_surface_of_a_ball_is_closed_and_faces_outward():
    grid = CubicGrid((-20.0, -20.0, -20.0), 1.0, (41, 41, 41))
    x, y, z = grid.coordinates()
    ball = np.sqrt(x**2 + y[:, None] ** 2 + z[:, None, None] ** 2) - 12.0
    mesh: Mesh = extract_surface(ball.astype(np.float32), grid, step=1)
    assert np.linalg.norm(mesh.vertices, axis=1) == pytest.approx(np.full(len(mesh.vertices), 12.0), abs=0.1)
    assert (np.einsum("nx,nx->n", mesh.normals(), mesh.vertices) > 0).all()


def test_the_hull_bridges_gaps_and_not_open_air():
    filled = np.zeros((10, 40, 40), bool)
    filled[:, 10:30, 10:14] = filled[:, 10:30, 20:24] = True
    distance = measure_hull_distance(filled, 2.0)
    assert distance[5, 20, 17] == 0.0
    assert distance[5, 20, 34] == pytest.approx(2.0 * 11, abs=0.1)


def test_a_variation_is_reduced_towards_the_map():
    reduced = reduce_variation(Variation(), 0.0)
    assert reduced.size == (1.0, 1.0) and reduced.flexion == (0.0, 0.0) and reduced.shape == 0.0


def test_subjects_of_both_templates_are_in_every_group_and_the_maps_own_are_trained_on():
    for group in ("train", "validation", "test"):
        subjects = {name.subject for name in list_cases(group)}
        assert {subject.split("-")[0] for subject in subjects} == set(KNEE_MAPS)
        assert bool(subjects & set(KNEE_MAPS)) == (group == "train")
    assert len({name.file_name for name in list_cases()}) == len(list_cases())


def test_a_label_map_is_read_as_a_right_knee_on_its_plateau(shared_data):
    knee_map = KNEE_MAPS["spl"]
    knee = read_knee(knee_map, shared_data)
    grid = CubicGrid((-62.0, -70.0, -50.0), 4.0, (24, 34, 32))
    labels = list_bone_labels(knee_map)
    x, _, z = grid.coordinates()
    middles = {}
    for bone in ("femur", "tibia", "fibula"):
        inside = np.argwhere(knee.measure_distance(labels[bone], grid) < 0)
        middles[bone] = x[inside[:, 2]].mean(), z[inside[:, 0]].mean()
    assert middles["femur"][1] > 0 > middles["tibia"][1]
    assert middles["fibula"][0] < middles["tibia"][0] - 15.0
    assert knee.shown_mm[0] < -30.0 and knee.shown_mm[1] > 60.0
