"""Probabilities with the errors of slice networks, and no more of them than asked."""

from dataclasses import replace

import pytest
import torch

from KneeSegLib.training.mr_priors import KneePriorErrors, displace, mislabel, simulate_probabilities
from KneeSegLib.training.synthesis.mr.structures import CLASSES

NONE = KneePriorErrors(
    wave_mm=(0.0, 0.0), softness_mm=(0.0, 0.0), gain=(0.0, 0.0), component_probability=0.0, certainty=(1.0, 1.0)
)
FEMUR, CARTILAGE = CLASSES.index("femur"), CLASSES.index("femoral_cartilage")


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def layered() -> torch.Tensor:
    """Femur above, its cartilage below that, background at the bottom; 24 voxels along each axis."""
    fractions = torch.zeros(len(CLASSES), 24, 24, 24)
    fractions[FEMUR, :, 14:] = 1.0
    fractions[CARTILAGE, :, 9:14] = 1.0
    fractions[0] = 1.0 - fractions[1:].sum(dim=0)
    return fractions


def degraded(apart_mm: float = 0.5, seed: int = 0, errors: KneePriorErrors = NONE, **changes) -> torch.Tensor:
    return simulate_probabilities(layered(), 0.5, apart_mm, replace(errors, **changes), seeded(seed))


def test_without_errors_the_truth_comes_back():
    assert torch.allclose(degraded(), layered(), atol=1e-4)


@pytest.mark.parametrize("seed", range(4))
def test_probabilities_stay_probabilities(seed):
    probabilities = degraded(seed=seed, errors=KneePriorErrors())
    assert probabilities.min() >= 0.0
    assert torch.allclose(probabilities.sum(dim=0), torch.ones(24, 24, 24), atol=1e-4)


def test_the_same_seed_makes_the_same_errors_and_another_one_does_not():
    first, again, other = (
        degraded(seed=seed, errors=KneePriorErrors(), component_probability=1.0) for seed in (0, 0, 1)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_waves_move_edges_by_about_their_standard_deviation():
    probabilities = degraded(wave_mm=(1.0, 1.0), wavelength_mm=(4.0, 4.0))
    height = (probabilities[FEMUR] > 0.5).float().sum(dim=1) * 0.5
    assert 0.4 < float(height.std()) < 1.6
    assert float(height.mean()) == pytest.approx(5.0, abs=0.8)


def test_softness_blurs_edges():
    soft = degraded(softness_mm=(1.0, 1.0))[FEMUR, 12, :, 12]
    assert 0.05 < float(soft[12]) < 0.45 and 0.55 < float(soft[15]) < 0.95


def test_thick_slices_blur_across_and_not_along():
    across = layered().transpose(1, 2)  # the layers lie across slices
    blurred = simulate_probabilities(across, 0.5, 4.0, NONE, seeded())
    assert (blurred - across).abs().max() > 0.3
    assert (degraded(apart_mm=4.0) - layered()).abs().max() < 1e-3


def test_cartilage_is_too_probable_or_too_improbable_and_bone_is_neither():
    fractions = layered()
    fractions[FEMUR] *= 0.5
    fractions[CARTILAGE] *= 0.5
    fractions[0] = 1.0 - fractions[1:].sum(dim=0)
    probabilities = simulate_probabilities(
        fractions, 0.5, 0.0, replace(NONE, gain=(1.0, 1.0), gain_mm=(4.0, 4.0)), seeded(1)
    )
    assert float(probabilities[CARTILAGE, :, 10:13].std()) > 0.1
    assert torch.allclose(probabilities[FEMUR, :, 16:], fractions[FEMUR, :, 16:], atol=1e-5)


def test_certainty_is_the_highest_probability():
    probabilities = degraded(apart_mm=0.0, certainty=(0.9, 0.9))
    assert float(probabilities.max()) == pytest.approx(0.9 + 0.1 / len(CLASSES), abs=1e-4)
    assert float(probabilities.min()) == pytest.approx(0.1 / len(CLASSES), abs=1e-4)


def test_pieces_are_mislabelled_where_components_are_asked_for():
    assert (degraded(component_probability=1.0) - degraded()).abs().mean() > 1e-3


def test_wrong_labels_are_taken_from_classes_in_view_and_nothing_is_lost():
    changed = [mislabel(layered(), 0.5, KneePriorErrors(component_mm=(3.0, 3.0)), seeded(seed)) for seed in range(8)]
    for probabilities in changed:
        assert (
            torch.allclose(probabilities.sum(dim=0), torch.ones(24, 24, 24), atol=1e-5) and probabilities.min() >= 0.0
        )
        absent = [c for c in range(len(CLASSES)) if c not in (0, FEMUR, CARTILAGE)]
        assert float(probabilities[absent].abs().max()) == 0.0
    assert any(not torch.allclose(probabilities, layered(), atol=0.2) for probabilities in changed)


def test_fields_are_read_where_the_offsets_point():
    field = torch.arange(5.0).expand(1, 5, 5, 5).clone()
    offset = torch.zeros(3, 5, 5, 5)
    offset[2] = 1.0
    assert displace(field, offset)[0, 2, 2].tolist() == pytest.approx([1.0, 2.0, 3.0, 4.0, 4.0])
