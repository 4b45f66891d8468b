"""The expressions of an exported bundle bring images onto the networks' grid and back as KneeSeg does."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from monai.bundle.config_parser import ConfigParser
from monai.data.meta_tensor import MetaTensor

from KneeSegLib.ct.joint_slices import joint_grid
from KneeSegLib.geometry.grid import Box, Grid
from KneeSegLib.geometry.resample import resample_to
from KneeSegLib.mr.slices import blur_across_slices, scan_percentile
from KneeSegLib.networks.ct_channels import slice_channels
from KneeSegLib.training.monai_bundle.expressions import (
    grid_entries,
    neighbouring_slices,
    percentile_scaled,
    slices_blurred,
)

STRIDE = 8


def expressions(**entries: str) -> ConfigParser:
    """A parser with the grid entries for cubes of 0.7 mm, and further ones."""
    parser = ConfigParser({"imports": ["$import math"], **grid_entries(0.7, 0.7, STRIDE), **entries})
    parser.parse()
    return parser


def as_image(values: np.ndarray | torch.Tensor, spacing_mm: tuple[float, ...]) -> Any:
    """A MONAI image of one channel from ``(D, H, W)``."""
    return MetaTensor(torch.as_tensor(values)[None], affine=np.diag([*spacing_mm, 1.0]))


def random_scan(shape: tuple[int, int, int], spacing_mm: tuple[float, float, float]) -> tuple[torch.Tensor, Grid]:
    values = torch.rand(shape, generator=torch.Generator().manual_seed(0))
    return values, Grid.of_scan(shape, spacing_mm)


def network_grid(scan: Grid) -> Grid:
    return joint_grid(Box.of_grid(scan), scan, (0.7, 0.7, 0.7), STRIDE, "right")


@pytest.mark.parametrize(
    "spacing_mm",
    [(0.7, 0.7, 0.7), (2.0, 0.9, 0.5), (0.3, 0.3125, 0.8), (0.45, 1.3, 0.699), (0.694, 0.36, 0.36)],
    ids=["same", "thick", "thin", "uneven", "hardly thinner"],
)
@pytest.mark.parametrize("shape", [(9, 30, 41), (12, 33, 24)])
def test_an_image_lies_on_the_grid_of_the_slice_stages_and_returns_from_it(shape, spacing_mm):
    values, scan = random_scan(shape, spacing_mm)
    there = expressions().get_parsed_content("onto_network_grid")(as_image(values, spacing_mm))
    grid = network_grid(scan)
    expected = resample_to(values, scan, grid)
    assert tuple(there.shape[1:]) == grid.shape and there.pixdim.tolist() == pytest.approx(grid.spacing_mm)
    assert there.affine[:3, 3].tolist() == pytest.approx([axis.first_mm for axis in grid], abs=1e-6)
    torch.testing.assert_close(there.as_tensor()[0], expected, atol=1e-5, rtol=0)
    back = expressions().get_parsed_content("onto_grid_of")(there, as_image(values, spacing_mm))
    torch.testing.assert_close(back.as_tensor()[0], resample_to(expected, grid, scan), atol=1e-5, rtol=0)


@pytest.mark.parametrize("offset_mm", [-8.0, -1.6, 1.6, 30.0])
def test_neighbouring_slices_are_the_channels_of_ct(offset_mm):
    values, _ = random_scan((11, 8, 8), (1.3, 0.7, 0.7))
    found = expressions(shift=neighbouring_slices(offset_mm)).get_parsed_content("shift")(
        as_image(values, (1.3, 0.7, 0.7))
    )
    expected = slice_channels(1000.0 * values, 1.3, range(11), (offset_mm,))[:, 3]
    torch.testing.assert_close(found.as_tensor()[0], expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("spacing_mm", [0.6, 1.5, 4.0])
def test_predictions_are_blurred_across_slices_as_in_mr(spacing_mm):
    values, _ = random_scan((6, 5, 4), (spacing_mm, 0.65, 0.65))
    image = as_image(values, (spacing_mm, 0.65, 0.65))
    found = expressions(blur=slices_blurred(0.6)).get_parsed_content("blur")(image)
    expected = blur_across_slices(values.permute(1, 2, 0)[None], spacing_mm)[0].permute(2, 0, 1)
    torch.testing.assert_close(found.as_tensor()[0], expected.float(), atol=1e-3, rtol=0)


def test_signal_is_scaled_by_the_percentile_of_mr():
    x_z_y = torch.rand((70, 130, 120), generator=torch.Generator().manual_seed(1)) ** 8
    image = as_image(x_z_y, (1.0, 1.0, 1.0))
    found = expressions(scaled=percentile_scaled()).get_parsed_content("scaled")(image)
    level = scan_percentile(x_z_y.permute(1, 2, 0).numpy())
    torch.testing.assert_close(found.as_tensor()[0], x_z_y / level)
