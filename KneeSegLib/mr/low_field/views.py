"""Probability of bone in low-field MR: a 3D network on cubes or windows of three views, fused voxel by voxel."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil, prod
from typing import cast

import numpy as np
import torch
from monai.inferers.inferer import PatchInferer, SlidingWindowInferer
from monai.inferers.merger import Merger
from monai.inferers.splitter import SlidingWindowSplitter

from KneeSegLib.anatomy import BONE_EDGES, BoneEdge
from KneeSegLib.bundles.model import Model
from KneeSegLib.errors import AnatomyNotFoundError, InputError
from KneeSegLib.geometry.boxes import ArrayBox, find_mask_box, grow_box
from KneeSegLib.geometry.grid import Axis, Box, Grid
from KneeSegLib.geometry.masks import label_components
from KneeSegLib.geometry.resample import resample_to
from KneeSegLib.inference.scan import Scan
from KneeSegLib.mr.low_field.settings import (
    AIR_GRID_MM,
    AIR_LEVEL,
    BONES_MARGIN_MM,
    CLOSING_MM,
    CUBE_OVERLAP,
    CUBE_VOXELS,
    LEAST_OF_LEG,
    LEG_MARGIN_MM,
    WINDOW_OVERLAP,
    WINDOW_VOXELS,
    CubeMerging,
    ViewFusion,
)
from KneeSegLib.mr.slices import scan_percentile
from KneeSegLib.networks.mr_channels import VIEWS, View, order_axes, scale_signal
from KneeSegLib.progress import Progress, no_progress, split_progress


@dataclass(frozen=True)
class LowFieldMethod:
    """What the paper leaves open or varies.

    Attributes:
        views: whose predictions are fused.
        fusion: ``mean`` of the probabilities, ``majority`` of the views, ``or`` (any view), ``and`` (every view).
        merging: of overlapping cubes: ``mean`` of their probabilities, or the paper's ``or`` of thresholded ones.
        cubes: the paper's cubes at half their size from each other, all over the leg, instead of larger windows where
            bones are.
        edge: where bone ends: where its bright marrow does, or where its dark cortex does.
        closing_mm: radius of the ball that each bone is closed with; 0 for none.
    """

    views: tuple[View, ...] = VIEWS
    fusion: ViewFusion = "mean"
    merging: CubeMerging = "mean"
    cubes: bool = False
    edge: BoneEdge = BONE_EDGES[0]
    closing_mm: float = CLOSING_MM


@dataclass(frozen=True)
class BoneProbability:
    """Probability of bone, float32 ``(D, H, W)`` along z, y, x of ``grid``, whose voxels are cubic."""

    grid: Grid
    values: torch.Tensor


def predict_views(
    model: Model, scan: Scan, method: LowFieldMethod, progress: Progress = no_progress
) -> BoneProbability:
    """Apply a network of bones to the leg in a scan, in each of the views, and fuse them.

    Args:
        model: of kind ``mr-bone``.

    Raises:
        AnatomyNotFoundError: the scan shows nothing but air.
        InputError: the network does not know the edge that was asked for.
        Cancelled: raised by ``progress`` between two windows.
    """
    if method.edge not in model.spec.classes:
        raise InputError(
            f"Bone that ends at the {method.edge} was asked for, and the network {model.spec.name} gives "
            f"{', '.join(model.spec.classes)}; choose an edge that it gives, or train one with both (mr.edges)."
        )
    grid = leg_grid(scan, model.spec.spacing_mm[0])
    image = resample_to(scan.values, scan.grid, grid, device=model.device.torch_name)
    volume = scale_signal(image, scan_percentile(scan.values))
    reports = split_progress(progress, [1.0] * len(method.views))
    whole = (slice(0, grid.z.count), slice(0, grid.y.count), slice(0, grid.x.count))
    part, predicted = whole, []
    for view, report in zip(method.views, reports):
        seen = order_axes(volume[part], "axial", view)
        of_part = order_axes(predict_bone(model, seen, method, report, f"Looking at the {view} view"), view, "axial")
        probability = torch.zeros(grid.shape)
        probability[part] = of_part
        if not predicted and not method.cubes:
            part = _bones_part(probability, grid, whole)
        predicted.append(probability)
    return BoneProbability(grid, fuse_views(predicted, method.fusion))


def leg_grid(scan: Scan, spacing_mm: float) -> Grid:
    """Return cubic voxels over the part of a scan that is not air.

    Raises:
        AnatomyNotFoundError: there is none.
    """
    coarse = Grid(*(Axis.covering(axis.low_mm, axis.high_mm, AIR_GRID_MM) for axis in scan.grid))
    level = AIR_LEVEL * scan_percentile(scan.values)
    components, voxels = label_components((resample_to(scan.values, scan.grid, coarse) > level).numpy())
    if len(voxels) == 1:
        raise AnatomyNotFoundError(f"No knee was found in '{scan.source}': it shows nothing but air; check the image.")
    large = np.flatnonzero(voxels >= LEAST_OF_LEG * voxels[1:].max())
    leg = Box.of_mask(np.isin(components, large[large > 0]), coarse).grown(LEG_MARGIN_MM).within(Box.of_grid(scan.grid))
    return Grid(*(Axis.covering(low, high, spacing_mm) for low, high in leg))


def predict_bone(
    model: Model, volume: torch.Tensor, method: LowFieldMethod, progress: Progress = no_progress, message: str = ""
) -> torch.Tensor:
    """Return the probability of bone, float32 of the shape of ``volume`` ``(D, H, W)``, on the processor.

    Raises:
        Cancelled: raised by ``progress`` between two windows.
    """
    size = CUBE_VOXELS if method.cubes or method.merging == "or" else WINDOW_VOXELS
    overlap = CUBE_OVERLAP if size == CUBE_VOXELS else WINDOW_OVERLAP
    channel = model.spec.classes.index(method.edge)
    step = round(size * (1.0 - overlap))
    count = prod(max(ceil((length - size) / step), 0) + 1 for length in volume.shape)
    done = 0

    def predict(windows: torch.Tensor) -> torch.Tensor:
        nonlocal done
        progress(min(done / count, 1.0), f"{message}, window {done + 1} of {count}")
        done += len(windows)
        logits = model.network(windows.to(model.device.torch_name))[:, channel : channel + 1].float()
        return (logits / model.spec.temperature).sigmoid().to("cpu")

    infer: Callable[..., object]
    if method.merging == "or":
        splitter = SlidingWindowSplitter((size,) * 3, overlap, pad_mode="constant")
        infer = PatchInferer(splitter=splitter, merger_cls=OrMerger, match_spatial_shape=True)
    else:
        infer = SlidingWindowInferer(roi_size=(size,) * 3, overlap=overlap, mode="gaussian", device="cpu")
    probability = cast("torch.Tensor", infer(volume[None, None], predict))
    progress(1.0, message)
    return probability[0, 0]


class OrMerger(Merger):
    """The highest probability that any of the overlapping cubes gives.

    Thresholded, that is the OR of the thresholded cubes.
    """

    def __init__(self, merged_shape: Sequence[int], cropped_shape: Sequence[int] | None = None) -> None:
        super().__init__(merged_shape=merged_shape, cropped_shape=cropped_shape, device="cpu")
        self._values = torch.zeros(self.merged_shape)

    def aggregate(self, values: torch.Tensor, location: Sequence[int]) -> None:
        """Add the probabilities ``(1, 1, d, h, w)`` of a cube."""
        place = (
            slice(None),
            slice(None),
            *(slice(start, start + size) for start, size in zip(location, values.shape[2:])),
        )
        torch.maximum(self._values[place], values, out=self._values[place])

    def finalize(self) -> torch.Tensor:
        """Return the merged probabilities, without padding."""
        return self._values[tuple(slice(0, size) for size in self.cropped_shape)]


def fuse_views(predicted: Sequence[torch.Tensor], fusion: ViewFusion) -> torch.Tensor:
    """Return one probability of several of the same shape.

    Those of ``majority``, ``or`` and ``and`` are the median, the largest and the least: above one half exactly where
    most views, any of them or all of them are.
    """
    stack = torch.stack(list(predicted))
    if fusion == "mean":
        return stack.mean(dim=0)
    if fusion == "majority":
        return stack.median(dim=0).values
    return stack.amax(dim=0) if fusion == "or" else stack.amin(dim=0)


def _bones_part(probability: torch.Tensor, grid: Grid, whole: ArrayBox) -> ArrayBox:
    """Where there may be bone: around all of it that is one piece of some size."""
    components, voxels = label_components((probability > 0.5).numpy())
    large = np.flatnonzero(voxels * float(np.prod(grid.spacing_mm)) > 1000.0)
    box = find_mask_box(np.isin(components, large[large > 0]))
    if box is None:
        return whole
    margins = [round(BONES_MARGIN_MM / step) for step in grid.spacing_mm]
    return grow_box(box, margins, grid.shape)
