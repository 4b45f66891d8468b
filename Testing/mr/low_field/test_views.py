"""Probability of bone in three views: orders of axes, cubes that overlap, and how they become one."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from KneeSegLib.anatomy import BONE_EDGES
from KneeSegLib.errors import AnatomyNotFoundError, Cancelled, InputError
from KneeSegLib.mr.low_field import views
from KneeSegLib.mr.low_field.views import LowFieldMethod, fuse_views, leg_grid, predict_bone, predict_views
from KneeSegLib.networks.mr_channels import VIEWS, order_axes
from Testing.phantoms.models import model_of, scan_of


class Threshold(nn.Module):
    """Takes what is brighter than one half for bone; the cortex's channel everything brighter than one quarter."""

    def forward(self, windows: torch.Tensor) -> torch.Tensor:
        return torch.cat([windows - 0.5, windows - 0.25], dim=1) * 20.0


class ByPlace(nn.Module):
    """Is surer the later a voxel lies in its window, so that overlapping windows disagree."""

    def forward(self, windows: torch.Tensor) -> torch.Tensor:
        ramp = torch.linspace(-1.0, 1.0, windows.shape[-1]).expand_as(windows)
        return torch.cat([ramp, ramp], dim=1)


def bone_model(network: nn.Module):
    return model_of(network, BONE_EDGES, kind="mr-bone")


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(views, "CUBE_VOXELS", 8)
    monkeypatch.setattr(views, "WINDOW_VOXELS", 16)


def ellipsoid(shape=(30, 26, 22)):
    z, y, x = np.meshgrid(*(np.linspace(-1.0, 1.0, size) for size in shape), indexing="ij")
    return ((z / 0.7) ** 2 + (y / 0.5) ** 2 + (x / 0.8) ** 2 < 1.0).astype(np.float32)


@pytest.mark.parametrize("view", VIEWS)
def test_a_view_shows_the_same_voxels_in_another_order(view):
    volume = torch.arange(2 * 3 * 4).reshape(2, 3, 4)
    seen = order_axes(volume, "axial", view)
    assert torch.equal(order_axes(seen, view, "axial"), volume)
    z, y, x = 1, 2, 3
    place = {"axial": (z, y, x), "sagittal": (x, z, y), "coronal": (y, z, x)}[view]
    assert seen[place] == volume[z, y, x]


def test_fused_views_are_above_one_half_where_their_votes_say():
    torch.manual_seed(0)
    predicted = [torch.rand(5, 6, 7) for _ in range(3)]
    votes = torch.stack([values > 0.5 for values in predicted]).sum(dim=0)
    for fusion, least in (("or", 1), ("majority", 2), ("and", 3)):
        assert torch.equal(fuse_views(predicted, fusion) > 0.5, votes >= least)
    assert torch.allclose(fuse_views(predicted, "mean"), sum(predicted) / 3.0)


@pytest.mark.parametrize("cubes", [False, True])
@pytest.mark.parametrize("merging", ["mean", "or"])
def test_windows_of_any_kind_give_what_the_network_sees(small, cubes, merging):
    volume = torch.from_numpy(ellipsoid())
    method = LowFieldMethod(cubes=cubes, merging=merging)
    assert torch.equal(predict_bone(bone_model(Threshold()), volume, method) > 0.5, volume > 0.5)


def test_the_edge_decides_which_channel_is_read(small):
    volume = torch.full((16, 16, 16), 0.35)
    of_marrow, of_cortex = (predict_bone(bone_model(Threshold()), volume, LowFieldMethod(edge=e)) for e in BONE_EDGES)
    assert of_marrow.max() < 0.5 < of_cortex.min()


def test_cubes_merged_by_or_are_the_or_of_thresholded_cubes(small):
    volume = torch.zeros(8, 8, 20)
    found = predict_bone(bone_model(ByPlace()), volume, LowFieldMethod(cubes=True, merging="or")) > 0.5
    ramp = np.linspace(-1.0, 1.0, 8) > 0.0
    wanted = np.zeros(20, bool)
    for start in (0, 4, 8, 12):
        wanted[start : start + 8] |= ramp
    assert np.array_equal(found[0, 0].numpy(), wanted)
    mean = predict_bone(bone_model(ByPlace()), volume, LowFieldMethod(cubes=True)) > 0.5
    assert mean.sum() < found.sum()


def test_all_of_a_leg_is_predicted_in_every_view(small):
    scan = scan_of(1000.0 * ellipsoid())
    bone = predict_views(bone_model(Threshold()), scan, LowFieldMethod())
    inside = torch.from_numpy(ellipsoid()) > 0.5
    found = torch.zeros(inside.shape, dtype=torch.bool)
    found[scan.grid.slices_within(_box(bone.grid))] = bone.values > 0.5
    assert torch.equal(found, inside)
    assert bone.grid.y.count < 26, "air is left out"


def test_an_edge_that_the_network_does_not_give_is_one_sentence():
    model = model_of(Threshold(), ("marrow",), kind="mr-bone", name="mine")
    with pytest.raises(InputError, match="ends at the cortex was asked for, and the network mine gives marrow"):
        predict_views(model, scan_of(1000.0 * ellipsoid()), LowFieldMethod(edge="cortex"))


def test_air_alone_holds_no_knee():
    with pytest.raises(AnatomyNotFoundError, match="nothing but air"):
        leg_grid(scan_of(np.zeros((20, 20, 20), np.float32)), 1.0)


def test_a_cancel_is_heeded_between_windows(small):
    def stop(fraction: float, message: str = "") -> None:
        if fraction > 0.0:
            raise Cancelled("enough")

    with pytest.raises(Cancelled):
        predict_views(bone_model(Threshold()), scan_of(1000.0 * ellipsoid()), LowFieldMethod(), stop)


def _box(grid):
    from KneeSegLib.geometry.grid import Box

    return Box.of_grid(grid).grown(-0.01)
