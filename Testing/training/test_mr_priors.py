"""Probabilities that are nearly right."""

from dataclasses import replace

import pytest
import torch

from KneeSegLib.training.mr_priors import KneePriorErrors, displaced, imperfect_shares

NONE = KneePriorErrors(
    wave_mm=(0.0, 0.0), softness_mm=(0.0, 0.0), gain=(0.0, 0.0), lump_probability=0.0, certainty=(1.0, 1.0)
)


def shares():
    """A plate of femur, a sheet of its cartilage and background, in nine classes."""
    classes = torch.zeros(24, 24, 24, dtype=torch.long)
    classes[:, :10] = 1
    classes[:, 10:13] = 5
    return torch.nn.functional.one_hot(classes, 9).movedim(-1, 0).float()


def made(errors, seed=0, apart_mm=0.5):
    return imperfect_shares(shares(), 0.5, apart_mm, errors, torch.Generator().manual_seed(seed))


def test_without_errors_the_truth_comes_back():
    assert torch.allclose(made(NONE), shares(), atol=1e-4)


def test_probabilities_stay_probabilities():
    for seed in range(4):
        likely = made(KneePriorErrors(), seed)
        assert likely.min() >= 0.0
        assert torch.allclose(likely.sum(dim=0), torch.ones(24, 24, 24), atol=1e-4)


@pytest.mark.parametrize(
    "changed", [{"wave_mm": (0.8, 0.8)}, {"gain": (0.9, 0.9)}, {"lump_probability": 1.0}, {"certainty": (0.7, 0.7)}]
)
def test_each_error_makes_a_difference_and_the_same_seed_the_same(changed):
    soft = replace(NONE, softness_mm=(0.4, 0.4))
    errors = replace(soft, **changed)
    assert (made(errors) - made(soft)).abs().mean() > 1e-3
    assert torch.equal(made(errors), made(errors))


def test_thick_slices_blur_across_and_not_along():
    across = shares().transpose(1, 2)  # the plate lies across slices
    blurred = imperfect_shares(across, 0.5, 4.0, NONE, torch.Generator())
    along = made(NONE, apart_mm=4.0)
    assert (blurred - across).abs().max() > 0.3
    assert (along - shares()).abs().max() < 1e-3


def test_fields_are_read_where_the_offsets_point():
    field = torch.arange(5.0).expand(1, 5, 5, 5).clone()
    offset = torch.zeros(3, 5, 5, 5)
    offset[2] = 1.0
    assert displaced(field, offset)[0, 2, 2].tolist() == pytest.approx([1.0, 2.0, 3.0, 4.0, 4.0])
