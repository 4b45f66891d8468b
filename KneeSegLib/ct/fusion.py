"""Edges from the slices, semantic labels from the networks that see the whole leg.

Slices predict superbly whether something is bone and poorly which bone it is; the coarse networks are the other way
round. So the probability of bone stays that of the slices, and only how it is divided among the bones is decided
together::

    p(c) = p(bone) * softmax over c of
           [ w_slices * log p_slices(c | bone) + w_semantics * log p_semantics(c) + w_localiser * log p_localiser(c) ]

over the joint's bones and "other" (a bone that is none of them, or of the other leg), whose fraction goes back to the
background; and then once more, with what the rest of the same bone predicts (:mod:`KneeSegLib.ct.propagation`) as a
further vote. Where two legs are in view, "localiser" is the probability that the place belongs to this leg (for
"other": to the other one); with one leg it has no vote.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch

from KneeSegLib.anatomy import BONES, JOINT_BONES, Side
from KneeSegLib.ct.joint_slices import JointProbabilities
from KneeSegLib.ct.localise import CoarseProbabilities
from KneeSegLib.ct.propagation import propagate_fractions
from KneeSegLib.ct.semantics import SemanticProbabilities
from KneeSegLib.ct.settings import (
    COARSE_VOXEL_MM,
    FINE_VOXEL_MM,
    FUSION_BLOCK_SLICES,
    LEAST_BONE,
    WHERE_COARSE,
    FusionWeights,
)
from KneeSegLib.geometry.grid import Box, Grid
from KneeSegLib.geometry.resample import resample_to

Votes = Callable[[torch.Tensor, Grid, torch.Tensor], torch.Tensor]
"""From fractions ``(K, N)`` at some places of a block of slices, that block's grid and the places (flat indices), to
logarithmic votes ``(count, N)``."""


def weights_for(joint: str, scan: Grid) -> FusionWeights:
    """Weights for a joint in a scan with voxels of that size: those of a hip change the more the coarser it is."""
    usual = FusionWeights()
    coarseness = (max(scan.spacing_mm) - FINE_VOXEL_MM) / (COARSE_VOXEL_MM - FINE_VOXEL_MM)
    fraction = min(max(coarseness, 0.0), 1.0)
    coarse = WHERE_COARSE.get(joint, {})
    return replace(
        usual, **{name: (1.0 - fraction) * getattr(usual, name) + fraction * coarse[name] for name in coarse}
    )


def fuse_probabilities(
    joint: JointProbabilities,
    semantics: SemanticProbabilities,
    localiser: CoarseProbabilities | None,
    side: Side,
    weights: FusionWeights,
) -> JointProbabilities:
    """Return the prediction with its bones relabelled: ``(1 + bones, D, H, W)`` float16, background first, summing to
    one.

    Args:
        localiser: where two legs are in view, else None.
    """
    bones = JOINT_BONES[joint.roi.joint]
    vote = _votes_of_networks(joint, semantics, localiser, side, weights)
    bone = 1.0 - joint.values[0].float()
    count = len(bones) + 1
    fractions = _decide_fractions(joint.values[1:], bone, joint.grid, count, vote)
    if weights.propagated:
        propagated, coarse = propagate_fractions(bone, fractions, joint.grid)

        def vote_with_the_rest(own: torch.Tensor, grid: Grid, places: torch.Tensor) -> torch.Tensor:
            rest = _normalise(_sample(propagated, coarse, grid, places))
            return own.clamp(min=1e-6).log() + weights.propagated * _log(rest, weights.propagated_floor)

        fractions = _decide_fractions(fractions, bone, joint.grid, count, vote_with_the_rest)
    values = torch.empty((1 + len(bones), *joint.grid.shape), dtype=torch.float16)
    values[1:] = fractions[:-1] * bone
    values[0] = 1.0 - values[1:].float().sum(dim=0)
    return JointProbabilities(joint.roi, joint.grid, values)


def _votes_of_networks(
    joint: JointProbabilities,
    semantics: SemanticProbabilities,
    localiser: CoarseProbabilities | None,
    side: Side,
    weights: FusionWeights,
) -> Votes:
    """Votes of slices, semantic labels and localiser for the joint's bones and "other"."""
    bones = JOINT_BONES[joint.roi.joint]
    own = semantics.values[[BONES.index(bone) for bone in bones]]
    all_bones = semantics.values.sum(dim=0, keepdim=True)
    foreign = all_bones - own.sum(dim=0, keepdim=True)
    labelled = torch.cat([own, (1.0 - all_bones) + weights.foreign * foreign])
    located = _locate(localiser, side, joint.grid) if localiser is not None else None
    has_other = joint.values.shape[0] > 1 + len(bones)

    def vote(sliced: torch.Tensor, grid: Grid, places: torch.Tensor) -> torch.Tensor:
        fractions = sliced / sliced.sum(dim=0)
        if not has_other:
            fractions = torch.cat([fractions, torch.full_like(fractions[:1], weights.other)])
        votes = weights.slices * _log(fractions, weights.slices_floor)
        votes += weights.semantics * _log(
            _normalise(_sample(labelled, semantics.grid, grid, places)), weights.semantics_floor
        )
        if located is not None:
            this_leg, other_leg = _log(_normalise(_sample(*located, grid, places)), weights.localiser_floor)
            votes += weights.localiser * torch.stack([*([this_leg] * len(bones)), other_leg])
        return votes

    return vote


def _decide_fractions(given: torch.Tensor, bone: torch.Tensor, grid: Grid, count: int, votes_of: Votes) -> torch.Tensor:
    """Fractions ``(count, D, H, W)`` float16 of the labels by a vote where there is bone, zero elsewhere."""
    fractions = torch.zeros((count, *grid.shape), dtype=torch.float16)
    for start in range(0, grid.z.count, FUSION_BLOCK_SLICES):
        stop = min(start + FUSION_BLOCK_SLICES, grid.z.count)
        places = torch.nonzero(bone[start:stop].reshape(-1) > LEAST_BONE)[:, 0]
        if not len(places):
            continue
        block = grid._replace(z=grid.z.part(start, stop))
        own = given[:, start:stop].reshape(len(given), -1)[:, places].float()
        decided = torch.zeros((count, bone[start:stop].numel()), dtype=torch.float16)
        decided[:, places] = votes_of(own, block, places).softmax(dim=0).half()
        fractions[:, start:stop] = decided.reshape(count, *block.shape)
    return fractions


def _locate(localiser: CoarseProbabilities, side: Side, grid: Grid) -> tuple[torch.Tensor, Grid]:
    """The localiser's prediction near the crop: bones of this side, then those of the other one."""
    legs = [localiser.bones[side].sum(axis=0), localiser.bones["left" if side == "right" else "right"].sum(axis=0)]
    part = localiser.grid.slices_within(Box.of_grid(grid).grown(max(localiser.grid.spacing_mm)))
    stacked = np.stack(legs)[(slice(None), *part)]
    return torch.from_numpy(stacked.astype(np.float32)), localiser.grid.part(part)


def _sample(values: torch.Tensor, source: Grid, target: Grid, places: torch.Tensor) -> torch.Tensor:
    return resample_to(values, source, target).reshape(len(values), -1)[:, places]


def _normalise(fractions: torch.Tensor) -> torch.Tensor:
    return fractions / fractions.sum(dim=0, keepdim=True).clamp(min=1.0 / len(fractions))


def _log(fractions: torch.Tensor, floor: float) -> torch.Tensor:
    return (fractions.clamp(min=0.0) + floor).log()
