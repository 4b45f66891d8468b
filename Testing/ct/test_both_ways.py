"""The side on which specialists and naming network agree."""

from __future__ import annotations

import pytest
import torch

from KneeSegLib.anatomy import BONES, JOINT_BONES
from KneeSegLib.ct.both_ways import CLEAR, agreement, settled
from KneeSegLib.ct.legs import Leg
from KneeSegLib.ct.naming import Names
from KneeSegLib.ct.seams import Share
from KneeSegLib.ct.slices import JointProbabilities
from KneeSegLib.geometry.grid import Axis, Grid
from KneeSegLib.quality.settings import BONE_CT_LIMITS

GRID = Grid(*(Axis(0.0, 3.0, 8) for _ in range(3)))


def sliced(bone: str) -> JointProbabilities:
    """A knee whose lower half is all ``bone``."""
    values = torch.zeros((1 + len(JOINT_BONES["knee"]), *GRID.shape), dtype=torch.float16)
    values[0, 4:] = 1.0
    values[1 + JOINT_BONES["knee"].index(bone), :4] = 1.0
    return JointProbabilities(Share("knee", 0.0, 24.0), GRID, values)


def named(**likely: float) -> Names:
    values = torch.zeros((len(BONES), *GRID.shape))
    for bone, share in likely.items():
        values[BONES.index(bone)] = share
    return Names(GRID, values)


@pytest.mark.parametrize(
    ("names", "agreed"),
    [({"tibia": 1.0}, 1.0), ({"tibia": 0.7, "femur": 0.3}, 0.7), ({"femur": 1.0}, 0.0), ({"talus": 1.0}, 0.0)],
)
def test_agreement_is_the_share_of_bone_with_one_name(names, agreed):
    assert agreement([sliced("tibia")], named(**names)) == pytest.approx(agreed, abs=1e-3)


def test_there_is_no_agreement_about_nothing():
    nothing = sliced("tibia")
    nothing.values[1:] = 0.0
    assert agreement([nothing], named(tibia=1.0)) == 0.0


def test_a_settled_side_is_no_close_decision_in_the_quality_result():
    assert BONE_CT_LIMITS.side_certainty <= CLEAR


def leg(**more) -> Leg:
    usual = {"side": "right", "side_confidence": 0.1, "bones": {}, "joints": {}, "regions": {}, "grid": GRID}
    return Leg(**usual | {"doubts": ("A close decision.",)} | more)


@pytest.mark.parametrize(
    ("agreed", "side", "certainty"),
    [({"right": 0.9, "left": 0.45}, "right", 0.5), ({"right": 0.3, "left": 0.9}, "left", 2 / 3)],
)
def test_the_side_with_the_better_agreement_wins_and_ends_the_doubt(agreed, side, certainty):
    found = settled(leg(), agreed)
    assert found.side == side and found.side_confidence == pytest.approx(certainty) and found.doubts == ()


@pytest.mark.parametrize("agreed", [{"right": 0.8, "left": 0.8 / (1.0 - 0.9 * CLEAR)}, {"right": 0.0, "left": 0.0}])
def test_what_stays_close_stays_in_doubt(agreed):
    assert settled(leg(), agreed) == leg()
