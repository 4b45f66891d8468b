"""What a network sees of an image. Training and inference call the same functions, so that they cannot drift apart."""

from __future__ import annotations

from collections.abc import Sequence

import torch

BONE_WINDOW_HU = (200.0, 1900.0)
"""The window of the paper's second channel."""


def scale_hounsfield(hu: torch.Tensor) -> torch.Tensor:
    """The slice itself: HU clipped to -1000..3000, in thousands."""
    return hu.clamp(-1000.0, 3000.0) / 1000.0


def window_bone(hu: torch.Tensor) -> torch.Tensor:
    """HU clipped to 200..1900, scaled to 0..1."""
    low, high = BONE_WINDOW_HU
    return (hu.clamp(low, high) - low) / (high - low)


def laplacian(slices: torch.Tensor) -> torch.Tensor:
    """Five-point Laplacian within each slice ``(..., H, W)``; borders are repeated outward."""
    shape = slices.shape
    padded = torch.nn.functional.pad(slices.reshape(-1, 1, *shape[-2:]), (1, 1, 1, 1), mode="replicate")[:, 0]
    inner = padded[:, 1:-1, 1:-1]
    neighbours = padded[:, :-2, 1:-1] + padded[:, 2:, 1:-1] + padded[:, 1:-1, :-2] + padded[:, 1:-1, 2:]
    return (neighbours - 4.0 * inner).reshape(shape)


def slice_channels(
    volume_hu: torch.Tensor,
    slice_spacing_mm: float,
    positions: Sequence[int] | torch.Tensor,
    neighbour_offsets_mm: Sequence[float] = (),
) -> torch.Tensor:
    """Build the network's input for some slices of a volume.

    Channels: the slice, the slice window_bone to 200..1900 HU, the Laplacian of that window (the paper's three), then
    the slices that lie ``neighbour_offsets_mm`` away along the axis, interpolated linearly and repeated beyond the
    ends.

    Args:
        volume_hu: ``(D, H, W)`` float tensor in HU, slices from inferior to superior.
        slice_spacing_mm: distance of neighbouring slices.
        positions: indices of the wanted slices.
        neighbour_offsets_mm: signed distances, superior positive.

    Returns:
        ``(len(positions), 3 + len(neighbour_offsets_mm), H, W)`` float tensor.
    """
    positions = torch.as_tensor(positions, device=volume_hu.device)
    slices = volume_hu[positions]
    window = window_bone(slices)
    channels = [scale_hounsfield(slices), window, laplacian(window)]
    last = volume_hu.shape[0] - 1
    for offset_mm in neighbour_offsets_mm:
        place = (positions + offset_mm / slice_spacing_mm).clamp(0, last)
        below = place.floor().long()
        weight = (place - below).to(volume_hu.dtype)[:, None, None]
        above = (below + 1).clamp(max=last)
        channels.append(scale_hounsfield(torch.lerp(volume_hu[below], volume_hu[above], weight)))
    return torch.stack(channels, dim=1)


def patch_channels(hu: torch.Tensor, prior: torch.Tensor) -> torch.Tensor:
    """Three channels for the refinement: bone (200..1900 HU) and soft tissue (-200..400 HU), each scaled to 0..1, and
    the probability of the bone so far.

    Args:
        hu, prior: ``(..., D, H, W)`` float tensors, HU and 0..1.

    Returns:
        ``(..., 3, D, H, W)`` float tensor.
    """
    soft = (hu.clamp(-200.0, 400.0) + 200.0) / 600.0
    return torch.stack([window_bone(hu), soft, prior], dim=-4)


def localiser_channels(volume_hu: torch.Tensor) -> torch.Tensor:
    """Two channels for the coarse localiser: soft tissue (-300..300 HU) and bone (100..1300 HU), each scaled to 0..1.

    Args:
        volume_hu: ``(D, H, W)`` float tensor in HU, averaged (not sampled) to the coarse grid.

    Returns:
        ``(2, D, H, W)`` float tensor.
    """
    soft = (volume_hu.clamp(-300.0, 300.0) + 300.0) / 600.0
    bone = (volume_hu.clamp(100.0, 1300.0) - 100.0) / 1200.0
    return torch.stack([soft, bone])
