"""Losses against soft truth: a voxel that a bone fills to 40 % is 40 % bone.

Truth is ``(classes, occupancy, rest)`` of :class:`~KneeSegLib.training.samples.Samples`: the share ``occupancy`` of a
voxel belongs to channel ``classes``, the remainder to channel ``rest``, which is 0 unless structures touch.

Where channels come in right and left pairs, the loss first asks which bone it is (the pair's summed probability) and
then, with a weight of its own, which side: doubt about the one is not doubt about the other.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from KneeSegLib.training.recipe import Losses


def total_loss(
    logits: torch.Tensor,
    classes: torch.Tensor,
    occupancy: torch.Tensor,
    weight: torch.Tensor,
    losses: Losses,
    merged: torch.Tensor | None = None,
    rest: torch.Tensor | None = None,
) -> torch.Tensor:
    """The recipe's weighted sum; ``logits`` ``(N, C, ...)``, the others ``(N, ...)``.

    Args:
        rest: ``(N, ...)`` channel of what is left of each voxel; None for channel 0.
        merged: ``(C,)`` channel after right and left have been merged (:func:`merged_sides`), or None.
    """
    log_probability = torch.log_softmax(logits, dim=1)
    index = classes.long().unsqueeze(1)
    remainder = torch.zeros_like(index) if rest is None else rest.long().unsqueeze(1)
    total = logits.sum() * 0.0
    if merged is not None:
        own = log_probability.gather(1, index).squeeze(1)
        log_probability, index = _merged(log_probability, merged), merged.to(index.device)[index]
        remainder = merged.to(index.device)[remainder]
        either = log_probability.gather(1, index).squeeze(1)
        total = total + losses.side * _mean(either - own, weight * occupancy)
    own = log_probability.gather(1, index).squeeze(1)
    other = log_probability.gather(1, remainder).squeeze(1)
    surprise = -(occupancy * own + (1.0 - occupancy) * other)
    total = total + losses.cross_entropy * _mean(surprise, weight)
    if losses.distance_weighted:
        # A voxel that a boundary crosses is neither empty nor full.
        edge = 4.0 * occupancy * (1.0 - occupancy)
        total = total + losses.distance_weighted * _mean(surprise, weight * edge)
    if losses.dice:
        total = total + losses.dice * soft_dice_loss(log_probability.exp(), index, occupancy, weight, remainder)
    return total


def boundary_weight(distance_mm: torch.Tensor, gain: float, reach_mm: float) -> torch.Tensor:
    """Weight of voxels by their distance ``d`` to the nearest boundary: ``1 + gain * exp(-d^2 / (2 reach_mm^2))``.

    Cross-entropy with this weight is cross-entropy plus a distance-weighted one. The formula is ours: the paper whose
    first stage it serves does not give its own.
    """
    return 1.0 + gain * torch.exp(-(distance_mm**2) / (2.0 * reach_mm**2))


def merged_sides(names: Sequence[str]) -> torch.Tensor | None:
    """Map channels to channels without sides; None if no name ends in ``_right`` or ``_left``."""
    plain = [name.removesuffix("_right").removesuffix("_left") for name in names]
    if plain == list(names):
        return None
    kept = list(dict.fromkeys(plain))
    return torch.tensor([kept.index(name) for name in plain])


def _merged(log_probability: torch.Tensor, merged: torch.Tensor) -> torch.Tensor:
    groups = [torch.nonzero(merged == group)[:, 0].tolist() for group in range(int(merged.max()) + 1)]
    return torch.stack([log_probability[:, group].logsumexp(dim=1) for group in groups], dim=1)


def soft_dice_loss(
    probability: torch.Tensor,
    index: torch.Tensor,
    occupancy: torch.Tensor,
    weight: torch.Tensor,
    remainder: torch.Tensor | None = None,
) -> torch.Tensor:
    """1 - mean Dice over the structures that are in the batch (Milletari et al. 2016, squared denominator).

    ``index`` and ``remainder`` (None for channel 0) are ``(N, 1, ...)`` channels; the other arguments as in
    :func:`total_loss`.
    """
    truth = torch.zeros_like(probability).scatter_(1, index, (occupancy * weight).unsqueeze(1))
    if remainder is not None:
        truth = truth.scatter_add(1, remainder, ((1.0 - occupancy) * weight).unsqueeze(1))
    predicted = probability * weight.unsqueeze(1)
    axes = [0, *range(2, probability.ndim)]
    shared = (truth * predicted).sum(axes)[1:]
    size = (truth * truth).sum(axes)[1:] + (predicted * predicted).sum(axes)[1:]
    present = truth.sum(axes)[1:] > 0
    if not bool(present.any()):
        return probability.sum() * 0.0
    return 1.0 - (2.0 * shared / size.clamp(min=1e-6))[present].mean()


def _mean(values: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    return (values * weight).sum() / weight.sum().clamp(min=1.0)
