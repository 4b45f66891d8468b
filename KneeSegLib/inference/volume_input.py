"""What a network of whole bones sees of a CT: its gradient magnitude or itself, on a grid of one size, from 0 to 1.

Training and inference call the same function, so that they cannot drift apart. The order is that of the paper
(*V-Net with a gradient pre-processor*): the gradient of the full CT, then down-sampling, then scaling.
"""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk
import torch

from KneeSegLib.bundles.kinds import VolumeInput
from KneeSegLib.geometry.grid import Axis, Box, Grid
from KneeSegLib.inference.settings import VOLUME_HU


def stretch_grid(box: Box, shape: tuple[int, int, int]) -> Grid:
    """Return the grid of ``shape`` whose outer faces are those of a box, whatever spacings that takes."""
    axes = []
    for (low, high), count in zip(box, shape):
        step = (high - low) / count
        axes.append(Axis(low + 0.5 * step, step, count))
    return Grid(*axes)


def make_volume_input(hu: np.ndarray, scan: Grid, target: Grid, wanted: VolumeInput) -> torch.Tensor:
    """Return what the network sees: the gradient magnitude of a CT, or the CT, down-sampled and scaled to 0..1.

    The gradient is SimpleITK's, of the CT at its own resolution, which is what the paper calls its pre-processor;
    afterwards it is too late: down-sampling blurs the edges first. Only the part that the target needs, and one voxel
    around it, is computed: central differences reach no further.

    Args:
        hu: ``(D, H, W)`` values on ``scan``.
        target: of the network; its x axis may run the other way.

    Returns:
        ``(1, *target.shape)`` float32 tensor.
    """
    margin_mm = 2.0 * max(scan.spacing_mm)
    part = scan.slices_within(Box.of_grid(target).grown(margin_mm))
    image = _as_image(np.clip(hu[part].astype(np.float32), *VOLUME_HU), scan.part(part))
    if wanted == "gradient":
        image = sitk.GradientMagnitude(image)
    sampled = _sample(image, target, 0.0 if wanted == "gradient" else VOLUME_HU[0])
    low, high = sampled.min(), sampled.max()
    return ((sampled - low) / (high - low).clamp(min=1e-6))[None]


def sample_linearly(values: torch.Tensor, source: Grid, target: Grid) -> torch.Tensor:
    """Return ``values`` ``(D, H, W)`` on another grid, interpolated linearly and not averaged; 0 outside."""
    return _sample(_as_image(values.numpy(), source), target, 0.0)


def _as_image(values: np.ndarray, grid: Grid) -> sitk.Image:
    """An image in mm along the scan's axes; none of the grid's axes runs the other way."""
    image = sitk.GetImageFromArray(values)
    image.SetOrigin([axis.first_mm for axis in reversed(grid)])
    image.SetSpacing([axis.step_mm for axis in reversed(grid)])
    return image


def _sample(image: sitk.Image, target: Grid, outside: float) -> torch.Tensor:
    low_x = min(target.x.positions_mm[0], target.x.positions_mm[-1])
    sampled = sitk.Resample(
        image,
        [axis.count for axis in reversed(target)],
        sitk.Transform(),
        sitk.sitkLinear,
        [float(low_x), target.y.first_mm, target.z.first_mm],
        [axis.spacing_mm for axis in reversed(target)],
        [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0],
        outside,
        sitk.sitkFloat32,
    )
    values = torch.from_numpy(sitk.GetArrayFromImage(sampled))
    return values.flip(-1) if target.x.step_mm < 0 else values
