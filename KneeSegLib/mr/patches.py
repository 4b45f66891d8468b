"""Third stage: a small 3D network infers once more where cartilage is, at half a millimetre.

After "deep shape fitting": patches lie at landmarks of the fitted shapes that carry cartilage, picked by distance-based
non-maximum suppression, up to 100 on the femur and 30 on the tibia. The paper has no patella; its patches lie where the
slices see patellar cartilage. Beyond the paper, a patch also sees the probabilities of the slices, unless its network
was trained without. All patches are cut out of one fine image, so that the image is resampled once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil

import numpy as np
import torch

from KneeSegLib.bundles.model import Model
from KneeSegLib.errors import ModelError
from KneeSegLib.geometry.boxes import ArrayBox
from KneeSegLib.geometry.grid import Axis, Box, Grid
from KneeSegLib.geometry.resample import resample_to
from KneeSegLib.inference.patches import Corner, PatchSet, predict_patches
from KneeSegLib.inference.placing import suppress_neighbours
from KneeSegLib.inference.scan import Scan
from KneeSegLib.mr.settings import PLACING, PatchPlacing
from KneeSegLib.mr.shape_fit import FittedShape
from KneeSegLib.mr.slices import KneeProbabilities, scan_percentile
from KneeSegLib.networks.mr_channels import mr_patch_channels, scale_signal
from KneeSegLib.progress import Progress, no_progress


@dataclass(frozen=True)
class FineProbabilities:
    """What patches predict, along z, y, x of ``grid``.

    Attributes:
        weight: ``(D, H, W)`` how much they count, 0..1.
        values: ``(C, D, H, W)`` float16 probabilities times ``weight``; where patches overlap, their mean.
        centers_mm: (N, 3) z, y, x of the patches' middles.
    """

    grid: Grid
    weight: torch.Tensor
    values: torch.Tensor
    centers_mm: np.ndarray


def place_patches(
    shapes: Mapping[str, FittedShape], slices: KneeProbabilities, placing: PatchPlacing = PLACING
) -> np.ndarray:
    """Return the middles (N, 3) of patches, z, y, x in mm of the scan."""
    candidates = {bone: fit.points_mm[fit.model.carries_cartilage][:, ::-1] for bone, fit in shapes.items()}
    candidates["patella"] = _places_of(slices, "patellar_cartilage", placing.probability)
    box = Box.of_grid(slices.grid)
    chosen = []
    for bone, places in candidates.items():
        seen = np.all([(places[:, k] > low) & (places[:, k] < high) for k, (low, high) in enumerate(box)], axis=0)
        chosen.append(_thin_out(places[seen], placing.most[bone], placing))
    return np.concatenate(chosen)


def refine_cartilage(
    model: Model,
    scan: Scan,
    slices: KneeProbabilities,
    centers_mm: np.ndarray,
    progress: Progress = no_progress,
) -> FineProbabilities | None:
    """Apply a network to patches and take the mean of their probabilities, the middle of a patch counting most.

    Args:
        model: ``(N, C, X, Z, Y)`` channels (:func:`~KneeSegLib.networks.mr_channels.mr_patch_channels`, or the signal
            alone where its description says so) to logits; x is across slices, z upward, y backward.
        slices: the probabilities so far.
        centers_mm: (N, 3), see :func:`place_patches`.

    Returns:
        None where there is no place to look at.

    Raises:
        ModelError: the model has other classes than the slices, or does not say how large its patches are.
        Cancelled: raised by ``progress`` between two batches of patches.
    """
    if not len(centers_mm):
        return None
    if model.spec.classes != slices.classes:
        raise ModelError(
            f"The bundle {model.spec.name} has other classes than the slices before it; "
            "install the weights that belong to this version."
        )
    shape, spacing_mm, device = model.spec.require_patch().shape, model.spec.spacing_mm[0], model.device.torch_name
    grid = _patch_grid(centers_mm, shape, spacing_mm)
    image = resample_to(scan.values, scan.grid, grid, device=device)
    volume = scale_signal(image, scan_percentile(scan.values)).permute(2, 0, 1).contiguous()
    known = resample_to(slices.values, slices.grid, grid, device=device).half().permute(0, 3, 1, 2).contiguous()

    def channels(place: ArrayBox) -> torch.Tensor:
        if model.spec.input == "signal":
            return volume[place].unsqueeze(0)
        return mr_patch_channels(volume[place], known[(slice(None), *place)].float())

    shape_xzy = (grid.x.count, grid.z.count, grid.y.count)
    patches = PatchSet(shape_xzy, _corners(centers_mm, shape, spacing_mm, grid), channels)
    merged = predict_patches(model, patches, lambda probabilities, _: probabilities, progress)
    # Back from slices, rows, columns to z, y, x.
    return FineProbabilities(grid, merged.weight.permute(1, 2, 0), merged.values.half().permute(0, 2, 3, 1), centers_mm)


def _patch_grid(centers_mm: np.ndarray, shape: Corner, spacing_mm: float) -> Grid:
    """The smallest grid that holds all patches; their shape is along x, z, y."""
    half = np.array([shape[1], shape[2], shape[0]]) * spacing_mm / 2.0
    bounds = zip(centers_mm.min(axis=0) - half, centers_mm.max(axis=0) + half)
    return Grid(*(Axis.covering(low, high + spacing_mm, spacing_mm) for low, high in bounds))


def _corners(centers_mm: np.ndarray, shape: Corner, spacing_mm: float, grid: Grid) -> Sequence[Corner]:
    """First voxels x, z, y of the patches around some places z, y, x."""
    size = np.array([shape[1], shape[2], shape[0]])
    first = np.array([axis.first_mm for axis in grid])
    starts = np.rint((centers_mm - first) / spacing_mm - (size - 1) / 2.0).astype(int)
    starts = np.unique(np.clip(starts, 0, np.array(grid.shape) - size), axis=0)
    return [(x, z, y) for z, y, x in starts.tolist()]


def _places_of(slices: KneeProbabilities, name: str, probability: float) -> np.ndarray:
    """Positions (N, 3), z, y, x in mm, of voxels of a class, about one for each mm along each axis."""
    step = [max(1, ceil(1.0 / axis.spacing_mm)) for axis in slices.grid]
    index = np.nonzero((slices.of(name)[:: step[0], :: step[1], :: step[2]] > probability).numpy())
    thinned = (axis.thinned(s) for axis, s in zip(slices.grid, step))
    return np.stack([axis.positions_mm[i] for axis, i in zip(thinned, index)], axis=1)


def _thin_out(places_mm: np.ndarray, most: int, placing: PatchPlacing) -> np.ndarray:
    """Positions that are ``apart_mm`` from each other, or further where they would be too many."""
    apart_mm = placing.apart_mm
    while True:
        chosen = suppress_neighbours(places_mm, np.zeros(len(places_mm)), apart_mm)
        if len(chosen) <= most:
            return chosen
        apart_mm *= placing.wider
