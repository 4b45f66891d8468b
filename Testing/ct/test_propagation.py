"""Names spread within solid bone and stop at gaps."""

import pytest
import torch

from KneeSegLib.ct.propagation import propagate_fractions
from KneeSegLib.geometry.grid import Axis, Grid

SPACING_MM = 0.7
GRID = Grid(*(Axis(0.0, SPACING_MM, size) for size in (36, 36, 72)))


def two_bones(gap_mm: float) -> torch.Tensor:
    """Two blocks of 25 x 25 x 25 mm side by side with a gap between them."""
    bone = torch.ones(GRID.shape)
    half = round(gap_mm / SPACING_MM / 2)
    if half:
        bone[:, :, 36 - half : 36 + half] = 0.0
    return bone


def first_named_wrong_in_a_corner() -> torch.Tensor:
    """The left block is called the first name, a third of it mostly the second, as is the right block."""
    shares = torch.zeros(2, *GRID.shape)
    shares[0, :, :, :36] = 1.0
    shares[0, :, :, 24:36] = 0.35
    shares[1] = 1.0 - shares[0]
    return shares


def test_a_wrong_part_is_outvoted_by_the_rest_of_its_bone():
    spread, coarse = propagate_fractions(two_bones(2.8), first_named_wrong_in_a_corner(), GRID)
    assert coarse.x.spacing_mm == pytest.approx(2.1) and spread.shape[1:] == coarse.shape
    wrong_part = spread[0, 6, 6, 9:11]
    assert (wrong_part > 0.5).all()


def test_names_do_not_cross_a_gap():
    spread, _ = propagate_fractions(two_bones(2.8), first_named_wrong_in_a_corner(), GRID)
    assert (spread[1, :, :, 14:] > 0.99).all()


def test_without_a_gap_they_do():
    spread, _ = propagate_fractions(two_bones(0.0), first_named_wrong_in_a_corner(), GRID)
    assert (spread[1, 6, 6, 14] < 0.95).all()


def test_shares_still_add_up_to_one():
    spread, _ = propagate_fractions(two_bones(2.8), first_named_wrong_in_a_corner(), GRID)
    bone = torch.nn.functional.avg_pool3d(two_bones(2.8)[None], 3)[0] > 0.3
    assert torch.allclose(spread.sum(dim=0)[bone], torch.ones(int(bone.sum())), atol=0.02)


def test_no_bone_at_all_is_no_trouble():
    spread, _ = propagate_fractions(torch.zeros(GRID.shape), torch.zeros(3, *GRID.shape), GRID)
    assert not spread.any()


def test_thick_slices_are_nodes_of_their_own():
    thick = Grid(Axis(0.0, 3.0, 8), *GRID[1:])
    _, coarse = propagate_fractions(torch.ones(thick.shape), torch.ones(1, *thick.shape), thick)
    assert coarse.z.count == 8 and coarse.y.count == 12
