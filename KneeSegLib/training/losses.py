"""Losses against soft labels: a voxel that a bone fills to 40 % is 40 % bone.

Where channels come in right and left pairs, the loss first asks which bone it is (the pair's summed probability) and
then, with a weight of its own, which side: uncertainty about the one is none about the other.

Dice is MONAI's. Cross-entropy is ours: MONAI's and PyTorch's take a weight for each class, not one for each voxel of
soft labels.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from monai.losses.dice import DiceLoss

from KneeSegLib.training.recipe import Losses
from KneeSegLib.training.samples import SoftLabels

NOWHERE = -1e4
"""Logarithm of a probability that is none, finite so that nothing becomes NaN."""


def compute_loss(
    logits: torch.Tensor, labels: SoftLabels, losses: Losses, merged: torch.Tensor | None = None
) -> torch.Tensor:
    """Return the recipe's weighted sum of losses, a scalar.

    Args:
        logits: ``(N, C, ...)``.
        labels: ``(N, ...)`` each.
        merged: ``(C,)`` channel after right and left have been merged (:func:`merge_sides`), or None.
    """
    log_probability = torch.log_softmax(logits, dim=1)
    if labels.labelled is not None:
        log_probability = give_to_background(log_probability, labels.labelled)
    index, rest = labels.classes.long().unsqueeze(1), labels.rest.long().unsqueeze(1)
    weight, occupancy = labels.weight, labels.occupancy
    total = logits.sum() * 0.0
    if merged is not None:
        own = log_probability.gather(1, index).squeeze(1)
        merged = merged.to(index.device)
        log_probability, index, rest = _merge(log_probability, merged), merged[index], merged[rest]
        either = log_probability.gather(1, index).squeeze(1)
        total = total + losses.side * _average(either - own, weight * occupancy)
    own = log_probability.gather(1, index).squeeze(1)
    other = log_probability.gather(1, rest).squeeze(1)
    cross_entropy = -(occupancy * own + (1.0 - occupancy) * other)
    total = total + losses.cross_entropy * _average(cross_entropy, weight)
    if losses.distance_weighted:
        # A voxel that a boundary crosses is neither empty nor full.
        edge = 4.0 * occupancy * (1.0 - occupancy)
        total = total + losses.distance_weighted * _average(cross_entropy, weight * edge)
    if losses.dice:
        truth = torch.zeros_like(log_probability).scatter_(1, index, (occupancy * weight).unsqueeze(1))
        truth = truth.scatter_add(1, rest, ((1.0 - occupancy) * weight).unsqueeze(1))
        total = total + losses.dice * compute_dice_loss(log_probability.exp() * weight.unsqueeze(1), truth)
    return total


def compute_dice_loss(predicted: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """Return 1 - mean Dice over the structures that are in the batch (Milletari et al. 2016, squared denominator).

    Args:
        predicted: ``(N, C, ...)`` probabilities, background first, times the voxels' weights.
        truth: fractions of the same shape, times the same weights.
    """
    present = truth.sum([0, *range(2, truth.ndim)]) > 0
    present[0] = False
    if not bool(present.any()):
        return predicted.sum() * 0.0
    dice_loss = DiceLoss(squared_pred=True, batch=True, smooth_nr=0.0, smooth_dr=0.0)
    return dice_loss(predicted[:, present], truth[:, present])


def weigh_boundary(distance_mm: torch.Tensor, gain: float, reach_mm: float) -> torch.Tensor:
    """Return weights of voxels by their distance ``d`` to the nearest boundary.

    They are ``1 + gain * exp(-d^2 / (2 reach_mm^2))``: cross-entropy with this weight is cross-entropy plus a
    distance-weighted one. The formula is ours: the paper whose first stage it serves does not give its own.
    """
    return 1.0 + gain * torch.exp(-(distance_mm**2) / (2.0 * reach_mm**2))


def merge_sides(names: Sequence[str]) -> torch.Tensor | None:
    """Map channels to channels without sides; None if no name ends in ``_right`` or ``_left``."""
    plain = [name.removesuffix("_right").removesuffix("_left") for name in names]
    if plain == list(names):
        return None
    kept = list(dict.fromkeys(plain))
    return torch.tensor([kept.index(name) for name in plain])


def merge_unlabelled(found: torch.Tensor, labelled: torch.Tensor | None) -> torch.Tensor:
    """Return predicted channels ``(N, ...)`` with those that a sample's labels do not tell as background."""
    if labelled is None:
        return found
    told = labelled.gather(1, found.flatten(1)).reshape(found.shape)
    return torch.where(told, found, torch.zeros_like(found))


def give_to_background(log_probability: torch.Tensor, labelled: torch.Tensor) -> torch.Tensor:
    """Sum what the labels do not tell apart: where no patella was drawn, background may be one.

    Args:
        log_probability: ``(N, C, ...)``.
        labelled: ``(N, C)``.
    """
    told = labelled.reshape(*labelled.shape, *(1,) * (log_probability.ndim - 2))
    told_only = log_probability.masked_fill(~told, NOWHERE)
    untold = log_probability.masked_fill(told, NOWHERE)
    background = torch.cat([told_only[:, :1], untold], dim=1).logsumexp(dim=1, keepdim=True)
    return torch.cat([background, told_only[:, 1:]], dim=1)


def _merge(log_probability: torch.Tensor, merged: torch.Tensor) -> torch.Tensor:
    groups = [torch.nonzero(merged == group)[:, 0].tolist() for group in range(int(merged.max()) + 1)]
    return torch.stack([log_probability[:, group].logsumexp(dim=1) for group in groups], dim=1)


def _average(values: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    return (values * weight).sum() / weight.sum().clamp(min=1.0)
