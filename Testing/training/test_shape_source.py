"""Crops of bones and the landmarks on them: both are the same anatomy, whatever the warp."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.ndimage import map_coordinates

from KneeSegLib.mr.crops import crop_centre
from KneeSegLib.mr.optimisation import distance_at
from KneeSegLib.mr.settings import END_TO_CENTRE_MM, SPACING_MM, UPWARD
from KneeSegLib.networks.shape_regressor import INPUT_SIZE
from KneeSegLib.training.export import Interpolation, export_bundle
from KneeSegLib.training.initialisation import build_network
from KneeSegLib.training.recipe import ShapeFit
from KneeSegLib.training.recipe_files import read_recipe
from KneeSegLib.training.shape_source import ShapeSamples, ShapeSource
from KneeSegLib.training.synthesis.mr.lattice import draw_lattice, locate_points
from KneeSegLib.training.synthesis.mr.render import reduce_warp
from KneeSegLib.training.synthesis.mr.scene import Slab
from KneeSegLib.training.synthesis.mr.settings import MrSynthesis
from KneeSegLib.training.synthesis.settings import Warp
from Testing.networks.plain_networks import by_old_names, plain_network
from Testing.phantoms.mr_images import NO_WARP
from Testing.phantoms.mr_knees import cylinder_knee
from Testing.phantoms.mr_landmarks import landmarks, prepared_folder

UNDEGRADED = {"surface_mm": (0.0, 0.0), "hole_probability": 0.0, "cut_probability": 0.0, "thick_probability": 0.0}
CUBE = (INPUT_SIZE,) * 3
MILD = Warp((-6.0, 6.0), (-8.0, 8.0), (0.95, 1.05), (0.97, 1.03), (0.0, 1.5), (0.0, 0.0))


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def source(bone: str = "femur", warp: Warp = MILD, step_mm: float = 0.0, **fit) -> ShapeSource:
    recipe = read_recipe(f"mr-shape-{bone}")
    shape = replace(ShapeFit(bone=bone, modes=3), **{**UNDEGRADED, **fit})
    recipe = replace(recipe, shape=shape, synthesis=replace(MrSynthesis(), warp=warp, gentle_probability=0.0))
    return ShapeSource(recipe, [cylinder_knee(step_mm)], landmarks())


@pytest.fixture(scope="module")
def prepared(tmp_path_factory) -> Path:
    return prepared_folder(tmp_path_factory.mktemp("prepared"))


def bone_at(samples: ShapeSamples, channel: int = 0) -> np.ndarray:
    """How much bone there is at the landmarks."""
    return distance_at(samples.inputs[0, channel], samples.landmarks_mm[0]).numpy()


@pytest.mark.parametrize(("bone", "seed"), [("femur", 0), ("femur", 1), ("tibia", 2)])
def test_landmarks_lie_on_the_surface_of_the_bone_in_the_crop(bone, seed):
    samples = source(bone).render(CUBE, seeded(seed))
    assert samples.inputs.shape == (1, 2, *CUBE)
    bone_there = bone_at(samples)
    # Across the surface the probability falls by one within a voxel.
    assert np.abs(bone_there - 0.5).mean() * SPACING_MM < 0.2
    assert np.abs(bone_there - 0.5).max() < 0.5


@pytest.mark.parametrize("group", ["train", "validation"])
def test_landmarks_lie_on_the_people_of_a_folder_in_the_recipes_own_warps(prepared, group):
    own = read_recipe("mr-shape-femur", shape={"bone": "femur", "modes": 3, **UNDEGRADED})
    from_folder = ShapeSource.of_folder(own, prepared, group)
    assert [person.group for person in from_folder.subjects] == [group]
    for seed in range(2):
        bone_there = bone_at(from_folder.render(CUBE, seeded(seed)))
        assert np.abs(bone_there - 0.5).mean() * SPACING_MM < 0.2
        assert np.abs(bone_there - 0.5).max() < 0.5


def test_landmarks_follow_a_person_who_stands_elsewhere():
    assert np.abs(bone_at(source(step_mm=6.0).render(CUBE, seeded(3))) - 0.5).mean() * SPACING_MM < 0.2


def test_the_crop_hangs_from_the_landmarks_as_in_inference():
    for bone in ("femur", "tibia"):
        samples = source(bone, NO_WARP, off_centre_mm=0.0).render(CUBE, seeded())
        assert crop_centre(samples.landmarks_mm[0], bone).abs().max() < 0.6 * SPACING_MM + 0.01
        heights = UPWARD[bone] * samples.landmarks_mm[0, :, 2]
        assert float(heights.min()) == pytest.approx(-END_TO_CENTRE_MM, abs=0.7 * SPACING_MM)


def test_the_crop_may_hang_off_centre_by_as_much_as_the_recipe_says():
    samples = [source("femur", NO_WARP, off_centre_mm=8.0).render(CUBE, seeded(seed)) for seed in range(3)]
    off = torch.stack([crop_centre(s.landmarks_mm[0], "femur") for s in samples]).abs()
    assert 3.0 < float(off.max()) < 8.0 + SPACING_MM


def test_the_second_channel_is_the_other_bones():
    own, others = source("tibia", NO_WARP, off_centre_mm=0.0).render(CUBE, seeded()).inputs[0]
    middle = INPUT_SIZE // 2
    above, below = (
        int(middle + (END_TO_CENTRE_MM + 8.0) / SPACING_MM),
        int(middle + (END_TO_CENTRE_MM - 8.0) / SPACING_MM),
    )
    assert own[below, middle, middle] > 0.9 and others[below, middle, middle] < 0.1
    assert others[above, middle, middle] > 0.9 and own[above, middle, middle] < 0.1
    assert float((own + others).max()) <= 1.0 + 1e-5


def test_a_wrong_surface_is_wrong_by_as_much_as_asked():
    clean = source(warp=NO_WARP).render(CUBE, seeded(1))
    wrong = source(warp=NO_WARP, surface_mm=(1.0, 1.0)).render(CUBE, seeded(1))
    assert torch.equal(clean.landmarks_mm, wrong.landmarks_mm)
    assert 0.25 < np.abs(bone_at(wrong) - 0.5).mean() < 0.5
    assert np.abs(bone_at(clean) - 0.5).mean() < 0.15


@pytest.mark.parametrize(("bone", "shaft"), [("femur", -1), ("tibia", 0)])
def test_a_field_of_view_cuts_off_the_shaft_and_never_the_joint(bone, shaft):
    clean = source(bone).render(CUBE, seeded(4)).inputs[0]
    cut = source(bone, cut_probability=1.0).render(CUBE, seeded(4)).inputs[0]
    assert bool(((cut == clean) | (cut == 0.0)).all())
    assert float(clean[0, shaft].max()) == 1.0 and float(cut[:, shaft].max()) == 0.0
    at_joint = slice(10, 20) if bone == "femur" else slice(-20, -10)
    assert float(cut[0, at_joint].max()) == 1.0


def test_a_hole_is_missing_from_the_bone_alone():
    clean = source().render(CUBE, seeded(5)).inputs[0]
    holed = source(hole_probability=1.0, hole_mm=(8.0, 8.0)).render(CUBE, seeded(5)).inputs[0]
    assert torch.equal(clean[1], holed[1])
    missing = (clean[0] - holed[0]).sum() * SPACING_MM**3
    ball = 4.0 / 3.0 * np.pi * 8.0**3
    assert 0.2 * ball < float(missing) < 1.1 * ball


def test_thick_slices_blur_from_side_to_side_only():
    clean = source(warp=NO_WARP).render(CUBE, seeded(6)).inputs[0, 0]
    thick = source(warp=NO_WARP, thick_probability=1.0, thick_mm=(4.0, 4.0)).render(CUBE, seeded(6)).inputs[0, 0]

    def steepest(crop: torch.Tensor, axis: int) -> float:
        return float(crop.diff(dim=axis).abs().max())

    assert steepest(thick, 2) < 0.7 * steepest(clean, 2)
    assert steepest(thick, 0) == pytest.approx(steepest(clean, 0), abs=0.05)


def test_the_same_seed_gives_the_same_crop_and_another_one_does_not():
    first, again, other = (source().render(CUBE, seeded(seed)) for seed in (7, 7, 8))
    assert torch.equal(first.inputs, again.inputs) and torch.equal(first.landmarks_mm, again.landmarks_mm)
    assert not torch.equal(first.landmarks_mm, other.landmarks_mm)


def test_samples_can_be_taken_apart_and_put_together():
    samples = ShapeSamples(torch.rand(3, 2, 4, 4, 4).half().float(), torch.rand(3, 5, 3), torch.rand(3, 3))
    together = ShapeSamples.join(list(samples.split()))
    assert torch.equal(together.inputs, samples.inputs) and torch.equal(together.landmarks_mm, samples.landmarks_mm)
    assert torch.equal(together.scale, samples.scale)


@pytest.mark.parametrize("seed", range(4))
def test_places_undo_a_warp(seed):
    shape, spacing = (112, 96, 104), (SPACING_MM,) * 3
    last = np.array(shape) - 1
    slab = Slab(shape, spacing, (3.0, -5.0, 8.0))
    lattice = draw_lattice(slab, MrSynthesis().warp, seeded(seed))
    voxels = np.random.default_rng(seed).uniform(8.0, last - 8.0, (300, 3))  # slices, rows, columns
    nodes = voxels * (np.array(lattice.shape[:3]) - 1) / last
    reached = np.stack([map_coordinates(lattice[..., axis].numpy(), nodes.T, order=1) for axis in range(3)], axis=1)
    found = locate_points(torch.from_numpy(reached).float(), lattice, slab).numpy()
    slices, rows, columns = ((voxels - last / 2.0) * SPACING_MM).T
    assert np.abs(found - np.stack([slices, columns, rows], axis=1)).max() < 0.05


def test_beyond_the_slab_places_go_on_as_the_affine_part_does():
    slab = Slab((40, 40, 40), (SPACING_MM,) * 3)
    turned = replace(reduce_warp(NO_WARP), turn_degrees=(20.0, 20.0), scale=(1.1, 1.1))
    lattice = draw_lattice(slab, turned, seeded())
    points = torch.tensor([[60.0, -10.0, 5.0], [0.0, 45.0, -50.0]])
    places = locate_points(points, lattice, slab)
    assert places.norm(dim=1).tolist() == pytest.approx((1.1 * points.norm(dim=1)).tolist(), rel=1e-3)


@pytest.mark.parametrize("weight", [0.5, 0.3])
def test_a_bundle_may_ship_what_lies_between_a_training_and_its_start(prepared, tmp_path, weight):
    small = read_recipe("mr-shape-femur", shape={"bone": "femur", "modes": 3}, widths=[2, 2, 2, 2, 2])

    def trained(name: str, seed: int) -> Path:
        torch.manual_seed(seed)
        folder = tmp_path / name
        folder.mkdir()
        average = build_network(small).state_dict()
        if name == "run":  # a checkpoint of before, with the old names
            average = by_old_names(average, plain_network(**small.network_config))
        torch.save({"average": average, "step": 2}, folder / "checkpoint.pt")
        return folder

    start = export_bundle(small, trained("start", 0), prepared, tmp_path / "start" / "mr-shape-femur")
    alone = export_bundle(small, trained("run", 1), prepared, tmp_path / "run" / "mr-shape-femur")
    folder = tmp_path / "between" / "mr-shape-femur"
    between = export_bundle(small, tmp_path / "run", prepared, folder, interpolation=Interpolation(start.path, weight))
    assert between.facts["recipe"]["started_from"].endswith(f"{1.0 - weight:g} of it and {weight:g} of this run")
    assert "of this run" not in alone.facts["recipe"]["started_from"]
    first, second, found = (bundle.network().state_dict() for bundle in (start, alone, between))
    assert any(not torch.allclose(first[name], second[name], atol=1e-2) for name in first)
    for name, tensor in found.items():
        assert torch.allclose(tensor, (1.0 - weight) * first[name] + weight * second[name], atol=2e-3), name
