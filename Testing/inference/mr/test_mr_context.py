import numpy as np
import pytest
import torch
from torch import nn

from KneeSegLib.inference.axes import Axis, Grid
from KneeSegLib.inference.device import find_device
from KneeSegLib.inference.mr.context import RULING, Ruling, context_probabilities, possible, within_context
from KneeSegLib.inference.mr.slices import KneeProbabilities

CLASSES = ("background", "femur", "tibia", "femoral_cartilage")
CONTEXT_CLASSES = CLASSES[:3]
FINE = Grid(Axis(0.0, 1.0, 40), Axis(0.0, 1.0, 24), Axis(0.0, 1.0, 24))
COARSE = Grid(Axis(0.5, 2.0, 20), Axis(0.5, 2.0, 12), Axis(0.5, 2.0, 12))


class BrightIsFemur(nn.Module):
    stride = 8

    def forward(self, volume: torch.Tensor) -> torch.Tensor:
        femur = 20.0 * (volume[:, 0] - 0.5)
        return torch.stack([-femur, femur, torch.full_like(femur, -20.0)], dim=1)


def certain(grid: Grid, classes: tuple[str, ...], **places: tuple[slice, slice, slice]) -> KneeProbabilities:
    """Each place is of one class for sure, the rest is background."""
    values = torch.zeros(len(classes), *grid.shape, dtype=torch.float16)
    values[0] = 1.0
    for name, place in places.items():
        values[(slice(None), *place)] = 0.0
        values[(classes.index(name), *place)] = 1.0
    return KneeProbabilities(grid, values, classes)


def doubtful(likely: KneeProbabilities, share: float = 0.9) -> KneeProbabilities:
    values = share * likely.values.float() + (1.0 - share) / len(likely.classes)
    return KneeProbabilities(likely.grid, values.half(), likely.classes)


UPPER, LOWER = (slice(20, 40), slice(0, 24), slice(0, 24)), (slice(0, 20), slice(0, 24), slice(0, 24))
UPPER_HALF = (slice(10, 20), slice(0, 12), slice(0, 12))


def test_the_networks_answer_lies_where_the_image_showed_it():
    signal = np.zeros(FINE.shape, np.int16)
    signal[24:34, 4:12, 14:20] = 300
    network = BrightIsFemur()
    found = context_probabilities(network, CONTEXT_CLASSES, signal, FINE, 2.0, find_device("cpu"))
    assert found.grid == COARSE and found.classes == CONTEXT_CLASSES
    expected = np.zeros(COARSE.shape, bool)
    expected[12:17, 2:6, 7:10] = True
    assert np.array_equal((found.of("femur") > 0.5).numpy(), expected)


def test_a_bone_is_gone_where_the_whole_knee_shows_none_of_it():
    slices = doubtful(certain(FINE, CLASSES, tibia=UPPER))
    context = certain(COARSE, CONTEXT_CLASSES, femur=UPPER_HALF)
    ruled = within_context(slices, context)
    assert (slices.of("tibia")[30:] > 0.9).all()
    assert (ruled.of("femur")[30:] > 0.4).all() and (ruled.of("tibia")[30:] < 0.6).all()
    assert torch.allclose(ruled.values.float().sum(dim=0), torch.ones(FINE.shape), atol=4e-3)


def test_edges_stay_where_the_slices_saw_them():
    place = (slice(20, 40), slice(0, 24), slice(0, 24))
    slices = doubtful(certain(FINE, CLASSES, femur=place), 0.7)
    for moved in (9, 10, 11):  # a coarse voxel further down or up
        context = certain(COARSE, CONTEXT_CLASSES, femur=(slice(moved, 20), slice(0, 12), slice(0, 12)))
        ruled = within_context(slices, context)
        assert np.array_equal(ruled.values.argmax(dim=0).numpy(), slices.values.argmax(dim=0).numpy()), moved


def test_cartilage_may_be_where_no_bone_is_said_to_be():
    slices = doubtful(certain(FINE, CLASSES, femoral_cartilage=LOWER))
    ruled = within_context(slices, certain(COARSE, CONTEXT_CLASSES, femur=UPPER_HALF))
    assert (ruled.of("femoral_cartilage")[:16] > 0.9).all()


def test_slices_that_are_sure_are_overruled_only_so_far():
    slices = certain(FINE, CLASSES, tibia=UPPER)
    ruled = within_context(slices, certain(COARSE, CONTEXT_CLASSES, femur=UPPER_HALF))
    assert torch.allclose(ruled.values.float(), slices.values.float(), atol=1e-3)


@pytest.mark.parametrize("reach", [1, 2])
def test_what_is_near_is_possible(reach):
    likely = torch.zeros(1, 9, 9, 9)
    likely[0, 4, 4, 4] = 1.0
    allowed = possible(likely, Ruling(reach_voxels=reach, least=0.1))[0]
    assert int((allowed == 1.0).sum()) == (2 * reach + 1) ** 3
    assert allowed.min() == pytest.approx(0.1)
    assert RULING.least > 0.0
