"""Patch networks: a small 3D network applied to patches anywhere in a volume, of CT and MR alike.

MONAI's ``PatchInferer`` takes the patches from a splitter and gives what the network predicts of them to a merger. Ours
cut patches at given corners (along surfaces, at landmarks), and merge them by a window in which the middle of a patch
counts most."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import prod

import torch
from monai.inferers.inferer import PatchInferer
from monai.inferers.merger import Merger
from monai.inferers.splitter import Splitter

from KneeSegLib.bundles.model import Model
from KneeSegLib.geometry.boxes import ArrayBox
from KneeSegLib.inference.device import map_in_order
from KneeSegLib.inference.settings import FULL_WEIGHT, PATCH_BATCHES_AT_ONCE, PATCH_VOXELS, WINDOW_RAMP
from KneeSegLib.progress import Progress, no_progress

Corner = tuple[int, int, int]
"""The first voxel of a patch."""

Channels = Callable[[ArrayBox], torch.Tensor]
"""From the place of a patch to the network's input ``(C, d, h, w)``."""

Output = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""From probabilities ``(N, K, d, h, w)`` and the input ``(N, C, d, h, w)`` to what is merged ``(N, M, d, h, w)``."""


@dataclass(frozen=True)
class PatchSet:
    """Patches of one volume.

    Attributes:
        volume_shape: ``(D, H, W)`` of the volume.
        corners: where patches begin; all of them lie within the volume.
        channels: makes the network's input of a patch.
    """

    volume_shape: tuple[int, int, int]
    corners: Sequence[Corner]
    channels: Channels


@dataclass(frozen=True)
class MergedPatches:
    """What patches come to.

    Attributes:
        values: ``(M, D, H, W)`` float32, the mean over the patches times :attr:`weight`.
        weight: ``(D, H, W)`` how much the patches count, 0 (no patch) to 1.
    """

    values: torch.Tensor
    weight: torch.Tensor


def predict_patches(
    model: Model,
    patches: PatchSet,
    output: Output,
    progress: Progress = no_progress,
    message: str = "Patches",
) -> MergedPatches:
    """Apply a network to patches and take the mean of the outputs, the middle of a patch counting most.

    On a processor several batches are inferred side by side. They are merged in the order of the corners, so that the
    result does not depend on how many.

    Args:
        model: a patch network.
        patches: with at least one corner.
        output: what is merged, for example the probabilities themselves.

    Raises:
        ModelError: the model does not say how large its patches are.
        Cancelled: raised by ``progress`` between two patches.
    """
    shape = model.spec.require_patch().shape
    at_once = max(PATCH_VOXELS // prod(shape), 1)
    infer = PatchInferer(
        splitter=CornerSplitter(shape, patches, progress, message),
        merger_cls=WindowMerger,
        batch_size=at_once * PATCH_BATCHES_AT_ONCE,
        window=patch_window(shape),
    )

    def predict_batch(channels: torch.Tensor) -> torch.Tensor:
        logits = model.network(channels.to(model.device.torch_name)).float()
        probabilities = (logits / model.spec.temperature).softmax(dim=1).to("cpu")
        return output(probabilities, channels)

    def predict(channels: torch.Tensor) -> torch.Tensor:
        return torch.cat(list(map_in_order(predict_batch, channels.split(at_once), model.device)))

    merged = infer(torch.empty(0), predict)
    progress(1.0, f"{message} {len(patches.corners)} of {len(patches.corners)}")
    return merged


class CornerSplitter(Splitter):
    """Yields the input of each patch with its corner, and reports progress and takes a cancel between two of them."""

    def __init__(self, patch_shape: Corner, patches: PatchSet, progress: Progress, message: str) -> None:
        super().__init__(patch_size=patch_shape)
        self._patch_shape = patch_shape
        self._patches = patches
        self._progress = progress
        self._message = message

    def get_input_shape(self, inputs: torch.Tensor) -> tuple[int, ...]:
        return self._patches.volume_shape

    def get_padded_shape(self, inputs: torch.Tensor) -> tuple[int, ...]:
        return self._patches.volume_shape

    def __call__(self, inputs: torch.Tensor) -> Iterator[tuple[torch.Tensor, Corner]]:
        count = len(self._patches.corners)
        for number, corner in enumerate(self._patches.corners):
            self._progress(number / count, f"{self._message} {number} of {count}")
            place = patch_place(corner, self._patch_shape)
            yield self._patches.channels(place)[None], corner


class WindowMerger(Merger):
    """The mean of overlapping patches, each weighted by a window.

    Args:
        merged_shape: ``(1, M, D, H, W)``.
        window: ``(d, h, w)`` weights of a patch's voxels.
    """

    def __init__(
        self, merged_shape: Sequence[int], window: torch.Tensor, cropped_shape: Sequence[int] | None = None
    ) -> None:
        super().__init__(merged_shape=merged_shape, cropped_shape=cropped_shape, device="cpu")
        self._window = window
        self._values = torch.zeros(self.merged_shape[1:])
        self._weight = torch.zeros(self.merged_shape[2:])

    def aggregate(self, values: torch.Tensor, location: Sequence[int]) -> None:
        """Add the values ``(1, M, d, h, w)`` of a patch."""
        place = patch_place(location, self._window.shape)
        self._values[(slice(None), *place)].addcmul_(values[0], self._window)
        self._weight[place] += self._window

    def finalize(self) -> MergedPatches:
        """Return the mean; it fades out where the windows of all patches add up to less than ``FULL_WEIGHT``."""
        self._values /= self._weight.clamp(min=FULL_WEIGHT)
        return MergedPatches(self._values, (self._weight / FULL_WEIGHT).clamp(max=1.0))


def patch_window(shape: Sequence[int]) -> torch.Tensor:
    """Weights ``shape`` of a patch's voxels: one in its middle, falling to nearly zero over ``WINDOW_RAMP`` of its
    edge on either side."""
    rises = []
    for count in shape:
        from_side = torch.minimum(torch.arange(count), torch.arange(count).flip(0)) + 0.5
        rises.append(torch.sin(torch.pi / 2.0 * (from_side / (WINDOW_RAMP * count)).clamp(max=1.0)) ** 2)
    z, y, x = rises
    return torch.minimum(torch.minimum(z[:, None, None], y[:, None]), x)


def patch_place(corner: Sequence[int], shape: Sequence[int]) -> ArrayBox:
    """The voxels of a patch."""
    z, y, x = (slice(start, start + size) for start, size in zip(corner, shape))
    return z, y, x
