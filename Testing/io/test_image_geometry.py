"""Spacing and orientation that a file does not say are refused or told, never made up."""

from __future__ import annotations

import re

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk

from KneeSegLib.errors import InputError
from KneeSegLib.io.image_geometry import describe_missing_orientation
from KneeSegLib.io.label_maps import read_label_map
from KneeSegLib.io.volume import read_volume


def ball() -> sitk.Image:
    z, y, x = np.mgrid[:12, :16, :20]
    values = np.where((z - 5) ** 2 + (y - 8) ** 2 + (x - 9) ** 2 < 16, 1, 0).astype(np.uint8)
    image = sitk.GetImageFromArray(values)
    image.SetSpacing((1.25, 1.5, 2.0))
    return image


def without_lines(path, pattern: bytes) -> None:
    """Take the header lines out of a file that match ``pattern``."""
    path.write_bytes(re.sub(rb"^(" + pattern + rb").*\n", b"", path.read_bytes(), flags=re.MULTILINE))


def nifti(path, q_code: int, s_code: int, kind: type = nib.Nifti1Image):
    image = kind(np.arange(9 * 8 * 7, dtype=np.int16).reshape(9, 8, 7), np.diag([-1.0, -1.5, 2.0, 1.0]))
    image.set_qform(image.affine if q_code else None, q_code)
    image.set_sform(image.affine if s_code else None, s_code)
    nib.save(image, path)
    return path


@pytest.mark.parametrize("read", [read_volume, read_label_map])
@pytest.mark.parametrize("name, kind", [("a.tif", "TIFF"), ("a.mrc", "MRC")])
def test_format_without_a_distance_of_slices_is_refused(read, name, kind, tmp_path):
    sitk.WriteImage(ball(), str(tmp_path / name))
    with pytest.raises(InputError, match=f"{name} is of the format {kind}.*slices are apart; .*NRRD, NIfTI"):
        read(tmp_path / name)


@pytest.mark.parametrize("read", [read_volume, read_label_map])
@pytest.mark.parametrize("name, line", [("a.nrrd", b"space directions:"), ("a.mha", b"ElementSpacing")])
def test_header_without_spacing_is_refused(read, name, line, tmp_path):
    sitk.WriteImage(ball(), str(tmp_path / name))
    read_volume(tmp_path / name)
    without_lines(tmp_path / name, line)
    with pytest.raises(InputError, match=f"{name} does not say how far its voxels are apart .* is missing"):
        read(tmp_path / name)


def test_spacing_in_other_units_is_refused(tmp_path):
    path = tmp_path / "a.nrrd"
    sitk.WriteImage(ball(), str(path))
    path.write_bytes(path.read_bytes().replace(b"kinds:", b'space units: "m" "m" "m"\nkinds:', 1))
    with pytest.raises(InputError, match="The spacing of a.nrrd is in m, expected mm"):
        read_volume(path)


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
def test_nifti_without_orientation_says_so(name, tmp_path):
    (note,) = read_volume(nifti(tmp_path / name, 0, 0)).notes
    assert note.startswith(f"{name} does not say how it lies in the patient (its qform_code and sform_code are 0)")
    assert "right and left" in note and note.endswith("give the image with its orientation.")


def test_second_version_of_nifti_is_read_as_right_or_called_by_its_name(tmp_path):
    assert describe_missing_orientation(nifti(tmp_path / "a.nii", 0, 0, nib.Nifti2Image)) is not None
    assert describe_missing_orientation(nifti(tmp_path / "b.nii", 0, 1, nib.Nifti2Image)) is None
    try:
        assert read_volume(tmp_path / "b.nii").image.GetSpacing() == (1.0, 1.5, 2.0)
    except InputError as error:
        assert "b.nii is NIfTI of version 2" in str(error)


@pytest.mark.parametrize("codes", [(1, 0), (0, 2), (1, 1)])
def test_nifti_with_an_orientation_needs_no_note(codes, tmp_path):
    assert read_volume(nifti(tmp_path / "a.nii.gz", *codes)).notes == ()


@pytest.mark.parametrize(
    "name, line, why",
    [
        ("a.nrrd", b"space:", "no field 'space'"),
        ("a.mha", b"TransformMatrix", "no TransformMatrix"),
        ("a.vtk", b"", "VTK"),
    ],
)
def test_other_files_without_orientation_say_so(name, line, why, tmp_path):
    sitk.WriteImage(ball(), str(tmp_path / name))
    if name == "a.nrrd":  # without a space the directions are no vectors
        header = (tmp_path / name).read_bytes()
        header = re.sub(rb"^space directions:.*$", b"spacings: 1.25 1.5 2", header, flags=re.MULTILINE)
        header = re.sub(rb"^space origin:.*\n", b"", header, flags=re.MULTILINE)
        (tmp_path / name).write_bytes(header)
    if line:
        without_lines(tmp_path / name, line)
    volume = read_volume(tmp_path / name)
    assert why in volume.notes[0] and volume.image.GetSpacing() == pytest.approx((1.25, 1.5, 2.0))
