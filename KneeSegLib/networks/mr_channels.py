"""What a network sees of an MR image. Training and inference call the same functions, so that they cannot drift apart.

MR has no unit: an image is scaled by its own bright tissue. Volumes are ``(D, H, W)``: slices right to left (or left to
right: the networks do not ask), rows upward, columns front to back.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch

View = Literal["axial", "sagittal", "coronal"]
"""An order of a volume's axes: those of the view's own slices come last."""
VIEWS: tuple[View, ...] = ("axial", "sagittal", "coronal")
_AXES: dict[View, str] = {"axial": "zyx", "sagittal": "xzy", "coronal": "yzx"}

PERCENTILE_FRACTION = 0.99
CEILING = 2.0
SAMPLED_VALUES = 100_000


def intensity_percentile(volume: torch.Tensor) -> float:
    """The value that 1 % of the voxels exceed, estimated from evenly spread ones; never 0."""
    values = volume.reshape(-1)
    values = values[:: max(1, len(values) // SAMPLED_VALUES)]
    return max(float(torch.quantile(values.float(), PERCENTILE_FRACTION)), 1e-6)


def scale_signal(volume: torch.Tensor, level: float) -> torch.Tensor:
    """The image as a fraction of its intensity percentile, 0 to 2."""
    return (volume / level).clamp(0.0, CEILING)


def mr_slice_channels(
    volume: torch.Tensor,
    slice_spacing_mm: float,
    positions: Sequence[int] | torch.Tensor,
    neighbour_offsets_mm: Sequence[float] = (),
) -> torch.Tensor:
    """Build the network's input for some slices of a scaled volume.

    Channels: the slice, then what lies ``neighbour_offsets_mm`` away along the slices' axis, interpolated linearly
    between slices and repeated beyond the ends.

    Args:
        volume: ``(D, H, W)``, from :func:`scale_signal`.
        slice_spacing_mm: distance of neighbouring slices.
        positions: indices of the wanted slices.
        neighbour_offsets_mm: signed distances, towards later slices positive.

    Returns:
        ``(len(positions), 1 + len(neighbour_offsets_mm), H, W)`` float tensor.
    """
    positions = torch.as_tensor(positions, device=volume.device)
    channels = [volume[positions]]
    last = volume.shape[0] - 1
    for offset_mm in neighbour_offsets_mm:
        place = (positions + offset_mm / slice_spacing_mm).clamp(0, last)
        before = place.floor().long()
        weight = (place - before).to(volume.dtype)[:, None, None]
        channels.append(torch.lerp(volume[before], volume[(before + 1).clamp(max=last)], weight))
    return torch.stack(channels, dim=1)


def mr_patch_channels(patch: torch.Tensor, probabilities: torch.Tensor) -> torch.Tensor:
    """The scaled signal, then the probability of each class but the background so far.

    A patch of two centimetres shows edges and hides what they are edges of: names come from the slices.

    Args:
        patch: ``(..., D, H, W)``, from :func:`scale_signal`.
        probabilities: ``(..., C, D, H, W)`` probabilities, background first.

    Returns:
        ``(..., C, D, H, W)``.
    """
    return torch.cat([patch.unsqueeze(-4), probabilities[..., 1:, :, :, :]], dim=-4)


def order_axes(volume: torch.Tensor, given: View, wanted: View) -> torch.Tensor:
    """Return a volume ``(..., D, H, W)`` in the order of another view: axial (z, y, x), sagittal (x, z, y), coronal
    (y, z, x). No voxel changes its value, and no axis its direction."""
    first = volume.ndim - 3
    order = [first + _AXES[given].index(axis) for axis in _AXES[wanted]]
    return volume.permute(*range(first), *order)
