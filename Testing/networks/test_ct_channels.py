import pytest
import torch

from KneeSegLib.networks.ct_channels import laplacian, localiser_channels, slice_channels, window_bone


def test_the_window_maps_200_to_zero_and_1900_to_one_and_clips_beyond():
    hu = torch.tensor([-1000.0, 200.0, 1050.0, 1900.0, 3000.0])
    assert window_bone(hu).tolist() == [0.0, 0.0, 0.5, 1.0, 1.0]


def test_the_laplacian_of_a_parabola_is_its_curvature_and_of_a_ramp_nothing():
    x = torch.arange(12.0).expand(10, 12)
    assert torch.allclose(laplacian(3.0 * x)[:, 1:-1], torch.zeros(10, 10))
    assert torch.allclose(laplacian(x * x)[:, 1:-1], torch.full((10, 10), 2.0))


def test_the_papers_three_channels_come_first():
    volume = torch.full((3, 8, 8), 1050.0)
    channels = slice_channels(volume, 1.0, [1])
    assert channels.shape == (1, 3, 8, 8)
    assert channels[0, :, 4, 4].tolist() == pytest.approx([1.05, 0.5, 0.0])


def test_neighbours_are_interpolated_by_distance_and_repeated_at_the_ends():
    volume = (100.0 * torch.arange(6.0))[:, None, None].expand(6, 4, 4)
    channels = slice_channels(volume, 0.8, [2, 5], neighbour_offsets_mm=(-8.0, -0.4, 1.2))
    assert channels[0, 3:, 0, 0].tolist() == pytest.approx([0.0, 0.15, 0.35])
    assert channels[1, 3:, 0, 0].tolist() == pytest.approx([0.0, 0.45, 0.5])


def test_the_localiser_sees_soft_tissue_and_bone_apart():
    hu = torch.tensor([-1000.0, 0.0, 300.0, 700.0, 2000.0]).reshape(1, 1, 5)
    soft, bone = localiser_channels(hu)
    assert soft.flatten().tolist() == pytest.approx([0.0, 0.5, 1.0, 1.0, 1.0])
    assert bone.flatten().tolist() == pytest.approx([0.0, 0.0, 1 / 6, 0.5, 1.0])
