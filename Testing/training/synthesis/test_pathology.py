"""Outgrowths, cysts and scars do to a bone what they are named for."""

import pytest
import torch

from KneeSegLib.training.synthesis.pathology import add_cysts, add_growth_plate_scar, add_osteophytes
from KneeSegLib.training.synthesis.scene import Scene


@pytest.fixture
def slab() -> Scene:
    """Bone below the middle row of a block of 40 x 80 x 80 voxels of 1 mm, the surface flat."""
    shape = (40, 80, 80)
    distance = (39.5 - torch.arange(80.0))[None, :, None].expand(shape)
    one = torch.ones(shape)
    return Scene(distance, (3 * one).byte(), one, distance.clamp(min=0.0), one.bool(), 1.0)


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_osteophytes_grow_outward_a_few_millimetres_and_in_patches(slab):
    grown = [add_osteophytes(slab, seeded(seed)) for seed in range(6)]
    for scene in grown:
        change = slab.distance_mm - scene.distance_mm
        assert change.min() >= 0.0 and change.max() <= 4.0
    surface = slice(35, 39)  # the four millimetres over the surface
    filled = torch.stack([(scene.distance_mm[:, surface] < 0).float().mean() for scene in grown])
    assert 0.005 < filled.mean() < 0.3


def test_osteophytes_leave_what_is_far_from_the_surface(slab):
    grown = add_osteophytes(slab, seeded(1))
    far = slab.distance_mm > 6.0
    assert torch.equal(grown.distance_mm[far], slab.distance_mm[far])


def test_cysts_hold_fluid_within_a_dense_rim(slab):
    spongy = torch.full(slab.distance_mm.shape, 250.0)
    with_some = add_cysts(spongy, slab, seeded(4))
    fluid, rim = with_some < 75.0, with_some > 300.0
    assert 0.001 < fluid.float().mean() < 0.1
    assert rim.any()
    assert (with_some == 250.0).float().mean() > 0.7


def test_a_scar_is_a_thin_dense_sheet_across_the_bone(slab):
    spongy = torch.full(slab.distance_mm.shape, 200.0)
    dense = add_growth_plate_scar(spongy, slab, seeded(2)) > 250.0
    columns = dense.sum(dim=0)
    assert (columns > 0).float().mean() > 0.4
    assert columns.float()[columns > 0].mean() < 5.0
