"""Objectives on predictions that are right, and wrong by a known amount."""

import math
from dataclasses import replace

import pytest
import torch

from KneeSegLib.networks import ShapeLayer
from KneeSegLib.training.objectives import BoneObjective, LabelObjective, LandmarkObjective, choose_objective
from KneeSegLib.training.recipe_files import read_recipe
from KneeSegLib.training.samples import Samples, SoftLabels
from KneeSegLib.training.shape_source import ShapeSamples
from Testing.phantoms.mr_landmarks import cylinder_modes, landmarks

CPU = torch.device("cpu")


@pytest.fixture
def folder(tmp_path):
    landmarks().save(tmp_path)
    return tmp_path


def shape_recipe(modes: int = 3, bone: str = "femur"):
    return read_recipe(f"mr-shape-{bone}", shape={"bone": bone, "modes": modes})


def lying_at(points: torch.Tensor) -> ShapeSamples:
    return ShapeSamples(torch.zeros(len(points), 2, 1, 1, 1), points, torch.ones(len(points), 3))


def test_the_kind_of_a_recipe_decides_what_is_measured(folder):
    assert isinstance(choose_objective(shape_recipe(), folder, CPU), LandmarkObjective)
    assert isinstance(choose_objective(read_recipe("mr-knee-slices"), folder, CPU), LabelObjective)
    assert isinstance(choose_objective(read_recipe("ct-knee"), folder, CPU), LabelObjective)
    assert isinstance(choose_objective(read_recipe("mr-low-field"), folder, CPU), BoneObjective)


def test_an_edge_that_labels_do_not_tell_teaches_nothing_and_is_not_measured():
    objective = BoneObjective(read_recipe("mr-low-field", losses={"cross_entropy": 1.0, "dice": 1.0}))
    truth = torch.zeros(2, 2, 4, 4, 4)
    truth[:, 0, :2] = 1.0
    weight, unused = torch.ones(2, 4, 4, 4), torch.zeros(2, 4, 4, 4, dtype=torch.uint8)
    labelled = torch.tensor([[True, False]] * 2)
    samples = Samples(torch.zeros(2, 1, 4, 4, 4), SoftLabels(unused, truth, weight, unused, labelled))
    right = ((truth - 0.5) * 40.0).requires_grad_()
    prediction = torch.where(labelled[:, :, None, None, None], right, 3.0 + right)
    loss = objective.compute_loss(prediction, samples)
    loss.backward()
    assert float(loss) < 1e-3 and float(right.grad[:, 1].abs().max()) == 0.0
    figures = objective.measure([(prediction.detach(), samples)])
    assert figures["dice_marrow"] == 1.0 and math.isnan(figures["dice_cortex"]) and objective.score(figures) == 1.0


@pytest.mark.parametrize("modes", [1, 3])
def test_right_parameters_lose_nothing(folder, modes):
    objective = LandmarkObjective(shape_recipe(modes), folder, CPU)
    mean, components, variances = cylinder_modes("femur")
    layer = ShapeLayer(mean, components[:modes], variances[:modes])
    prediction = torch.randn(2, modes + 9, generator=torch.Generator().manual_seed(0))
    samples = lying_at(layer(prediction))
    assert float(objective.compute_loss(prediction, samples)) == pytest.approx(0.0, abs=1e-6)
    assert objective.measure([(prediction, samples)])["landmark_mm"] == pytest.approx(0.0, abs=1e-4)


def test_landmarks_that_lie_beside_cost_the_square_and_measure_the_distance(folder):
    objective = LandmarkObjective(shape_recipe(bone="tibia"), folder, CPU)
    mean = torch.from_numpy(cylinder_modes("tibia")[0]).float()
    prediction = torch.zeros(1, 3 + 9)
    predicted = [
        (prediction, lying_at((mean + torch.tensor([3.0, 0.0, 4.0]))[None])),
        (prediction, lying_at(mean[None])),
    ]
    assert float(objective.compute_loss(*predicted[0])) == pytest.approx(25.0, rel=1e-4)
    assert objective.measure(predicted)["landmark_mm"] == pytest.approx(2.5, rel=1e-4)
    assert tuple(objective.figures) == ("landmark_mm",)


def test_landmarks_of_two_shapes_are_measured_in_mm_of_a_stretched_box(folder):
    recipe = read_recipe("mr-shape-femur", shape={"bone": "both", "modes": 3, "input": "signal"})
    objective = LandmarkObjective(recipe, folder, CPU)
    means = torch.cat([torch.from_numpy(cylinder_modes(bone)[0]).float() for bone in ("femur", "tibia")])
    scale = torch.tensor([[2.0, 0.5, 1.0]])
    samples = replace(lying_at((means * scale + torch.tensor([3.0, 0.0, 4.0]))[None]), scale=scale)
    prediction = torch.zeros(1, 2 * (3 + 9))
    assert float(objective.compute_loss(prediction, samples)) == pytest.approx(25.0, rel=1e-4)
    prediction[0, [3, 3 + 12]] = 1.5  # both move by 1.5 nominal mm to the left, which is 3 mm
    assert objective.measure([(prediction, samples)])["landmark_mm"] == pytest.approx(4.0, rel=1e-4)


def label_samples(classes: torch.Tensor, occupancy: float, rest: int) -> Samples:
    full = torch.full(classes.shape, occupancy)
    labels = SoftLabels(classes, full, torch.ones(classes.shape), torch.full_like(classes, rest))
    return Samples(torch.zeros(len(classes), 1, *classes.shape[1:]), labels)


def test_labels_that_are_right_have_a_dice_of_one_and_absent_ones_none():
    recipe = read_recipe("mr-knee-slices")
    objective = LabelObjective(recipe)
    classes = torch.zeros(2, 8, 8, dtype=torch.uint8)
    classes[:, 2:5] = recipe.classes.index("femur")
    prediction = torch.nn.functional.one_hot(classes.long(), len(recipe.classes)).movedim(-1, 1).float() * 20.0
    figures = objective.measure([(prediction, label_samples(classes, 1.0, 0))])
    assert figures["dice_femur"] == figures["dice_background"] == 1.0
    assert torch.isnan(torch.tensor(figures["dice_tibia"]))


def test_the_second_class_of_a_voxel_counts_where_it_has_the_greater_fraction():
    recipe = read_recipe("mr-knee-slices")
    classes = torch.full((1, 4, 4), recipe.classes.index("femur"), dtype=torch.uint8)
    tibia = recipe.classes.index("tibia")
    prediction = torch.zeros(1, len(recipe.classes), 4, 4)
    prediction[:, tibia] = 9.0
    figures = LabelObjective(recipe).measure([(prediction, label_samples(classes, 0.3, tibia))])
    assert figures["dice_tibia"] == 1.0


def bone_samples(marrow: float, cortex: float) -> Samples:
    """Two cubes whose first halves are bone to these fractions, and whose last halves are none."""
    truth = torch.zeros(2, 2, 4, 4, 4)
    truth[:, 0, :2], truth[:, 1, :2] = marrow, cortex
    unused = torch.zeros(2, 4, 4, 4, dtype=torch.uint8)
    return Samples(torch.zeros(2, 1, 4, 4, 4), SoftLabels(unused, truth, torch.ones(2, 4, 4, 4), unused))


def test_bone_loses_nothing_where_it_is_right_and_each_edge_is_measured_by_itself(folder):
    objective = BoneObjective(read_recipe("mr-low-field"))
    samples = bone_samples(1.0, 1.0)
    right = (samples.labels.occupancy - 0.5) * 60.0
    assert float(objective.compute_loss(right, samples)) == pytest.approx(0.0, abs=1e-4)
    assert objective.measure([(right, samples)]) == {"dice_marrow": 1.0, "dice_cortex": 1.0}
    wrong = right.clone()
    wrong[:, 1] *= -1.0
    assert objective.measure([(wrong, samples)]) == {"dice_marrow": 1.0, "dice_cortex": 0.0}
    assert float(objective.compute_loss(wrong, samples)) > 10.0


def test_bone_that_fills_half_a_voxel_is_best_called_even(folder):
    objective = BoneObjective(read_recipe("mr-low-field", losses={"cross_entropy": 1.0}))
    samples = bone_samples(0.5, 0.5)
    losses = []
    for level in (-1.0, 0.0, 1.0):
        logits = torch.full((2, 2, 4, 4, 4), -30.0)
        logits[:, :, :2] = level
        losses.append(float(objective.compute_loss(logits, samples)))
    assert losses[1] < losses[0] and losses[1] < losses[2]
