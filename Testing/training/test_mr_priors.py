"""Probabilities that are wrong as those of slices are, and no more than asked."""

from dataclasses import replace

import pytest
import torch

from KneeSegLib.training.mr_priors import KneePriorErrors, displaced, imperfect_shares, renamed
from KneeSegLib.training.synthesis.mr.structures import CLASSES

NONE = KneePriorErrors(
    wave_mm=(0.0, 0.0), softness_mm=(0.0, 0.0), gain=(0.0, 0.0), lump_probability=0.0, certainty=(1.0, 1.0)
)
FEMUR, CARTILAGE = CLASSES.index("femur"), CLASSES.index("femoral_cartilage")


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def layered() -> torch.Tensor:
    """Femur above, its cartilage below that, background at the bottom; 24 voxels along each axis."""
    shares = torch.zeros(len(CLASSES), 24, 24, 24)
    shares[FEMUR, :, 14:] = 1.0
    shares[CARTILAGE, :, 9:14] = 1.0
    shares[0] = 1.0 - shares[1:].sum(dim=0)
    return shares


def spoilt(apart_mm: float = 0.5, seed: int = 0, errors: KneePriorErrors = NONE, **changes) -> torch.Tensor:
    return imperfect_shares(layered(), 0.5, apart_mm, replace(errors, **changes), seeded(seed))


def test_without_errors_the_truth_comes_back():
    assert torch.allclose(spoilt(), layered(), atol=1e-4)


@pytest.mark.parametrize("seed", range(4))
def test_probabilities_stay_probabilities(seed):
    likely = spoilt(seed=seed, errors=KneePriorErrors())
    assert likely.min() >= 0.0
    assert torch.allclose(likely.sum(dim=0), torch.ones(24, 24, 24), atol=1e-4)


def test_the_same_seed_makes_the_same_errors_and_another_one_does_not():
    first, again, other = (spoilt(seed=seed, errors=KneePriorErrors(), lump_probability=1.0) for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_waves_move_edges_by_about_their_standard_deviation():
    likely = spoilt(wave_mm=(1.0, 1.0), wavelength_mm=(4.0, 4.0))
    height = (likely[FEMUR] > 0.5).float().sum(dim=1) * 0.5
    assert 0.4 < float(height.std()) < 1.6
    assert float(height.mean()) == pytest.approx(5.0, abs=0.8)


def test_softness_blurs_edges():
    soft = spoilt(softness_mm=(1.0, 1.0))[FEMUR, 12, :, 12]
    assert 0.05 < float(soft[12]) < 0.45 and 0.55 < float(soft[15]) < 0.95


def test_thick_slices_blur_across_and_not_along():
    across = layered().transpose(1, 2)  # the layers lie across slices
    blurred = imperfect_shares(across, 0.5, 4.0, NONE, seeded())
    assert (blurred - across).abs().max() > 0.3
    assert (spoilt(apart_mm=4.0) - layered()).abs().max() < 1e-3


def test_cartilage_is_too_likely_or_too_unlikely_and_bone_is_neither():
    shares = layered()
    shares[FEMUR] *= 0.5
    shares[CARTILAGE] *= 0.5
    shares[0] = 1.0 - shares[1:].sum(dim=0)
    likely = imperfect_shares(shares, 0.5, 0.0, replace(NONE, gain=(1.0, 1.0), gain_mm=(4.0, 4.0)), seeded(1))
    assert float(likely[CARTILAGE, :, 10:13].std()) > 0.1
    assert torch.allclose(likely[FEMUR, :, 16:], shares[FEMUR, :, 16:], atol=1e-5)


def test_certainty_is_the_highest_probability():
    likely = spoilt(apart_mm=0.0, certainty=(0.9, 0.9))
    assert float(likely.max()) == pytest.approx(0.9 + 0.1 / len(CLASSES), abs=1e-4)
    assert float(likely.min()) == pytest.approx(0.1 / len(CLASSES), abs=1e-4)


def test_pieces_carry_wrong_names_where_lumps_are_asked_for():
    assert (spoilt(lump_probability=1.0) - spoilt()).abs().mean() > 1e-3


def test_wrong_names_are_taken_from_classes_in_view_and_nothing_is_lost():
    changed = [renamed(layered(), 0.5, KneePriorErrors(lump_mm=(3.0, 3.0)), seeded(seed)) for seed in range(8)]
    for likely in changed:
        assert torch.allclose(likely.sum(dim=0), torch.ones(24, 24, 24), atol=1e-5) and likely.min() >= 0.0
        absent = [c for c in range(len(CLASSES)) if c not in (0, FEMUR, CARTILAGE)]
        assert float(likely[absent].abs().max()) == 0.0
    assert any(not torch.allclose(likely, layered(), atol=0.2) for likely in changed)


def test_fields_are_read_where_the_offsets_point():
    field = torch.arange(5.0).expand(1, 5, 5, 5).clone()
    offset = torch.zeros(3, 5, 5, 5)
    offset[2] = 1.0
    assert displaced(field, offset)[0, 2, 2].tolist() == pytest.approx([1.0, 2.0, 3.0, 4.0, 4.0])
