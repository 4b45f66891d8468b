import math

import pytest
import torch

from KneeSegLib.training.losses import merged_sides, total_loss
from KneeSegLib.training.recipe import Losses


def logits_of(probability: torch.Tensor) -> torch.Tensor:
    """Probabilities ``(C, ...)`` as logits of one sample."""
    return probability.clamp(min=1e-9).log()[None]


def test_cross_entropy_of_a_half_filled_voxel_is_least_where_the_network_says_half():
    classes, half, weight = torch.ones(1, 1, 1), torch.full((1, 1, 1), 0.5), torch.ones(1, 1, 1)
    values = {}
    for p in (0.3, 0.5, 0.7):
        logits = logits_of(torch.tensor([1 - p, p]).reshape(2, 1, 1))
        values[p] = total_loss(logits, classes, half, weight, Losses()).item()
    assert values[0.5] == pytest.approx(math.log(2.0), abs=1e-5)
    assert values[0.5] < values[0.3] and values[0.5] < values[0.7]


def test_dice_loss_is_zero_for_a_perfect_answer_and_one_for_a_disjoint_one():
    classes = torch.tensor([[[1, 1, 0, 0]]])
    filled = (classes > 0).float()
    weight = torch.ones_like(filled)
    right = torch.stack([1 - filled[0], filled[0]])
    losses = Losses(cross_entropy=0.0, dice=1.0)
    assert total_loss(logits_of(right), classes, filled, weight, losses).item() == pytest.approx(0.0, abs=1e-4)
    assert total_loss(logits_of(right.flip(0)), classes, filled, weight, losses).item() == pytest.approx(1.0, abs=1e-4)


def test_voxels_without_weight_do_not_count():
    classes, filled = torch.tensor([[[1, 1]]]), torch.ones(1, 1, 2)
    weight = torch.tensor([[[1.0, 0.0]]])
    logits = logits_of(torch.tensor([[0.2, 0.9], [0.8, 0.1]]).reshape(2, 1, 2))
    assert total_loss(logits, classes, filled, weight, Losses()).item() == pytest.approx(-math.log(0.8), abs=1e-5)


def test_the_distance_weighted_term_counts_the_boundary_alone():
    classes = torch.tensor([[[1, 1, 0]]])
    weight = torch.ones(1, 1, 3)
    losses = Losses(cross_entropy=0.0, distance_weighted=1.0)
    logits = logits_of(torch.tensor([[0.5, 0.1, 0.5], [0.5, 0.9, 0.5]]).reshape(2, 1, 3))
    without_edge = total_loss(logits, classes, torch.tensor([[[1.0, 1.0, 0.0]]]), weight, losses)
    with_edge = total_loss(logits, classes, torch.tensor([[[0.5, 1.0, 0.0]]]), weight, losses)
    assert without_edge.item() == 0.0
    assert with_edge.item() == pytest.approx(math.log(2.0), abs=1e-5)


def test_bone_and_side_are_asked_apart():
    """0.6 for the right and 0.3 for the left femur: the bone is known to 0.9, its side to two thirds."""
    merged = merged_sides(("none", "femur_right", "femur_left"))
    assert merged.tolist() == [0, 1, 1]
    classes, filled, weight = torch.ones(1, 1, 1), torch.ones(1, 1, 1), torch.ones(1, 1, 1)
    logits = logits_of(torch.tensor([0.1, 0.6, 0.3]).reshape(3, 1, 1))
    bone = total_loss(logits, classes, filled, weight, Losses(), merged)
    side = total_loss(logits, classes, filled, weight, Losses(cross_entropy=0.0, side=1.0), merged)
    assert bone.item() == pytest.approx(-math.log(0.9), abs=1e-5)
    assert side.item() == pytest.approx(-math.log(2 / 3), abs=1e-5)


def test_names_without_sides_are_not_merged():
    assert merged_sides(("background", "femur", "tibia")) is None
