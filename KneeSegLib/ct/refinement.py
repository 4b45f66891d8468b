"""A second inference along the edges: small 3D patches on each bone's surface, near the scan's own resolution.

After the local 3D segmentation and the ensembling of "deep shape fitting" for MR of the knee. Slice networks see 0.7 mm
and one slice at a time; a small 3D network then sees patches of the image as fine as it is, together with the
probability of one bone so far, and predicts again where that bone is. The patches are placed by distance-based
non-maximum suppression, here on the surface that was found instead of on a shape model's landmarks, and close enough
together to cover it. The probabilities of both are added::

    p'(bone) = p(bone) + weight * mean over the patches of [ p_patch(bone) - p(bone) ]

where patches that see a place in their middle count most. What no patch sees stays as it was.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from KneeSegLib.anatomy import BONES
from KneeSegLib.bundles.model import Model
from KneeSegLib.bundles.spec import PatchSpec
from KneeSegLib.ct.bone_probabilities import bone_weights, box_of_bone, merge_bone_probabilities
from KneeSegLib.ct.joint_slices import JointProbabilities
from KneeSegLib.ct.settings import HU_RANGE, OUTSIDE_HU, REFINEMENT, RefinementSettings
from KneeSegLib.geometry.boxes import ArrayBox
from KneeSegLib.geometry.grid import Axis, Box, Grid
from KneeSegLib.geometry.resample import resample_to
from KneeSegLib.inference.patches import Corner, PatchSet, predict_patches
from KneeSegLib.inference.placing import find_surface_candidates, suppress_neighbours
from KneeSegLib.inference.scan import Scan
from KneeSegLib.networks.ct_channels import patch_channels
from KneeSegLib.progress import Progress, no_progress, split_progress


@dataclass(frozen=True)
class Residual:
    """What patches add to the probability of a bone: float16 ``(d, h, w)`` of ``place`` in the scan."""

    values: torch.Tensor
    place: ArrayBox


@dataclass(frozen=True)
class BonePatches:
    """Patches along the surface of one bone: they begin at ``corners`` of ``grid``, which covers the bone's box."""

    bone: str
    grid: Grid
    corners: list[Corner]


def refine_leg(
    model: Model,
    scan: Scan,
    joints: Sequence[JointProbabilities],
    progress: Progress = no_progress,
    message: str = "Refining the edges",
    settings: RefinementSettings = REFINEMENT,
) -> dict[str, Residual]:
    """Return, per bone of a leg, what is to be added to the joint models' probabilities along its surface.

    Image and probability are brought once to a grid of the bone's box with the patches' spacing. Beside the scan this
    takes 14 bytes for each of its voxels.

    Args:
        model: ``(N, 3, D, H, W)`` channels of :func:`~KneeSegLib.networks.ct_channels.patch_channels` to logits
            ``(N, 2, D, H, W)``: not this bone, this bone. It knows neither semantic labels nor sides.
        joints: see :func:`KneeSegLib.ct.fusion.fuse_probabilities`.

    Raises:
        ModelError: the model does not say how large its patches are.
        Cancelled: raised by ``progress`` between two batches of patches.
    """
    progress(0.0, message)
    spec = model.spec.require_patch()
    placed = [place_patches(bone, joints, spec, scan.grid, settings) for bone in BONES]
    placed = [patches for patches in placed if patches is not None]
    if not placed:
        return {}
    reporting = split_progress(progress, [len(patches.corners) for patches in placed])
    return {
        patches.bone: _refine_bone(model, scan, joints, patches, report, settings)
        for patches, report in zip(placed, reporting)
    }


def place_patches(
    bone: str,
    joints: Sequence[JointProbabilities],
    spec: PatchSpec,
    scan: Grid,
    settings: RefinementSettings = REFINEMENT,
) -> BonePatches | None:
    """Return the patches that cover the surface of a bone as it is known so far; None without the bone."""
    box = box_of_bone(joints, bone)
    if box is None:
        return None
    spacing_mm = spec.spacing_mm(scan.x.spacing_mm)
    edge_mm = min(spec.shape) * spacing_mm
    box = box.within(Box.of_grid(scan))
    candidates = Grid(*(Axis.covering(low, high, settings.candidates * edge_mm) for low, high in box))
    known = np.flatnonzero(bone_weights(joints, bone, candidates.z.positions_mm) > settings.known)
    if not known.size:
        return None
    candidates = candidates._replace(z=candidates.z.part(known[0], known[-1] + 1))
    probability = current_probability(joints, bone, candidates, settings)
    centers_mm = suppress_neighbours(
        *find_surface_candidates(probability.numpy(), candidates), settings.apart * edge_mm
    )
    if not len(centers_mm):
        return None
    grid = _patch_grid(centers_mm, spec.shape, spacing_mm, scan)
    return BonePatches(bone, grid, _corners(centers_mm, spec.shape, grid))


def current_probability(
    joints: Sequence[JointProbabilities], bone: str, grid: Grid, settings: RefinementSettings = REFINEMENT
) -> torch.Tensor:
    """Probability of a bone so far, ``(D, H, W)``; where joint models have little weight, theirs counts fully."""
    weights = torch.from_numpy(bone_weights(joints, bone, grid.z.positions_mm))[:, None, None]
    probability = merge_bone_probabilities(joints, [bone], grid)[0] / weights.clamp(min=settings.known)
    return torch.where(weights > settings.known, probability, 0.0).clamp(0.0, 1.0)


def _refine_bone(
    model: Model,
    scan: Scan,
    joints: Sequence[JointProbabilities],
    patches: BonePatches,
    progress: Progress,
    settings: RefinementSettings,
) -> Residual:
    grid = patches.grid
    hu = resample_to(scan.values, scan.grid, grid, outside=OUTSIDE_HU, clip=HU_RANGE)
    prior = current_probability(joints, patches.bone, grid, settings)
    merged = predict_patches(
        model,
        PatchSet(grid.shape, patches.corners, lambda place: patch_channels(hu[place], prior[place])),
        lambda probabilities, channels: probabilities[:, 1:] - channels[:, 2:],
        progress,
        f"Refining the {patches.bone.replace('_', ' ')}: patch",
    )
    place = scan.grid.slices_within(Box.of_grid(grid))
    part = scan.grid.part(place)
    weights = torch.from_numpy(bone_weights(joints, patches.bone, part.z.positions_mm))[:, None, None]
    return Residual((settings.weight * weights * resample_to(merged.values[0], grid, part)).half(), place)


def _patch_grid(centers_mm: np.ndarray, shape: Corner, spacing_mm: float, scan: Grid) -> Grid:
    """The grid in which patches are cut: it begins at a voxel of the scan and, if it can, stays within it."""
    axes = []
    for axis, count, low, high in zip(scan, shape, centers_mm.min(axis=0), centers_mm.max(axis=0)):
        half = (count - 1) * spacing_mm / 2.0
        last = axis.first_mm + (axis.count - 1) * axis.step_mm
        first = max(min(low - half, last - 2.0 * half), axis.first_mm)
        voxel = int((first - axis.first_mm) / axis.step_mm)
        first = axis.first_mm + voxel * axis.step_mm
        samples = max(int(np.ceil((min(high + half, last) - first) / spacing_mm - 1e-6)) + 1, count)
        axes.append(Axis(first, spacing_mm, samples))
    return Grid(*axes)


def _corners(centers_mm: np.ndarray, shape: Corner, grid: Grid) -> list[Corner]:
    """The first voxels of patches around some places; each patch lies within the grid."""
    corners = []
    for center in centers_mm:
        z, y, x = (
            min(max(round((mm - axis.first_mm) / axis.step_mm - (count - 1) / 2.0), 0), axis.count - count)
            for mm, axis, count in zip(center, grid, shape)
        )
        corners.append((z, y, x))
    return list(dict.fromkeys(corners))
