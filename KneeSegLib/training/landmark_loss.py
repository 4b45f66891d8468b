"""The loss of shape fitting."""

from __future__ import annotations

import torch


def compute_landmark_loss(predicted_mm: torch.Tensor, true_mm: torch.Tensor) -> torch.Tensor:
    """Return the mean squared distance of landmarks in mm², over all landmarks of the batch; both ``(N, P, 3)``.

    J. Schock, M. Kopaczka et al., ShapeMI 2020, section 3.4: MSE between predicted and true coordinates. A distance has
    three coordinates, so this is three times their mean square.
    """
    return (predicted_mm - true_mm).square().sum(dim=-1).mean()
