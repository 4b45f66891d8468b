"""Apply a coarse 3D network to a volume of any size, in overlapping stretches where it is long."""

from __future__ import annotations

import torch
from torch import nn

from KneeSegLib.progress import Progress, no_progress

STRETCH_SLICES = 128
OVERLAP_SLICES = 32


def coarse_probabilities(
    network: nn.Module,
    channels: torch.Tensor,
    device: torch.device | str = "cpu",
    progress: Progress = no_progress,
    message: str = "",
) -> torch.Tensor:
    """Return class probabilities for a coarse volume.

    Args:
        network: ``(1, C, D, H, W)`` to logits ``(1, K, D, H, W)``, for D, H, W multiples of ``network.stride``
            (default 16).
        channels: ``(C, D, H, W)``; zero has to mean "nothing there", it is what the volume is padded with.

    Returns:
        ``(K, D, H, W)`` float32 tensor on the processor. Neighbouring stretches fade into each other over their
        overlap.
    """
    stride = getattr(network, "stride", 16)
    depth, height, width = channels.shape[1:]
    starts = _starts(depth)
    result: torch.Tensor | None = None
    done = 0
    for position, start in enumerate(starts):
        progress(position / len(starts), message)
        stretch = channels[:, start : start + STRETCH_SLICES]
        size = stretch.shape[1:]
        # trailing padding only: the same shape always gives the same answer, wherever the volume was cropped
        padding = [amount for length in reversed(size) for amount in (0, -length % stride)]
        padded = nn.functional.pad(stretch, padding)[None].to(device)
        found = network(padded)[0, :, : size[0], :height, :width].softmax(dim=0).float().cpu()
        if result is None:
            result = torch.empty((found.shape[0], depth, height, width))
        overlap = done - start
        if overlap > 0:
            weight = (torch.arange(1, overlap + 1, dtype=torch.float32) / (overlap + 1))[:, None, None]
            result[:, start:done] += weight * (found[:, :overlap] - result[:, start:done])
        result[:, done : start + size[0]] = found[:, max(overlap, 0) :]
        done = start + size[0]
    progress(1.0, message)
    return result


def _starts(depth: int) -> list[int]:
    if depth <= STRETCH_SLICES:
        return [0]
    step = STRETCH_SLICES - OVERLAP_SLICES
    return [*range(0, depth - STRETCH_SLICES, step), depth - STRETCH_SLICES]
