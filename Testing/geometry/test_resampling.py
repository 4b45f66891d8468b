import numpy as np
import pytest
import torch

from KneeSegLib.geometry.grid import Axis, Box, Grid
from KneeSegLib.geometry.resample import resample_to, resampling_matrix

SCAN = Axis(0.0, 0.5, 100)


def linear_field(grid: Grid) -> torch.Tensor:
    z, y, x = (torch.from_numpy(axis.positions_mm).float() for axis in grid)
    return z[:, None, None] * 2.0 - y[None, :, None] + x[None, None, :] * 3.0 + 5.0


def test_axis_covers_an_interval_centred_and_in_whole_multiples():
    axis = Axis.covering(10.0, 35.0, 0.8, multiple=32)
    assert axis.count % 32 == 0
    assert axis.low_mm <= 10.0 and axis.high_mm >= 35.0
    assert axis.low_mm + axis.high_mm == pytest.approx(45.0)


@pytest.mark.parametrize("axis", [SCAN, SCAN.mirrored()])
def test_indices_within_an_interval_are_those_whose_cells_reach_into_it(axis):
    start, stop = axis.indices_within(10.1, 11.9)
    centers = axis.positions_mm
    expected = np.flatnonzero((centers + 0.25 > 10.1) & (centers - 0.25 < 11.9))
    assert (start, stop) == (expected[0], expected[-1] + 1)


def test_indices_within_are_empty_outside():
    start, stop = SCAN.indices_within(200.0, 210.0)
    assert start == stop


def test_box_around_a_mask_has_the_outer_faces_of_its_voxels():
    grid = Grid.of_scan((10, 10, 10), (2.0, 1.0, 1.0))
    mask = np.zeros(grid.shape, bool)
    mask[3:5, 4, 2:9] = True
    assert Box.around(mask, grid) == Box((5.0, 9.0), (3.5, 4.5), (1.5, 8.5))
    assert grid.slices_within(Box.around(mask, grid)) == (slice(3, 5), slice(4, 5), slice(2, 9))


def test_same_grid_changes_nothing():
    assert np.array_equal(resampling_matrix(SCAN, SCAN), np.eye(SCAN.count, dtype=np.float32))


@pytest.mark.parametrize("step", [0.3, 0.5, 0.8, 4.0])
def test_rows_sum_to_one_inside_and_to_zero_outside(step):
    matrix = resampling_matrix(Axis(-20.0, step, int(90 / step)), SCAN)
    sums = matrix.sum(axis=1)
    assert np.all(np.isclose(sums, 0.0, atol=1e-5) | np.isclose(sums, 1.0, atol=1e-5))
    centers = -20.0 + step * np.arange(len(sums))
    assert np.all(sums[(centers > 0.0) & (centers < 49.0)] > 0.99)
    assert np.all(sums[(centers < -0.3 - step) | (centers > 50.0 + step)] == 0.0)


@pytest.mark.parametrize("spacing", [(0.4, 0.3, 0.35), (0.9, 1.3, 2.1), (0.3, 1.3, 0.5)])
def test_a_linear_field_stays_linear_whichever_way_it_is_resampled(spacing):
    source = Grid.of_scan((60, 50, 40), (0.6, 0.7, 0.8))
    target = Grid(*(Axis(2.0, step, int(24 / step)) for step in spacing)).mirrored()
    found = resample_to(linear_field(source).numpy(), source, target)
    inside = (slice(2, -2),) * 3  # the outermost samples average the part of their cell that the source has
    assert torch.allclose(found[inside], linear_field(target)[inside], atol=1e-3)


def test_coarse_voxels_average_all_that_they_cover():
    matrix = resampling_matrix(Axis.covering(-0.25, 49.75, 4.0), SCAN)
    assert np.all(matrix.sum(axis=0)[8:-8] > 0.05) and matrix[1:-1].max() < 0.16
    half_height = (matrix[5] > 0.49 * matrix[5].max()).sum() * SCAN.step_mm
    assert half_height == pytest.approx(4.0, abs=0.5)


def test_values_are_clipped_before_they_are_averaged():
    volume = np.full((4, 4, 4), 20000, np.float32)
    volume[:2] = 0.0
    source = Grid.of_scan(volume.shape, (1.0, 1.0, 1.0))
    target = Grid(*(Axis.covering(axis.low_mm, axis.high_mm, 4.0) for axis in source))
    assert resample_to(volume, source, target, clip=(-1024.0, 3000.0)).item() == pytest.approx(1500.0)


def test_beyond_the_source_is_what_was_said_to_be_outside():
    source = Grid.of_scan((8, 8, 8), (1.0, 1.0, 1.0))
    target = Grid(Axis(-10.0, 1.0, 30), source.y, source.x)
    found = resample_to(np.full(source.shape, 40, np.int16), source, target, outside=-1000.0)
    assert torch.all(found[:9] == -1000.0) and torch.all(found[20:] == -1000.0)
    assert torch.allclose(found[10:18], torch.tensor(40.0))


def test_a_mirrored_target_is_the_flipped_result():
    volume = np.random.default_rng(1).normal(size=(3, 10, 12, 14)).astype(np.float32)
    source = Grid.of_scan(volume.shape[1:], (1.0, 1.0, 1.0))
    target = Grid(*(Axis(0.7, 0.6, 12) for _ in range(3)))
    plain, mirrored = resample_to(volume, source, target), resample_to(volume, source, target.mirrored())
    assert torch.allclose(plain.flip(-1), mirrored, atol=1e-6)


def test_a_read_only_array_is_not_written_to_and_not_copied_whole():
    volume = np.zeros((8, 8, 8), np.int16)
    volume.flags.writeable = False
    source = Grid.of_scan(volume.shape, (1.0, 1.0, 1.0))
    assert resample_to(volume, source, source, outside=-1000.0).abs().max() == 0.0
