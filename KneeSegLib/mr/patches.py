"""Third stage: a small 3D network looks again where cartilage is, at half a millimetre.

After "deep shape fitting": patches lie at landmarks of the fitted shapes that carry cartilage, picked by distance-based
non-maximum suppression, up to 100 on the femur and 30 on the tibia. The paper has no patella; its patches lie where the
slices see patellar cartilage. Beyond the paper, a patch is told what the slices say of it. All patches are cut out of
one fine image, so that the image is resampled once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil, prod

import numpy as np
import torch
from torch import nn

from KneeSegLib.geometry.grid import Axis, Box, Grid
from KneeSegLib.geometry.resample import resample_to
from KneeSegLib.inference.blending import patch_window
from KneeSegLib.inference.device import in_order
from KneeSegLib.inference.placing import spread_out
from KneeSegLib.mr.shape_fit import FittedShape
from KneeSegLib.mr.slices import KneeProbabilities, scan_level
from KneeSegLib.networks.device import Device
from KneeSegLib.networks.mr_channels import mr_patch_channels, scaled_signal
from KneeSegLib.progress import Progress, no_progress


@dataclass(frozen=True)
class Placing:
    """Where patches lie. All of its numbers stand here.

    Attributes:
        most: how many patches a bone gets at most.
        apart_mm: least distance of the patches of a bone; it is raised until there are no more than ``most``.
        likely: from this probability on, patellar cartilage is there.
        ramp: over this part of its edge, from either side, a patch's weight rises from zero to one.
        enough: where the weights of all patches add up to less than this, they fade out.
    """

    most: Mapping[str, int]
    apart_mm: float = 7.0
    likely: float = 0.4
    ramp: float = 0.25
    enough: float = 0.5


PLACING = Placing({"femur": 100, "tibia": 30, "patella": 20})

_BATCH_VOXELS = 300_000
_WIDER = 1.12


@dataclass(frozen=True)
class FineProbabilities:
    """What patches say, along z, y, x of ``grid``.

    Attributes:
        share: ``(D, H, W)`` how much they count, 0..1.
        values: ``(C, D, H, W)`` float16 probabilities times ``share``; where patches overlap, their mean.
        centers_mm: (N, 3) z, y, x of the patches' middles.
    """

    grid: Grid
    share: torch.Tensor
    values: torch.Tensor
    centers_mm: np.ndarray


def patch_centers(
    shapes: Mapping[str, FittedShape], slices: KneeProbabilities, placing: Placing = PLACING
) -> np.ndarray:
    """Return centres (N, 3), z, y, x in mm of the scan."""
    candidates = {bone: fit.points_mm[fit.model.carries_cartilage][:, ::-1] for bone, fit in shapes.items()}
    candidates["patella"] = _places_of(slices, "patellar_cartilage", placing.likely)
    box = Box.of_grid(slices.grid)
    chosen = []
    for bone, places in candidates.items():
        seen = np.all([(places[:, k] > low) & (places[:, k] < high) for k, (low, high) in enumerate(box)], axis=0)
        chosen.append(_at_most(places[seen], placing.most[bone], placing.apart_mm))
    return np.concatenate(chosen)


def patch_probabilities(
    network: nn.Module,
    shape: tuple[int, int, int],
    spacing_mm: float,
    signal: np.ndarray,
    scan: Grid,
    slices: KneeProbabilities,
    centers_mm: np.ndarray,
    device: Device,
    progress: Progress = no_progress,
    message: str = "Patches",
    placing: Placing = PLACING,
    temperature: float = 1.0,
) -> FineProbabilities:
    """Apply a network to patches and take the mean of what they say, the middle of a patch counting most.

    Args:
        network: ``(N, C, X, Z, Y)`` channels (:func:`~KneeSegLib.networks.mr_channels.mr_patch_channels`) to logits of
            the same shape; x is across slices, z upward, y backward.
        shape: of a patch along x, z, y. spacing_mm: of its voxels.
        signal: ``(D, H, W)`` image along z, y, x on ``scan``.
        slices: what is known so far.
        centers_mm: (N, 3) with at least one row, see :func:`patch_centers`.
        temperature: what logits are divided by before the softmax, so that probabilities mean what they say.

    Raises:
        Cancelled: raised by ``progress`` between two batches of patches.
    """
    size = np.array([shape[1], shape[2], shape[0]])  # z, y, x
    half = size * spacing_mm / 2.0
    bounds = zip(centers_mm.min(axis=0) - half, centers_mm.max(axis=0) + half)
    grid = Grid(*(Axis.covering(low, high + spacing_mm, spacing_mm) for low, high in bounds))
    image = resample_to(signal, scan, grid, device=device.torch_name)
    volume = scaled_signal(image, scan_level(signal)).permute(2, 0, 1).contiguous()
    known = (
        resample_to(slices.values, slices.grid, grid, device=device.torch_name).half().permute(0, 3, 1, 2).contiguous()
    )
    first = np.array([axis.first_mm for axis in grid])
    starts = np.rint((centers_mm - first) / spacing_mm - (size - 1) / 2.0).astype(int)
    starts = np.unique(np.clip(starts, 0, np.array(grid.shape) - size), axis=0)
    corners = [(x, z, y) for z, y, x in starts.tolist()]
    at_once = max(_BATCH_VOXELS // prod(shape), 1)
    batches = [corners[start : start + at_once] for start in range(0, len(corners), at_once)]

    def probabilities(batch: Sequence[tuple[int, ...]]) -> torch.Tensor:
        windows = [_window(corner, shape) for corner in batch]
        patches = torch.stack([volume[window] for window in windows])
        likely = torch.stack([known[(slice(None), *window)] for window in windows]).float()
        logits = network(mr_patch_channels(patches, likely)).float()
        return (logits / temperature).softmax(dim=1).to("cpu")

    window = patch_window(shape, placing.ramp)
    weight = torch.zeros(volume.shape)
    total: torch.Tensor | None = None
    done = 0
    progress(0.0, f"{message} 0 of {len(corners)}")
    for batch, found in zip(batches, in_order(probabilities, batches, device)):
        if total is None:
            total = torch.zeros((found.shape[1], *volume.shape))
        for corner, patch in zip(batch, found):
            place = _window(corner, shape)
            total[(slice(None), *place)].addcmul_(patch, window)
            weight[place] += window
        done += len(batch)
        progress(done / len(corners), f"{message} {done} of {len(corners)}")
    total /= weight.clamp(min=placing.enough)
    share = (weight / placing.enough).clamp(max=1.0)
    # Back from slices, rows, columns to z, y, x.
    return FineProbabilities(grid, share.permute(1, 2, 0), total.half().permute(0, 2, 3, 1), centers_mm)


def _window(corner: Sequence[int], shape: Sequence[int]) -> tuple[slice, ...]:
    return tuple(slice(start, start + size) for start, size in zip(corner, shape))


def _places_of(slices: KneeProbabilities, name: str, likely: float) -> np.ndarray:
    """Positions (N, 3), z, y, x in mm, of voxels that are likely of a class, about one for each mm along each axis."""
    step = [max(1, ceil(1.0 / axis.spacing_mm)) for axis in slices.grid]
    index = np.nonzero((slices.of(name)[:: step[0], :: step[1], :: step[2]] > likely).numpy())
    thinned = (axis.thinned(s) for axis, s in zip(slices.grid, step))
    return np.stack([axis.positions_mm[i] for axis, i in zip(thinned, index)], axis=1)


def _at_most(places_mm: np.ndarray, most: int, apart_mm: float) -> np.ndarray:
    """Positions that are ``apart_mm`` from each other, or further where they would be too many."""
    while True:
        chosen = spread_out(places_mm, np.zeros(len(places_mm)), apart_mm)
        if len(chosen) <= most:
            return chosen
        apart_mm *= _WIDER
