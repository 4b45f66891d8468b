"""The side on which joint models and semantic network agree."""

from __future__ import annotations

import pytest
import torch

from KneeSegLib.anatomy import BONES, JOINT_BONES
from KneeSegLib.ct.joint_slices import JointProbabilities
from KneeSegLib.ct.leg import JointRoi, Leg
from KneeSegLib.ct.semantics import SemanticProbabilities
from KneeSegLib.ct.settings import SIDE_CLEAR
from KneeSegLib.ct.side_check import measure_agreement, resolve_side
from KneeSegLib.geometry.grid import Axis, Grid
from KneeSegLib.quality.settings import BONE_CT_LIMITS

GRID = Grid(*(Axis(0.0, 3.0, 8) for _ in range(3)))


def sliced(bone: str) -> JointProbabilities:
    """A knee whose lower half is all ``bone``."""
    values = torch.zeros((1 + len(JOINT_BONES["knee"]), *GRID.shape), dtype=torch.float16)
    values[0, 4:] = 1.0
    values[1 + JOINT_BONES["knee"].index(bone), :4] = 1.0
    return JointProbabilities(JointRoi("knee", 0.0, 24.0), GRID, values)


def labelled(**probabilities: float) -> SemanticProbabilities:
    values = torch.zeros((len(BONES), *GRID.shape))
    for bone, probability in probabilities.items():
        values[BONES.index(bone)] = probability
    return SemanticProbabilities(GRID, values)


@pytest.mark.parametrize(
    ("names", "agreed"),
    [({"tibia": 1.0}, 1.0), ({"tibia": 0.7, "femur": 0.3}, 0.7), ({"femur": 1.0}, 0.0), ({"talus": 1.0}, 0.0)],
)
def test_agreement_is_the_fraction_of_bone_with_one_label(names, agreed):
    assert measure_agreement([sliced("tibia")], labelled(**names)) == pytest.approx(agreed, abs=1e-3)


def test_there_is_no_agreement_about_nothing():
    nothing = sliced("tibia")
    nothing.values[1:] = 0.0
    assert measure_agreement([nothing], labelled(tibia=1.0)) == 0.0


def test_a_resolved_side_is_no_close_decision_in_the_quality_result():
    assert BONE_CT_LIMITS.side_certainty <= SIDE_CLEAR


def leg(**more) -> Leg:
    usual = {"side": "right", "side_confidence": 0.1, "bones": {}, "joints": {}, "regions": {}, "grid": GRID}
    return Leg(**usual | {"uncertainties": ("A close decision.",)} | more)


@pytest.mark.parametrize(
    ("agreed", "side", "certainty"),
    [({"right": 0.9, "left": 0.45}, "right", 0.5), ({"right": 0.3, "left": 0.9}, "left", 2 / 3)],
)
def test_the_side_with_the_better_agreement_wins_and_is_certain(agreed, side, certainty):
    found = resolve_side(leg(), agreed)
    assert found.side == side and found.side_confidence == pytest.approx(certainty) and found.uncertainties == ()


@pytest.mark.parametrize(
    "agreed", [{"right": 0.8, "left": 0.8 / (1.0 - 0.9 * SIDE_CLEAR)}, {"right": 0.0, "left": 0.0}]
)
def test_what_stays_close_stays_uncertain(agreed):
    assert resolve_side(leg(), agreed) == leg()
