"""Spacing and orientation that the user states, for files that do not say them or say them wrong."""

from __future__ import annotations

import struct

import numpy as np
import pytest
import SimpleITK as sitk

from KneeSegLib.errors import InputError
from KneeSegLib.io.stated_geometry import StatedGeometry
from KneeSegLib.io.volume import read_volume


def noise(*shape: int) -> sitk.Image:
    return sitk.GetImageFromArray(np.random.default_rng(0).integers(-900, 900, shape).astype(np.int16))


def test_tiff_is_read_with_the_spacing_that_the_user_states(tmp_path):
    sitk.WriteImage(noise(12, 10, 9), str(tmp_path / "scan.tif"))
    with pytest.raises(InputError, match="say it with --spacing COLUMNS,ROWS,SLICES, or give the volume as NRRD"):
        read_volume(tmp_path / "scan.tif")
    volume = read_volume(tmp_path / "scan.tif", stated=StatedGeometry((0.5, 0.5, 1.5)))
    assert volume.image.GetSpacing() == (0.5, 0.5, 1.5)
    assert any("as you said" in note for note in volume.notes)


def test_nifti_without_orientation_lies_as_the_user_states(tmp_path):
    path = tmp_path / "scan.nii"
    sitk.WriteImage(noise(12, 10, 9), str(path))
    content = bytearray(path.read_bytes())
    content[252:256] = struct.pack("<2h", 0, 0)
    path.write_bytes(content)
    assert "right and left, front and back" in read_volume(path).notes[0]
    volume = read_volume(path, stated=StatedGeometry(orientation="LAS"))
    assert volume.image.GetDirection() == (1, 0, 0, 0, -1, 0, 0, 0, 1)
    assert [note for note in volume.notes if "read as LAS, as you said" in note] == list(volume.notes)


def test_axes_that_lead_where_the_user_says_stay_oblique(tmp_path):
    image = noise(12, 10, 9)
    turn = sitk.Euler3DTransform((0.0, 0.0, 0.0), 0.1, 0.0, 0.0)
    image.SetDirection(turn.GetMatrix())
    sitk.WriteImage(image, str(tmp_path / "scan.nrrd"))
    volume = read_volume(tmp_path / "scan.nrrd", stated=StatedGeometry(orientation="LPS"))
    assert volume.image.GetDirection() == pytest.approx(turn.GetMatrix())
    assert volume.notes == ()
