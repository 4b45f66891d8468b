"""What the V-Net sees: gradient of the full CT, then down-sampling, then scaling to 0..1."""

import numpy as np
import torch

from KneeSegLib.geometry.grid import Box, Grid
from KneeSegLib.inference.volume_input import make_volume_input, sample_linearly, stretch_grid

SPACING_MM = (1.0, 0.5, 2.0)


def ball(shape=(40, 60, 30)) -> tuple[np.ndarray, Grid]:
    grid = Grid.of_scan(shape, SPACING_MM)
    z, y, x = np.meshgrid(*(axis.positions_mm for axis in grid), indexing="ij")
    inside = (z - 20) ** 2 + (y - 15) ** 2 + (x - 24) ** 2 < 10**2
    return np.where(inside, 900, 0).astype(np.int16), grid


def test_gradient_of_a_plane_is_the_same_all_over_whatever_the_spacing():
    """3 HU per mm along z and 4 along x are 5; from row 15 on 12 along y as well make 13, the most there is.

    Between two slopes the central difference takes their mean: 6 along y, a magnitude of the square root of 61.
    """
    grid = Grid.of_scan((30, 20, 20), SPACING_MM)
    z, y, x = np.meshgrid(*(axis.positions_mm for axis in grid), indexing="ij")
    hu = 3 * z + 4 * x + 12 * np.clip(y - grid.y.positions_mm[12], 0, None)
    inner = grid.part((slice(5, 25), slice(5, 20), slice(5, 15)))
    seen = make_volume_input(hu.astype(np.float32), grid, inner, "gradient")[0]
    expected = torch.tensor([5.0] * 7 + [61.0**0.5] + [13.0] * 6)
    assert seen.shape == (20, 15, 10)
    assert torch.allclose(seen[:, :14], ((expected - 5.0) / 8.0)[None, :, None], atol=1e-4)


def test_the_gradient_is_taken_before_the_image_is_made_small():
    """A sphere's shell, one voxel thin in the CT, would be as thick as a coarse voxel if it were taken afterwards."""
    hu, grid = ball()
    coarse = stretch_grid(Box.of_grid(grid), (10, 10, 10))
    seen = make_volume_input(hu, grid, coarse, "gradient")
    small = sample_linearly(torch.from_numpy(hu.astype(np.float32)), grid, coarse).numpy()
    afterwards = make_volume_input(small, coarse, coarse, "gradient")
    assert (seen > 0.05).sum() < 0.7 * (afterwards > 0.05).sum()
    assert float(seen.max()) == 1.0 and float(seen.min()) == 0.0


def test_the_image_is_interpolated_linearly_and_not_averaged():
    hu, grid = ball()
    target = Grid(*(axis.thinned(2) for axis in grid))
    seen = make_volume_input(hu, grid, target, "image")
    assert np.array_equal(seen[0].numpy() * 900, hu[::2, ::2, ::2])


def test_a_left_leg_is_seen_in_a_mirror():
    hu, grid = ball()
    hu[:, :, 20:] = 300
    for wanted in ("image", "gradient"):
        direct = make_volume_input(hu, grid, grid, wanted)
        assert torch.equal(make_volume_input(hu, grid, grid.mirrored(), wanted), direct.flip(-1))


def test_a_part_of_the_scan_has_the_gradient_of_the_whole():
    hu, grid = ball()
    box = (slice(10, 30), slice(20, 50), slice(8, 20))
    whole = make_volume_input(hu, grid, grid, "gradient")
    assert torch.allclose(make_volume_input(hu, grid, grid.part(box), "gradient"), whole[(slice(None), *box)])


def test_a_stretched_grid_has_the_faces_of_its_box():
    box = Box((3.0, 103.0), (-20.0, 40.0), (0.0, 16.0))
    grid = stretch_grid(box, (50, 20, 4))
    assert grid.shape == (50, 20, 4)
    assert np.allclose(Box.of_grid(grid), box)
