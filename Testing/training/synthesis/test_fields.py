import pytest
import torch

from KneeSegLib.training.synthesis.fields import blur, compute_occupancy, draw_smooth_noise, uniform


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_a_blurred_point_has_the_requested_width_along_each_axis():
    point = torch.zeros(41, 41, 41)
    point[20, 20, 20] = 1.0
    spread = blur(point, (2.0, 1.0, 3.0))
    places = torch.arange(41.0) - 20.0
    for axis, sigma in enumerate((2.0, 1.0, 3.0)):
        profile = spread.sum([a for a in range(3) if a != axis])
        measured = (profile * places**2).sum().sqrt()
        assert measured.item() == pytest.approx(sigma, rel=0.06)
    assert spread.sum().item() == pytest.approx(1.0, abs=1e-5)


def test_blur_leaves_a_constant_volume_alone_up_to_its_borders():
    volume = torch.full((9, 12, 11), 37.0)
    assert torch.allclose(blur(volume, (1.5, 1.5, 1.5)), volume, atol=1e-4)


def test_smooth_noise_agrees_with_itself_over_its_scale_and_not_beyond():
    field = draw_smooth_noise((100, 100, 100), 1.0, 20.0, seeded())
    field = field - field.mean()
    variance = field.pow(2).mean()

    def correlation(lag: int) -> float:
        return ((field[lag:] * field[:-lag]).mean() / variance).item()

    assert correlation(3) > 0.8
    assert abs(correlation(60)) < 0.25
    assert field.std().item() == pytest.approx(1.0, abs=0.25)


def test_occupancy_is_the_filled_fraction_of_a_voxel():
    distance = torch.tensor([-1.0, -0.25, 0.0, 0.25, 1.0])
    assert compute_occupancy(distance, 1.0).tolist() == [1.0, 0.75, 0.5, 0.25, 0.0]


def test_the_same_seed_draws_the_same_numbers_whatever_the_global_state():
    torch.manual_seed(1)
    first = (uniform((0.0, 9.0), seeded(4)), draw_smooth_noise((8, 8, 8), 1.0, 3.0, seeded(5)))
    torch.manual_seed(2)
    second = (uniform((0.0, 9.0), seeded(4)), draw_smooth_noise((8, 8, 8), 1.0, 3.0, seeded(5)))
    assert first[0] == second[0]
    assert torch.equal(first[1], second[1])
