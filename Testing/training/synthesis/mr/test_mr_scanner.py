"""What each ingredient of an MR scanner does to an image that is known."""

import math
from dataclasses import replace

import pytest
import torch

from KneeSegLib.training.synthesis.mr import scanner
from KneeSegLib.training.synthesis.mr.contrast import PRESETS, draw_contrast
from KneeSegLib.training.synthesis.mr.noise import draw_stretched_noise
from KneeSegLib.training.synthesis.mr.scanner import (
    Acquisition,
    acquire_image,
    average_slices,
    draw_coil_sensitivity,
    draw_shading,
    sharpen_image,
    shift_image,
    simulate_scan,
    wrap_image,
)
from KneeSegLib.training.synthesis.mr.settings import FREE_BOUNDS, ContrastDraw, MrScanner
from KneeSegLib.training.synthesis.mr.signal import Signal

SHAPE = (4, 64, 64)
PIXEL = (1.0, 1.0, 1.0)
PLAIN = MrScanner(
    shift_probability=0.0, failure_probability=0.0, bias=(0.0, 0.0), coil_probability=0.0, resolution_mm=(1.0, 1.0),
    gibbs_probability=1.0, motion_probability=0.0, wrap_probability=0.0, band_probability=0.0, noise=(0.0, 0.0),
    slice_blur_mm=(0.0, 0.0), curve=(1.0, 1.0),
)  # fmt: skip


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def step_image() -> torch.Tensor:
    image = torch.zeros(SHAPE)
    image[:, :, 32:] = 1.0
    return image


def smooth_image() -> torch.Tensor:
    wave = 1.0 + 0.5 * torch.sin(torch.linspace(0, 2 * math.pi, 65)[:64])
    return (wave[:, None] * wave[None]).expand(SHAPE).contiguous()


def test_a_plain_scanner_adds_water_and_fat():
    image = simulate_scan(Signal(0.4 * smooth_image(), 0.6 * smooth_image()), PIXEL, PLAIN, seeded())
    assert torch.allclose(image, smooth_image(), atol=1e-4)


def test_fat_alone_is_shifted_along_the_read_out():
    fat, water = torch.zeros(SHAPE), torch.zeros(SHAPE)
    fat[:, 20, 20] = 1.0
    water[:, 40, 40] = 1.0
    shifting = replace(PLAIN, shift_probability=1.0, shift_mm=(3.0, 3.0))
    image = simulate_scan(Signal(water, fat), PIXEL, shifting, seeded())[0]
    assert image[40, 40] == pytest.approx(1.0, abs=1e-4) and image[20, 20] < 0.01
    moved = torch.nonzero(image[10:30, 10:30] > 0.9)[0] - 10
    assert moved.abs().sum() == 3


def test_a_shift_of_half_a_pixel_splits_a_point_between_two():
    point = torch.zeros(1, 8, 8)
    point[0, 4, 4] = 1.0
    assert shift_image(point, 0.5, 2)[0, 4, 4:6].tolist() == [0.5, 0.5]
    assert shift_image(point, -2.0, 1)[0, 2, 4] == 1.0


def test_noise_in_air_follows_rayleigh_and_in_tissue_gauss():
    """Mean of the magnitude of pure noise: sigma times the root of pi / 2."""
    air = acquire_image(torch.zeros(8, 64, 64), PIXEL, Acquisition(1.0, noise=0.1), seeded())
    assert air.mean() == pytest.approx(0.1 * math.sqrt(math.pi / 2), rel=0.03)
    tissue = acquire_image(torch.full((8, 64, 64), 2.0), PIXEL, Acquisition(1.0, noise=0.1), seeded())
    assert tissue.std() == pytest.approx(0.1, rel=0.05) and tissue.mean() == pytest.approx(2.0, abs=0.01)


def test_a_sharp_cut_of_frequencies_rings_and_a_soft_one_does_not():
    rings = acquire_image(step_image(), PIXEL, Acquisition(2.0), seeded())
    soft = acquire_image(step_image(), PIXEL, Acquisition(2.0, ringing=0.0), seeded())
    assert rings[0, 32].max() > 1.06
    assert soft[0, 32].max() < rings[0, 32].max() - 0.02


def test_coarse_resolution_takes_fine_detail():
    stripes = torch.zeros(SHAPE)
    stripes[:, :, ::2] = 1.0
    fine, coarse = (acquire_image(stripes, PIXEL, Acquisition(mm), seeded()) for mm in (1.0, 3.0))
    assert fine[0].std() > 0.4 and coarse[0].std() < 0.05


def test_motion_makes_ghosts_along_rows_only():
    block = torch.zeros(SHAPE)
    block[:, 28:36, 28:36] = 1.0
    ghosted = acquire_image(block, PIXEL, Acquisition(1.0, ghosts=0.1), seeded(1))
    outside_rows, outside_columns = ghosted[0, :20, 28:36], ghosted[0, 28:36, :20]
    assert outside_rows.max() > 0.01
    assert outside_columns.max() < 1e-3


def test_wrapping_folds_each_border_onto_the_opposite_one():
    image = torch.zeros(1, 10, 10)
    image[0, 1, 5] = 1.0
    assert wrap_image(image, 0.2, 1)[0, 9, 5] == 1.0


def test_a_coil_halves_the_signal_at_its_distance():
    field = draw_coil_sensitivity((1, 401, 1), PIXEL, 50.0, seeded())[0, :, 0]
    place = int(field.argmax())
    assert field[place] == pytest.approx(1.0, abs=0.01)
    far = place + 50 if place + 50 < 401 else place - 50
    assert field[far] == pytest.approx(0.5, abs=0.01)


def test_shading_has_the_requested_strength():
    logarithm = torch.log(draw_shading((40, 320, 320), (4.0, 4.0, 4.0), 0.3, seeded()))
    assert logarithm.std() == pytest.approx(0.3, rel=0.25)
    assert torch.all(draw_shading(SHAPE, PIXEL, 0.0, seeded()) == 1.0)


def test_a_saturation_band_darkens_a_stripe_and_leaves_the_rest():
    factor = scanner.draw_saturation_band(SHAPE, seeded(1))[0]
    assert factor.min() < 0.6 and factor.max() == pytest.approx(1.0)
    assert 0.4 < float((factor > 0.99).float().mean()) < 0.99


def test_fat_suppression_fails_in_places():
    factor = scanner.draw_suppression_failure((20, 160, 160), PIXEL, 3.0, seeded(2))
    assert factor.min() == pytest.approx(1.0) and 1.2 < factor.max() <= 4.0 + 1e-5


def test_thick_slices_are_means():
    volume = torch.arange(7.0)[:, None, None].expand(7, 2, 2)
    assert average_slices(volume, 3)[:, 0, 0].tolist() == [1.0, 4.0]


def test_noise_of_a_slab_varies_over_its_scale_along_each_axis():
    noise = draw_stretched_noise((40, 200, 200), (4.0, 0.5, 0.5), (200.0, 8.0, 50.0), seeded())
    assert noise.std() == pytest.approx(1.0, rel=0.35)
    along_rows, along_columns = noise.diff(dim=1).abs().mean(), noise.diff(dim=2).abs().mean()
    assert along_rows > 3.0 * along_columns


def test_contrasts_are_near_a_preset_or_within_the_bounds_of_anything():
    near = draw_contrast(ContrastDraw(("t1",), 0.0, 0.0), seeded())
    assert near.fat == pytest.approx(PRESETS["t1"].fat) and near.fluid == pytest.approx(PRESETS["t1"].fluid)
    free = draw_contrast(ContrastDraw(anything_probability=1.0), seeded())
    assert all(low <= getattr(free, name) <= high for name, (low, high) in FREE_BOUNDS.items())


def test_fat_and_water_cancel_where_a_voxel_holds_both():
    water = torch.zeros(SHAPE)
    water[:, :, :32] = 1.0
    water[:, :, 31] = 0.5
    signal = Signal(water, 1.0 - water)
    opposed = simulate_scan(signal, PIXEL, replace(PLAIN, opposed_probability=1.0), torch.Generator())
    together = simulate_scan(signal, PIXEL, PLAIN, torch.Generator())
    assert opposed[:, :, 31].max() < 0.3 and together[:, :, 31].min() > 0.9
    assert opposed[:, :, 10].mean() == pytest.approx(1.0, abs=0.05)


def test_a_sharpened_edge_overshoots():
    image = torch.zeros(SHAPE)
    image[:, :, 32:] = 1.0
    sharpened = sharpen_image(image, 1.0)
    assert sharpened.max() > 1.2 and sharpened.min() == 0.0
    assert torch.allclose(sharpened[:, :, 50], image[:, :, 50])


def test_scanners_without_them_draw_the_numbers_that_they_always_drew():
    signal = Signal(torch.rand(SHAPE, generator=torch.Generator().manual_seed(1)), torch.zeros(SHAPE))
    never = replace(PLAIN, noise=(0.05, 0.05))
    always = replace(never, opposed_probability=1.0)  # water alone is as it was, but for the number that is drawn
    images = [simulate_scan(signal, PIXEL, how, torch.Generator().manual_seed(2)) for how in (never, never, always)]
    assert torch.equal(images[0], images[1]) and not torch.equal(images[0], images[2])
