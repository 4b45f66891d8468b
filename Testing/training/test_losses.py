"""Losses on voxels whose loss is known."""

import math

import pytest
import torch

from KneeSegLib.training.losses import compute_dice_loss, compute_loss, merge_sides
from KneeSegLib.training.recipe import Losses
from KneeSegLib.training.samples import SoftLabels


def logits_of(probability: torch.Tensor) -> torch.Tensor:
    """Probabilities ``(C, ...)`` as logits of one sample."""
    return probability.clamp(min=1e-9).log()[None]


def labels_of(classes: torch.Tensor, occupancy: torch.Tensor, weight: torch.Tensor | None = None) -> SoftLabels:
    """Labels of voxels of which the rest is background."""
    weight = torch.ones_like(occupancy) if weight is None else weight
    return SoftLabels(classes, occupancy, weight, torch.zeros_like(classes))


def test_cross_entropy_of_a_half_filled_voxel_is_least_where_the_prediction_is_half():
    labels = labels_of(torch.ones(1, 1, 1), torch.full((1, 1, 1), 0.5))
    values = {}
    for p in (0.3, 0.5, 0.7):
        logits = logits_of(torch.tensor([1 - p, p]).reshape(2, 1, 1))
        values[p] = compute_loss(logits, labels, Losses()).item()
    assert values[0.5] == pytest.approx(math.log(2.0), abs=1e-5)
    assert values[0.5] < values[0.3] and values[0.5] < values[0.7]


def test_dice_loss_is_zero_for_a_perfect_prediction_and_one_for_a_disjoint_one():
    classes = torch.tensor([[[1, 1, 0, 0]]])
    labels = labels_of(classes, (classes > 0).float())
    right = torch.stack([1 - labels.occupancy[0], labels.occupancy[0]])
    losses = Losses(cross_entropy=0.0, dice=1.0)
    assert compute_loss(logits_of(right), labels, losses).item() == pytest.approx(0.0, abs=1e-4)
    assert compute_loss(logits_of(right.flip(0)), labels, losses).item() == pytest.approx(1.0, abs=1e-4)


def test_denominator_of_dice_is_squared():
    """Milletari's Dice of a prediction p on a structure of n whole voxels is 2 n p / (n p^2 + n); unsquared it would be
    2 p / (p + 1)."""
    classes = torch.ones(1, 1, 4)
    prediction = torch.tensor([[0.75] * 4, [0.25] * 4]).reshape(2, 1, 4)
    loss = compute_loss(
        logits_of(prediction), labels_of(classes, torch.ones(1, 1, 4)), Losses(cross_entropy=0.0, dice=1.0)
    )
    assert loss.item() == pytest.approx(1.0 - 2.0 * 0.25 / (0.25**2 + 1.0), abs=1e-6)


def test_dice_counts_soft_labels_and_the_weights_of_voxels_over_the_whole_batch():
    classes, filled = torch.tensor([[[1, 1]], [[1, 1]]]), torch.tensor([[[1.0, 0.5]], [[1.0, 0.0]]])
    weight = torch.tensor([[[1.0, 2.0]], [[0.0, 1.0]]])
    bone = torch.tensor([[[0.8, 0.4]], [[0.6, 0.2]]])
    logits = torch.stack([1.0 - bone, bone], dim=1).log()
    truth, predicted = filled * weight, bone * weight
    expected = 1.0 - 2.0 * (truth * predicted).sum() / ((truth**2).sum() + (predicted**2).sum())
    loss = compute_loss(logits, labels_of(classes, filled, weight), Losses(cross_entropy=0.0, dice=1.0))
    assert loss.item() == pytest.approx(float(expected), abs=1e-6)


def test_dice_is_the_mean_over_the_structures_in_the_batch_without_background():
    truth = torch.zeros(1, 4, 1, 2)
    truth[0, 1, 0, 0] = truth[0, 2, 0, 1] = 1.0
    predicted = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 0.5], [0.0, 0.5]]).reshape(1, 4, 1, 2)
    expected = 1.0 - (1.0 + 2.0 * 0.5 / (0.25 + 1.0)) / 2.0  # the third structure is nowhere and does not count
    assert compute_dice_loss(predicted, truth).item() == pytest.approx(expected, abs=1e-6)
    nothing = torch.zeros(1, 4, 1, 2)
    nothing[:, 0] = 1.0
    assert compute_dice_loss(predicted, nothing).item() == 0.0


def test_voxels_without_weight_do_not_count():
    labels = labels_of(torch.tensor([[[1, 1]]]), torch.ones(1, 1, 2), torch.tensor([[[1.0, 0.0]]]))
    logits = logits_of(torch.tensor([[0.2, 0.9], [0.8, 0.1]]).reshape(2, 1, 2))
    assert compute_loss(logits, labels, Losses()).item() == pytest.approx(-math.log(0.8), abs=1e-5)


def test_the_distance_weighted_term_counts_the_boundary_alone():
    classes = torch.tensor([[[1, 1, 0]]])
    losses = Losses(cross_entropy=0.0, distance_weighted=1.0)
    logits = logits_of(torch.tensor([[0.5, 0.1, 0.5], [0.5, 0.9, 0.5]]).reshape(2, 1, 3))
    without_edge = compute_loss(logits, labels_of(classes, torch.tensor([[[1.0, 1.0, 0.0]]])), losses)
    with_edge = compute_loss(logits, labels_of(classes, torch.tensor([[[0.5, 1.0, 0.0]]])), losses)
    assert without_edge.item() == 0.0
    assert with_edge.item() == pytest.approx(math.log(2.0), abs=1e-5)


def test_bone_and_side_are_asked_apart():
    """0.6 for the right and 0.3 for the left femur: the bone is known to 0.9, its side to two thirds."""
    merged = merge_sides(("none", "femur_right", "femur_left"))
    assert merged.tolist() == [0, 1, 1]
    labels = labels_of(torch.ones(1, 1, 1), torch.ones(1, 1, 1))
    logits = logits_of(torch.tensor([0.1, 0.6, 0.3]).reshape(3, 1, 1))
    bone = compute_loss(logits, labels, Losses(), merged)
    side = compute_loss(logits, labels, Losses(cross_entropy=0.0, side=1.0), merged)
    assert bone.item() == pytest.approx(-math.log(0.9), abs=1e-5)
    assert side.item() == pytest.approx(-math.log(2 / 3), abs=1e-5)


def test_names_without_sides_are_not_merged():
    assert merge_sides(("background", "femur", "tibia")) is None
