"""Edges from the slices, labels from the networks that see the whole leg."""

import numpy as np
import pytest
import torch

from KneeSegLib.anatomy import BONES, JOINT_BONES, SIDES
from KneeSegLib.ct.fusion import fuse_probabilities, weights_for
from KneeSegLib.ct.joint_slices import JointProbabilities
from KneeSegLib.ct.leg import JointRoi
from KneeSegLib.ct.localise import CoarseProbabilities
from KneeSegLib.ct.semantics import SemanticProbabilities
from KneeSegLib.ct.settings import FusionWeights
from KneeSegLib.geometry.grid import Axis, Grid

GRID = Grid(*(Axis(0.0, 1.0, 4) for _ in range(3)))
ANKLE = JOINT_BONES["ankle"]
TALUS = ANKLE.index("talus")
USUAL = FusionWeights()


def sliced(with_other: bool = True, **probabilities: float) -> JointProbabilities:
    """The same probabilities everywhere; what is missing to one is background."""
    channels = ["background", *ANKLE, *(["other"] if with_other else [])]
    probabilities = {"background": 1.0 - sum(probabilities.values()), **probabilities}
    values = torch.tensor([probabilities.get(name, 0.0) for name in channels])
    return JointProbabilities(
        JointRoi("ankle", 0.0, 4.0), GRID, values[:, None, None, None].expand(-1, *GRID.shape).half()
    )


def labelled(**probabilities: float) -> SemanticProbabilities:
    values = torch.tensor([probabilities.get(bone, 0.0) for bone in BONES])
    return SemanticProbabilities(GRID, values[:, None, None, None].expand(-1, *GRID.shape))


def both_legs(right: float, left: float) -> CoarseProbabilities:
    """A localiser that sees nothing but how likely a place belongs to either leg."""
    bones = {side: np.zeros((len(BONES), *GRID.shape), np.float32) for side in SIDES}
    bones["right"][BONES.index("talus")], bones["left"][BONES.index("talus")] = right, left
    return CoarseProbabilities(GRID, bones, np.zeros(GRID.shape), np.full(GRID.shape, 1.0 - right - left))


def fused(joint, semantics, localiser=None, weights=USUAL):
    return fuse_probabilities(joint, semantics, localiser, "right", weights)


def at_a_voxel(joint: JointProbabilities) -> torch.Tensor:
    assert joint.values.shape == (1 + len(ANKLE), *GRID.shape)
    assert torch.allclose(joint.values.float().sum(dim=0), torch.ones(GRID.shape), atol=2e-3)
    return joint.values[:, 1, 1, 1].float()


def test_a_bone_that_slices_call_another_gets_its_name_back():
    """Slices are sure of bone and wrong about which; the semantic network knows."""
    found = at_a_voxel(fused(sliced(talus=0.2, other=0.78), labelled(talus=0.95)))
    assert found[1 + TALUS] > 0.75


def test_a_bone_that_both_call_another_is_background():
    found = at_a_voxel(fused(sliced(talus=0.2, other=0.78), labelled(talus=0.05)))
    assert found[0] > 0.9


def test_the_probability_of_bone_stays_what_the_slices_say():
    found = at_a_voxel(fused(sliced(talus=0.55, calcaneus=0.05), labelled(talus=0.99)))
    assert found[1:].sum().item() == pytest.approx(0.6, abs=0.03)


def test_slices_without_a_class_for_other_bones_can_be_named_all_the_same():
    found = at_a_voxel(fused(sliced(with_other=False, calcaneus=0.6, talus=0.38), labelled(talus=0.95)))
    assert found[1 + TALUS] > 0.85


def test_of_two_legs_the_other_one_is_background():
    this = at_a_voxel(fused(sliced(talus=0.6, other=0.3), labelled(talus=0.6), both_legs(0.9, 0.0)))
    that = at_a_voxel(fused(sliced(talus=0.6, other=0.3), labelled(talus=0.6), both_legs(0.0, 0.9)))
    assert this[1 + TALUS] > 0.8
    assert that[1 + TALUS] < 0.5


def scan_of(spacing_mm: float) -> Grid:
    return Grid.of_scan((10, 10, 10), (spacing_mm, 0.8, 0.8))


def test_where_voxels_fill_the_gap_of_a_hip_the_slices_name():
    torn = sliced(talus=0.9, calcaneus=0.08), labelled(calcaneus=0.95, talus=0.05)
    fine, coarse = (at_a_voxel(fused(*torn, weights=weights_for("hip", scan_of(mm)))) for mm in (1.0, 3.0))
    assert fine.argmax() == 1 + ANKLE.index("calcaneus")
    assert coarse.argmax() == 1 + TALUS


def test_slices_of_a_hip_count_the_more_the_coarser_the_scan():
    counts = [weights_for("hip", scan_of(mm)).slices for mm in (0.4, 1.5, 2.0, 2.5, 3.0, 6.0)]
    assert counts[0] == counts[1] == USUAL.slices and counts[4] == counts[5]
    assert counts[1] < counts[2] < counts[3] < counts[4]
    assert weights_for("hip", scan_of(3.0)).propagated < weights_for("hip", scan_of(2.0)).propagated < USUAL.propagated
    assert weights_for("knee", scan_of(3.0)) == USUAL
