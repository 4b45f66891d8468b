"""Slice networks: a 2D network applied to the slices of a volume, of CT and MR alike.

MONAI's ``SliceInferer`` runs over slabs of a few slices, so that memory stays that of a slab. On a processor two slabs
are inferred side by side (:func:`~KneeSegLib.inference.device.map_in_order`), each by an inferer of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from monai.inferers.inferer import SliceInferer

from KneeSegLib.bundles.model import Model
from KneeSegLib.inference.device import map_in_order
from KneeSegLib.inference.settings import SLAB_PIXELS
from KneeSegLib.progress import Progress, no_progress

Channels = Callable[[torch.Tensor], torch.Tensor]
"""From the positions ``(n,)`` of some slices to the network's input ``(n, C, H, W)``."""


@dataclass(frozen=True)
class SliceStack:
    """The slices of a volume that a network is to be applied to.

    Attributes:
        positions: ``(N,)`` integers, in the order of the result.
        shape: ``(H, W)`` of a slice, multiples of the network's stride.
        channels: makes the network's input of some positions, see
            :func:`~KneeSegLib.networks.ct_channels.slice_channels` and
            :func:`~KneeSegLib.networks.mr_channels.mr_slice_channels`.
    """

    positions: torch.Tensor
    shape: tuple[int, int]
    channels: Channels


def predict_slices(
    model: Model, stack: SliceStack, progress: Progress = no_progress, message: str = "Slices"
) -> torch.Tensor:
    """Return class probabilities ``(K, N, H, W)``, float16 on the processor, of the slices of a stack.

    Logits are divided by the model's temperature before the softmax.

    Raises:
        Cancelled: raised by ``progress`` between two slabs.
    """
    slabs = stack.positions.split(max(SLAB_PIXELS // (stack.shape[0] * stack.shape[1]), 1))
    classes, count = len(model.spec.classes), len(stack.positions)
    probabilities = torch.empty((classes, count, *stack.shape), dtype=torch.float16)
    done = 0
    progress(0.0, f"{message} 0 of {count}")
    for slab in map_in_order(partial(_predict_slab, model, stack), slabs, model.device):
        probabilities[:, done : done + slab.shape[1]] = slab
        done += slab.shape[1]
        progress(done / count, f"{message} {done} of {count}")
    return probabilities


def _predict_slab(model: Model, stack: SliceStack, positions: torch.Tensor) -> torch.Tensor:
    """Probabilities ``(K, n, H, W)`` of a slab. SliceInferer changes itself in a call: one for each slab."""
    infer = SliceInferer(roi_size=stack.shape, sw_batch_size=len(positions), spatial_dim=0)
    slab = stack.channels(positions).movedim(0, 1)[None]
    logits = infer(slab, lambda slices: model.network(slices.contiguous(memory_format=torch.channels_last)))
    return (logits[0] / model.spec.temperature).softmax(dim=0).to("cpu", torch.float16)
