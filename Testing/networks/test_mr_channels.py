import pytest
import torch

from KneeSegLib.networks.mr_channels import (
    CEILING,
    intensity_percentile,
    mr_patch_channels,
    mr_slice_channels,
    scale_signal,
)


def test_one_voxel_in_a_hundred_is_brighter_than_the_level():
    volume = torch.arange(1000.0).reshape(10, 10, 10)
    assert (volume > intensity_percentile(volume)).float().mean() == pytest.approx(0.01, abs=0.002)


def test_the_level_of_a_large_volume_is_estimated_from_all_of_it():
    volume = torch.zeros(40, 100, 100)
    volume[:, :, 50:] = 100.0
    assert intensity_percentile(volume) == pytest.approx(100.0)


def test_a_black_image_is_scaled_to_black():
    volume = torch.zeros(4, 8, 8)
    assert torch.equal(scale_signal(volume, intensity_percentile(volume)), volume)


def test_a_signal_is_a_share_of_its_level_up_to_a_ceiling():
    assert scale_signal(torch.tensor([-5.0, 0.0, 50.0, 100.0, 900.0]), 100.0).tolist() == [0.0, 0.0, 0.5, 1.0, CEILING]


def test_without_offsets_a_slice_stands_alone():
    volume = torch.rand(5, 3, 4)
    assert torch.equal(mr_slice_channels(volume, 1.0, [3, 1]), volume[[3, 1]][:, None])


def test_a_patch_comes_with_all_classes_but_the_background():
    patch, likely = torch.rand(2, 3, 4, 5), torch.rand(2, 6, 3, 4, 5)
    channels = mr_patch_channels(patch, likely)
    assert channels.shape == (2, 6, 3, 4, 5)
    assert torch.equal(channels[:, 0], patch) and torch.equal(channels[:, 1:], likely[:, 1:])
    assert torch.equal(mr_patch_channels(patch[0], likely[0]), channels[0])
