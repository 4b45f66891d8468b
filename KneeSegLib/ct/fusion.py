"""Edges from the slices, names from those who see the whole leg.

Slices decide superbly whether something is bone and poorly which bone it is; the coarse networks are the other way
round. So the probability of bone stays what the slices say, and only how it is divided among the bones is settled
together::

    p(c) = p(bone) * softmax over c of
           [ w_slices * log p_slices(c | bone) + w_naming * log p_naming(c) + w_localiser * log p_localiser(c) ]

over the joint's bones and "other" (a bone that is none of them, or of the other leg), whose share goes back to the
background; and then once more, with what the rest of the same bone says (:mod:`KneeSegLib.ct.spreading`) as a
further opinion. Where two legs are in view, "localiser" says how likely the place belongs to this leg (for "other": to
the other one); with one leg it has no say.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np
import torch

from KneeSegLib.anatomy import BONES, JOINT_BONES, Side
from KneeSegLib.ct.localise import CoarseBones
from KneeSegLib.ct.naming import Names
from KneeSegLib.ct.slices import JointProbabilities
from KneeSegLib.ct.spreading import spread_shares
from KneeSegLib.geometry.grid import Box, Grid
from KneeSegLib.geometry.resample import resample_to


@dataclass(frozen=True)
class FusionWeights:
    """How much each opinion counts. All of fusion's numbers stand here.

    Attributes:
        slices, naming, localiser: exponents of their probabilities. The localiser's grid is too coarse to name a
            voxel; its word serves against bones of the other leg, which neither of the others can tell from this one's.
        other: what slices without such a class are taken to give "other".
        spread: exponent of what the rest of the same bone says.
        foreign: how much the naming network's word for bones that this joint does not have counts for "other".
            Not all: in a scan that shows little of a leg it confuses joints, while the localiser has seen which it is.
        slices_floor, naming_floor, spread_floor, localiser_floor: added to each probability before its logarithm, so
            that no opinion can rule a name out alone; the localiser's is large because it sees thin bones only faintly.
    """

    slices: float = 0.6
    naming: float = 1.0
    localiser: float = 0.5
    spread: float = 6.0
    other: float = 0.1
    foreign: float = 0.25
    slices_floor: float = 1e-2
    naming_floor: float = 1e-3
    spread_floor: float = 1e-2
    localiser_floor: float = 5e-2


FINE_VOXEL_MM, COARSE_VOXEL_MM = 1.5, 3.0
WHERE_COARSE: Mapping[str, Mapping[str, float]] = MappingProxyType({"hip": {"slices": 2.5, "spread": 1.0}})
"""Naming and spreading tell bones apart by the gaps between them. Coarse voxels fill that of a hip, whose head lies in
its socket; slices see grey values."""


def weights_for(joint: str, scan: Grid) -> FusionWeights:
    """Weights for a joint in a scan with voxels of that size: those of a hip change the more the coarser it is."""
    usual = FusionWeights()
    coarseness = (max(scan.spacing_mm) - FINE_VOXEL_MM) / (COARSE_VOXEL_MM - FINE_VOXEL_MM)
    share = min(max(coarseness, 0.0), 1.0)
    coarse = WHERE_COARSE.get(joint, {})
    return replace(usual, **{name: (1.0 - share) * getattr(usual, name) + share * coarse[name] for name in coarse})


LEAST_BONE = 0.02
"""Where the slices give less than this to bone, names are of no consequence and are not computed."""

_BLOCK_SLICES = 32


def fused(
    answer: JointProbabilities,
    names: Names,
    localiser: CoarseBones | None,
    side: Side,
    weights: FusionWeights = FusionWeights(),
) -> JointProbabilities:
    """Return the answer with its bones renamed: ``(1 + bones, D, H, W)`` float16, background first, summing to one.

    Args:
        localiser: where two legs are in view, else None.
    """
    bones = JOINT_BONES[answer.share.joint]
    channels = [BONES.index(bone) for bone in bones]
    own = names.values[channels]
    foreign = names.values.sum(dim=0, keepdim=True) - own.sum(dim=0, keepdim=True)
    other = 1.0 - names.values.sum(dim=0, keepdim=True)
    named = torch.cat([own, other + weights.foreign * foreign])
    located = _located(localiser, side, answer.grid) if localiser is not None else None
    has_other = answer.values.shape[0] > 1 + len(bones)

    def opinions(sliced: torch.Tensor, grid: Grid, places: torch.Tensor) -> torch.Tensor:
        shares = sliced / sliced.sum(dim=0)
        votes = weights.slices * _log(shares if has_other else _with_other(shares, weights.other), weights.slices_floor)
        votes += weights.naming * _log(_normalised(_at(named, names.grid, grid, places)), weights.naming_floor)
        if located is not None:
            this_leg, other_leg = _log(_normalised(_at(*located, grid, places)), weights.localiser_floor)
            votes += weights.localiser * torch.stack([*([this_leg] * len(bones)), other_leg])
        return votes

    bone = 1.0 - answer.values[0].float()
    shares = _settled(answer.values[1:], bone, answer.grid, len(named), opinions)
    if weights.spread:
        spread, coarse = spread_shares(bone, shares, answer.grid)

        def with_the_rest(own: torch.Tensor, grid: Grid, places: torch.Tensor) -> torch.Tensor:
            rest = _normalised(_at(spread, coarse, grid, places))
            return own.clamp(min=1e-6).log() + weights.spread * _log(rest, weights.spread_floor)

        shares = _settled(shares, bone, answer.grid, len(named), with_the_rest)
    values = torch.empty((1 + len(bones), *answer.grid.shape), dtype=torch.float16)
    values[1:] = shares[:-1] * bone
    values[0] = 1.0 - values[1:].float().sum(dim=0)
    return JointProbabilities(answer.share, answer.grid, values)


def _settled(
    given: torch.Tensor,
    bone: torch.Tensor,
    grid: Grid,
    count: int,
    votes_of: Callable[[torch.Tensor, Grid, torch.Tensor], torch.Tensor],
) -> torch.Tensor:
    """Shares ``(count, D, H, W)`` float16 of the names by a vote where there is bone, zero elsewhere.

    Args:
        votes_of: is told what is given ``(K, N)`` at some places of a block of slices, that block's grid and the
            places (flat indices), and returns log votes ``(count, N)``.
    """
    shares = torch.zeros((count, *grid.shape), dtype=torch.float16)
    for start in range(0, grid.z.count, _BLOCK_SLICES):
        stop = min(start + _BLOCK_SLICES, grid.z.count)
        places = torch.nonzero(bone[start:stop].reshape(-1) > LEAST_BONE)[:, 0]
        if not len(places):
            continue
        block = grid._replace(z=grid.z.part(start, stop))
        own = given[:, start:stop].reshape(len(given), -1)[:, places].float()
        voted = torch.zeros((count, bone[start:stop].numel()), dtype=torch.float16)
        voted[:, places] = votes_of(own, block, places).softmax(dim=0).half()
        shares[:, start:stop] = voted.reshape(count, *block.shape)
    return shares


def _located(localiser: CoarseBones, side: Side, grid: Grid) -> tuple[torch.Tensor, Grid]:
    """The localiser's opinion near the crop: bones of this side, then those of the other one."""
    legs = [localiser.bones[side].sum(axis=0), localiser.bones["left" if side == "right" else "right"].sum(axis=0)]
    part = localiser.grid.slices_within(Box.of_grid(grid).grown(max(localiser.grid.spacing_mm)))
    stacked = np.stack(legs)[(slice(None), *part)]
    return torch.from_numpy(stacked.astype(np.float32)), localiser.grid.part(part)


def _at(values: torch.Tensor, source: Grid, target: Grid, places: torch.Tensor) -> torch.Tensor:
    return resample_to(values, source, target).reshape(len(values), -1)[:, places]


def _with_other(shares: torch.Tensor, other: float) -> torch.Tensor:
    """Append the share of "other"."""
    return torch.cat([shares, torch.full_like(shares[:1], other)])


def _normalised(shares: torch.Tensor) -> torch.Tensor:
    return shares / shares.sum(dim=0, keepdim=True).clamp(min=1.0 / len(shares))


def _log(shares: torch.Tensor, floor: float) -> torch.Tensor:
    return (shares.clamp(min=0.0) + floor).log()
