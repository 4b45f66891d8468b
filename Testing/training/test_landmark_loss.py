"""The loss of shape fitting."""

from __future__ import annotations

import pytest
import torch

from KneeSegLib.training.landmark_loss import compute_landmark_loss


def test_the_loss_is_the_mean_squared_distance_of_landmarks():
    truth = torch.zeros(2, 5, 3)
    predicted = truth + torch.tensor([3.0, 0.0, 4.0])
    assert compute_landmark_loss(predicted, truth).item() == pytest.approx(25.0)
    assert compute_landmark_loss(truth, truth).item() == 0.0
    predicted[0] = 0
    assert compute_landmark_loss(predicted, truth).item() == pytest.approx(12.5)
