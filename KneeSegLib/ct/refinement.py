"""A second look at the edges: small 3D patches along each bone's surface, near the scan's own resolution.

After the local 3D segmentation and the ensembling of "deep shape fitting" for MR of the knee. Slice networks see 0.7 mm
and one slice at a time; a small 3D network then sees patches of the image as fine as it is, together with what is known
so far of one bone, and says again where that bone is. The patches are placed by distance-based non-maximum suppression,
here on the surface that was found instead of on a shape model's landmarks, and close enough together to cover it. The
probabilities of both are added::

    p'(bone) = p(bone) + share * mean over the patches of [ p_patch(bone) - p(bone) ]

where patches that see a place in their middle count most. What no patch sees stays as it was.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
import torch
from torch import nn

from KneeSegLib.anatomy import BONES
from KneeSegLib.ct.localise import HU_RANGE, OUTSIDE_HU
from KneeSegLib.ct.merging import box_of_bone, likely_bones, weights_of_bone
from KneeSegLib.ct.slices import JointProbabilities
from KneeSegLib.errors import ModelError
from KneeSegLib.geometry.grid import Axis, Box, Grid, Slices
from KneeSegLib.geometry.resample import resample_to
from KneeSegLib.inference.blending import Blend, patch_window
from KneeSegLib.inference.device import in_order
from KneeSegLib.inference.placing import patch_grid, spread_out, surface_candidates
from KneeSegLib.networks.ct_channels import patch_channels
from KneeSegLib.networks.device import Device
from KneeSegLib.progress import Progress, no_progress


@dataclass(frozen=True)
class PatchFacts:
    """What the network's bundle says of its patches: ``shape`` in voxels, and the range of spacings that it knows."""

    shape: tuple[int, int, int]
    spacing_range_mm: tuple[float, float]

    @classmethod
    def of_bundle(cls, facts: Mapping[str, Any]) -> PatchFacts:
        """Read them.

        Raises:
            ModelError: the bundle is no refinement's.
        """
        try:
            return cls(tuple(facts["patches"]["shape"]), tuple(facts["patches"]["spacing_range_mm"]))
        except KeyError:
            raise ModelError(
                "The refinement's bundle does not say how large its patches are; "
                "install the weights that belong to this version."
            ) from None

    def spacing_mm(self, scan: Grid) -> float:
        """The spacing of patches in a scan: that of its pixels, as far as the network knows it."""
        finest, coarsest = self.spacing_range_mm
        return min(max(scan.x.spacing_mm, finest), coarsest)


@dataclass(frozen=True)
class RefinementWeights:
    """How much patches count and how densely they lie. All of the refinement's numbers stand here.

    Attributes:
        share: of the patches in the sum of probabilities; the rest is the slices'.
        apart: least distance of patches, as a part of their edge. No place on a surface is further than that, and one
            step of the candidates, from the middle of some patch.
        ramp: over this part of its edge, from either side, a patch's weight rises from zero to one.
        enough: where the weights of all patches add up to less than this, the refinement fades out.
        candidates: positions that patches are chosen from lie this part of an edge apart.
    """

    share: float = 0.5
    apart: float = 0.36
    ramp: float = 0.25
    enough: float = 0.5
    candidates: float = 0.08


@dataclass(frozen=True)
class Correction:
    """What patches add to the probability of a bone: float16 ``(d, h, w)`` of ``place`` in the scan."""

    values: torch.Tensor
    place: Slices


BATCH_VOXELS = 150_000

_KNOWN = 1e-3


def refine_leg(
    network: nn.Module,
    facts: PatchFacts,
    hu: np.ndarray,
    scan: Grid,
    answers: Sequence[JointProbabilities],
    device: Device,
    progress: Progress = no_progress,
    message: str = "Refining the edges",
    weights: RefinementWeights = RefinementWeights(),
) -> dict[str, Correction]:
    """Return, per bone of a leg, what is to be added to the specialists' answers along its surface.

    Args:
        network: ``(N, 3, D, H, W)`` channels of :func:`~KneeSegLib.networks.ct_channels.patch_channels` to logits
            ``(N, 2, D, H, W)``: not this bone, this bone. It knows neither names nor sides.
        hu: ``(D, H, W)`` scan in HU on ``scan``.
        answers: see :func:`KneeSegLib.ct.fusion.fused`.

    Raises:
        Cancelled: raised by ``progress`` between two batches of patches.
    """
    progress(0.0, message)
    placed = {bone: patches_along(bone, answers, facts, scan, weights) for bone in BONES}
    total = sum(len(patches) for patches in placed.values())
    window = patch_window(facts.shape, weights.ramp)
    corrections = {}
    done = 0
    for bone, patches in placed.items():
        if not patches:
            continue
        place = scan.slices_within(box_of_bone(answers, bone))
        blend = Blend(scan.part(place), window)
        for batch, differences in _looked_at(network, hu, scan, answers, bone, patches, device):
            for patch, difference in zip(batch, differences):
                blend.add(difference, patch)
            done += len(batch)
            progress(done / total, f"{message}: patch {done} of {total}")
        known = torch.from_numpy(weights_of_bone(answers, bone, blend.grid.z.positions_mm))[:, None, None]
        corrections[bone] = Correction((weights.share * known * blend.mean(weights.enough)).half(), place)
    return corrections


def patches_along(
    bone: str,
    answers: Sequence[JointProbabilities],
    facts: PatchFacts,
    scan: Grid,
    weights: RefinementWeights = RefinementWeights(),
) -> list[Grid]:
    """Return the grids of patches that cover the surface of a bone as it is known so far; empty without the bone."""
    box = box_of_bone(answers, bone)
    if box is None:
        return []
    spacing_mm = facts.spacing_mm(scan)
    edge_mm = min(facts.shape) * spacing_mm
    inside = box.within(Box.of_grid(scan))
    coarse = Grid(*(Axis.covering(low, high, weights.candidates * edge_mm) for low, high in inside))
    known = np.flatnonzero(weights_of_bone(answers, bone, coarse.z.positions_mm) > _KNOWN)
    if not known.size:
        return []
    coarse = coarse._replace(z=coarse.z.part(known[0], known[-1] + 1))
    positions, scores = surface_candidates(known_so_far(answers, bone, coarse).numpy(), coarse)
    centers = spread_out(positions, scores, weights.apart * edge_mm)
    return [patch_grid(center, facts.shape, spacing_mm, scan) for center in centers]


def known_so_far(answers: Sequence[JointProbabilities], bone: str, grid: Grid) -> torch.Tensor:
    """How likely a bone is, ``(D, H, W)``; where specialists have little to say, what little they say counts fully."""
    weights = torch.from_numpy(weights_of_bone(answers, bone, grid.z.positions_mm))[:, None, None]
    likely = likely_bones(answers, [bone], grid)[0] / weights.clamp(min=_KNOWN)
    return torch.where(weights > _KNOWN, likely, 0.0).clamp(0.0, 1.0)


def _looked_at(
    network: nn.Module,
    hu: np.ndarray,
    scan: Grid,
    answers: Sequence[JointProbabilities],
    bone: str,
    patches: list[Grid],
    device: Device,
) -> Iterator[tuple[list[Grid], torch.Tensor]]:
    """Yield batches of patches with how much more likely ``(N, D, H, W)`` the bone is in them than it was so far."""

    def differences(batch: list[Grid]) -> torch.Tensor:
        image = torch.stack([resample_to(hu, scan, patch, outside=OUTSIDE_HU, clip=HU_RANGE) for patch in batch])
        prior = torch.stack([known_so_far(answers, bone, patch) for patch in batch])
        logits = network(patch_channels(image, prior).to(device.torch_name))
        return logits.softmax(dim=1)[:, 1].to("cpu", torch.float32) - prior

    at_once = max(BATCH_VOXELS // prod(patches[0].shape), 1)
    batches = [patches[start : start + at_once] for start in range(0, len(patches), at_once)]
    yield from zip(batches, in_order(differences, batches, device))
