"""Implants lie in bone, in any direction; their streaks are dark between metal and only in its slices."""

import math
from dataclasses import replace

import pytest
import torch

from KneeSegLib.training.synthesis.metal import add_implants, draw_rod
from KneeSegLib.training.synthesis.scanner import simulate_scan
from KneeSegLib.training.synthesis.settings import Scanner
from KneeSegLib.training.synthesis.streaks import (
    backproject,
    compute_hardening_streaks,
    draw_starvation_streaks,
    project_metal,
)

SHAPE = torch.Size((6, 81, 81))


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def pair() -> torch.Tensor:
    """Two rods along the limb, 40 mm apart from left to right, in slices 2 to 5."""
    along = torch.tensor([1.0, 0.0, 0.0])
    metal = torch.zeros(SHAPE, dtype=torch.bool)
    for x in (20.0, 60.0):
        metal |= draw_rod(SHAPE, 1.0, torch.tensor([5.0, 40.0, x]), along, 4.0, 7.0)
    return metal


def test_a_rod_has_its_length_and_width_in_whatever_direction():
    shape = torch.Size((90, 90, 90))
    for direction in ([1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.6, 0.0, 0.8], [0.577, 0.577, 0.577]):
        metal = draw_rod(shape, 1.0, torch.tensor([45.3, 45.1, 44.8]), torch.tensor(direction), 5.5, 50.0)
        assert metal.sum().item() == pytest.approx(math.pi * 5.5**2 * 50.0, rel=0.05)


def test_backprojection_gives_back_what_was_projected(pair):
    again = backproject(project_metal(pair[:, ::2, ::2]), SHAPE)
    assert again[3][pair[3]].mean().item() == pytest.approx(1.0, abs=0.1)
    assert again[3, 5:30, 5:75].abs().mean() < 0.03


def test_hardening_is_dark_between_metal_and_bright_beside_it(pair):
    streaks = compute_hardening_streaks(pair, 1.0)
    between, above = streaks[3, 38:43, 30:51].mean(), streaks[3, 25:30, 30:51].mean()
    assert between < -0.5 and above > between + 0.7
    assert streaks[:2].abs().max() == 0.0  # no metal in these slices


def test_starvation_is_noise_along_the_rays_that_meet_most_metal(pair):
    along, across = [], []
    for seed in range(4):
        streaks = draw_starvation_streaks(pair, 1.0, 0.3, seeded(seed))
        assert streaks[:2].abs().max() == 0.0
        along.append(streaks[3:, 37:44, 30:51].std())
        across.append(streaks[3:, 5:15, 30:51].std())
    assert torch.stack(along).mean() > 2.0 * torch.stack(across).mean()


def test_implants_meet_bone_and_lie_in_many_directions():
    hu = torch.full((40, 60, 60), 40.0)
    hu[:, 20:40, 20:40] = 600.0
    leaning = []
    for seed in range(12):
        metal = add_implants(hu, 2.0, seeded(seed)) > 2500.0
        assert metal[:, 20:40, 20:40].any()
        places = torch.nonzero(metal).float()
        centred = places - places.mean(dim=0)
        main = torch.linalg.eigh(centred.T @ centred)[1][:, -1]
        leaning.append(abs(main[0].item()))
    assert min(leaning) < 0.5 and max(leaning) > 0.9


def test_without_bone_there_is_no_implant():
    soft = torch.full((4, 30, 30), 40.0)
    assert torch.equal(add_implants(soft, 1.0, seeded(0)), soft)


def test_a_recipe_switches_implants_on():
    hu = torch.full((6, 40, 40), 40.0)
    hu[:, 10:30, 10:30] = 600.0
    quiet = Scanner(metal_probability=0.0, overshoot_probability=0.0, calibration_probability=0.0)
    assert simulate_scan(hu, 1.0, quiet, seeded(3)).max() < 1500.0
    assert simulate_scan(hu, 1.0, replace(quiet, implant_probability=1.0), seeded(3)).max() > 2000.0
