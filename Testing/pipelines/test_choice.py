"""Which pipeline an image goes through: what the user says comes before what its values look like."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk

from KneeSegLib.errors import InputError
from KneeSegLib.io.volume import read_volume
from KneeSegLib.pipelines.choice import choose_pipeline
from KneeSegLib.pipelines.request import Request


def overshooting_mr(tmp_path) -> str:
    """A block of bright fat with dark overshoot that thins out beside it, as splines leave it."""
    values = np.zeros((40, 60, 60), np.float32)
    values[10:30, 15:45, 15:45] = 9000
    for depth, layer in zip((-950, -720, -560, -300), range(14, 10, -1)):
        values[10:30, 15:45, layer] = depth
    image = sitk.GetImageFromArray(values)
    image.SetSpacing((2.0, 2.0, 2.0))
    sitk.WriteImage(image, str(tmp_path / "mr.nii.gz"))
    return str(tmp_path / "mr.nii.gz")


def test_mr_pipeline_takes_an_image_that_does_not_say_its_modality(tmp_path):
    request = Request("mr-knee")
    volume = read_volume(overshooting_mr(tmp_path), presumed=request.presumed_modality)
    assert (volume.modality, choose_pipeline(request, volume).name) == ("MR", "mr-knee")


def test_dark_values_that_are_no_air_are_asked_about(tmp_path):
    request = Request("auto")
    volume = read_volume(overshooting_mr(tmp_path), presumed=request.presumed_modality)
    with pytest.raises(InputError, match="cannot be told whether 'mr.nii.gz' is a CT or an MR.*--pipeline mr-knee"):
        choose_pipeline(request, volume)
