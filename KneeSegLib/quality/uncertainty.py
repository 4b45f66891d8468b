"""How certain the networks are of a bone: along its surface, and of its label."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from KneeSegLib.anatomy import JOINT_BONES
from KneeSegLib.quality.settings import DISPUTE_STRIDE, UNCERTAIN_MARGIN

if TYPE_CHECKING:
    from KneeSegLib.ct.joint_slices import JointProbabilities


def measure_uncertain_band_mm(margin: np.ndarray, mask: np.ndarray, spacing_mm: Sequence[float]) -> float:
    """Return the volume of uncertain voxels over the area of the bone's surface: how thick the uncertain layer is.

    A sharp edge that a network is certain of gives about as much as half a voxel, whatever the size of the bone;
    uncertainty that fills a part of the bone gives more.

    Args:
        margin: (Z, Y, X), probability of the bone minus that of its strongest rival, -1..1, around the whole bone.
        mask: bool, the bone.
        spacing_mm: (z, y, x).
    """
    area_mm2 = measure_surface_area_mm2(mask, spacing_mm)
    uncertain = np.count_nonzero(np.abs(margin) < UNCERTAIN_MARGIN)
    return float(uncertain * np.prod(spacing_mm) / area_mm2) if area_mm2 else 0.0


def measure_uncertain_contact_mm2(
    margin: np.ndarray, mask: np.ndarray, others: np.ndarray, spacing_mm: Sequence[float]
) -> float:
    """Return the area of the faces between a bone's voxels and another bone's at which its label does not clearly lead.

    Where disease has closed a joint two bones touch: a network that sees the line between them is certain on both sides
    of it, one that guesses is not.

    Args:
        margin, mask, spacing_mm: as for :func:`measure_uncertain_band_mm`.
        others: bool (Z, Y, X), other bones.
    """
    guessed = mask & (margin < UNCERTAIN_MARGIN)
    area_mm2 = 0.0
    for axis, step_mm in enumerate(spacing_mm):
        own, other = np.moveaxis(guessed, axis, 0), np.moveaxis(others, axis, 0)
        faces = np.count_nonzero(own[1:] & other[:-1]) + np.count_nonzero(own[:-1] & other[1:])
        area_mm2 += faces * float(np.prod(spacing_mm)) / step_mm
    return float(area_mm2)


def measure_refinement_mm(residual: np.ndarray, mask: np.ndarray, spacing_mm: Sequence[float]) -> float:
    """Return how far a refinement moved a bone's surface on average: the volume it won or lost over its area.

    Args:
        residual: what was added to the probability of the bone; on the mask's grid, of any extent.
        mask: bool (Z, Y, X), the bone.
        spacing_mm: (z, y, x).
    """
    area_mm2 = measure_surface_area_mm2(mask, spacing_mm)
    moved_mm3 = float(np.abs(residual, dtype=np.float32).sum()) * float(np.prod(spacing_mm))
    return moved_mm3 / area_mm2 if area_mm2 else 0.0


def measure_surface_area_mm2(mask: np.ndarray, spacing_mm: Sequence[float]) -> float:
    """Return the area of the voxel faces between inside and outside; those on the array's border do not count.

    Args:
        mask: bool (Z, Y, X).
        spacing_mm: (z, y, x).
    """
    area_mm2 = 0.0
    for axis, step_mm in enumerate(spacing_mm):
        layers = np.moveaxis(mask, axis, 0)
        area_mm2 += np.count_nonzero(layers[1:] != layers[:-1]) * float(np.prod(spacing_mm)) / step_mm
    return area_mm2


def measure_disputed_fractions(
    sliced: Sequence[JointProbabilities], fused: Sequence[JointProbabilities]
) -> dict[str, float]:
    """Return for each bone the fraction of its probability that fusion places elsewhere than the slices alone.

    Args:
        sliced: the predictions of the joint models of a leg.
        fused: the same after fusion with semantic network and localiser, on the same grids.
    """
    moved: dict[str, float] = {}
    total: dict[str, float] = {}
    every = slice(None, None, DISPUTE_STRIDE)
    for before, after in zip(sliced, fused):
        weights = before.roi.weights(before.grid.z.positions_mm)[every, None, None]
        for channel, bone in enumerate(JOINT_BONES[before.roi.joint], start=1):
            of_slices, of_all = (
                joint.values[channel, every, every, every].float().numpy() * weights for joint in (before, after)
            )
            moved[bone] = moved.get(bone, 0.0) + float(np.abs(of_all - of_slices).sum())
            total[bone] = total.get(bone, 0.0) + float(np.maximum(of_all, of_slices).sum())
    return {bone: moved[bone] / max(total[bone], 1e-6) for bone in moved}
