"""NIfTI files that say twice how they lie, voxels that are no numbers, and what libraries print."""

from __future__ import annotations

import logging

import nibabel as nib
import numpy as np
import pytest

from KneeSegLib.errors import InputError
from KneeSegLib.io.label_maps import read_label_map, read_noted_label_map
from KneeSegLib.io.stated_geometry import StatedGeometry
from KneeSegLib.io.volume import read_volume

RAS = np.array([[-2.0, 0, 0, 46], [0, -2.0, 0, 46], [0, 0, 3.0, 5], [0, 0, 0, 1]])
NUMBERS = np.arange(9 * 8 * 7, dtype=np.int16).reshape(9, 8, 7)


def nifti(path, qform: np.ndarray | None, sform: np.ndarray | None, pixdim: tuple | None = None, values=NUMBERS):
    image = nib.Nifti1Image(values, RAS if sform is None else sform)
    image.set_qform(qform, 0 if qform is None else 1)
    image.set_sform(sform, 0 if sform is None else 1)
    if pixdim is not None:
        image.header["pixdim"][1:4] = pixdim
    nib.save(image, path)
    return path


def changed(**by_place) -> np.ndarray:
    placing = RAS.copy()
    for place, value in by_place.items():
        placing[int(place[1]), int(place[2])] = value
    return placing


def test_placings_of_which_one_is_a_mirror_image_are_told(tmp_path):
    path = nifti(tmp_path / "a.nii.gz", changed(p00=2.0), RAS)
    (note,) = read_volume(path).notes
    assert note.startswith("a.nii.gz says in two ways how it lies in the patient")
    assert "one the mirror image of the other: it was read by its sform and not by its qform" in note
    assert note in read_noted_label_map(nifti(path, changed(p00=2.0), RAS, values=NUMBERS % 3))[1]


@pytest.mark.parametrize(
    "qform, sform, apart_mm, taken",
    [(RAS, changed(p03=546.0), 500.0, "sform"), (RAS, changed(p00=-1.0), 8.0, "qform")],
)
def test_placings_that_differ_are_told_with_the_one_that_was_read(qform, sform, apart_mm, taken, tmp_path):
    (note,) = read_volume(nifti(tmp_path / "a.nii", qform, sform, (2, 2, 3))).notes
    assert f"differ by up to {apart_mm:.1f} mm: it was read by its {taken} " in note


@pytest.mark.parametrize(
    "axes", [np.eye(3), np.diag([-1.0, 1, 1]), np.array([[0, -0.6, 0.8], [0, 0.8, 0.6], [-1, 0, 0]])]
)
@pytest.mark.parametrize("unit, scale", [("mm", 1.0), ("meter", 1e-3), ("micron", 1e3)])
def test_placings_that_agree_need_no_note(axes, unit, scale, tmp_path):
    placing = np.eye(4)
    placing[:3, :3], placing[:3, 3] = axes * [0.7, 0.7, 1.3], (-90.3, 41.7, 1201.9)
    placing[:3] *= scale
    image = nib.Nifti1Image(NUMBERS, placing)
    image.header.set_xyzt_units(unit)
    image.set_qform(placing, 1)
    image.set_sform(placing, 1)
    nib.save(image, tmp_path / "a.nii.gz")
    volume = read_volume(tmp_path / "a.nii.gz")
    assert volume.notes == () and volume.image.GetSpacing() == pytest.approx((0.7, 0.7, 1.3))


def test_two_sizes_of_voxels_are_refused_unless_the_user_says_the_true_one(tmp_path):
    path = nifti(tmp_path / "a.nii.gz", None, RAS, (1, 1, 1))
    with pytest.raises(InputError, match=r"two sizes, 1 x 1 x 1 mm \(pixdim\) and 2 x 2 x 3 mm .* with --spacing"):
        read_volume(path)
    with pytest.raises(InputError, match="two sizes.*correct its header"):
        read_label_map(nifti(path, None, RAS, (1, 1, 1), NUMBERS % 3))
    assert read_volume(path, stated=StatedGeometry((2.0, 2.0, 3.0))).image.GetSpacing() == (2.0, 2.0, 3.0)


def test_sizes_that_were_rounded_are_told(tmp_path):
    wide = np.zeros((90, 80, 9), np.int16)
    wide[0, 0, 0] = 5
    (note,) = read_volume(nifti(tmp_path / "a.nii.gz", None, RAS, (1.98, 1.98, 3), wide)).notes
    assert "two sizes, 1.98 x 1.98 x 3 mm (pixdim), by which it was read, and 2 x 2 x 3 mm (sform)" in note


def test_negative_distances_that_would_mirror_the_image_are_refused(tmp_path):
    with pytest.raises(InputError, match="a.nii contradicts itself: with its pixdim the axes lie otherwise"):
        read_volume(nifti(tmp_path / "a.nii", None, RAS, (-2, -2, -3)))


@pytest.mark.parametrize("name", ["a.img", "a.hdr"])
def test_voxels_of_an_analyze_file_say_that_their_orientation_is_unknown(name, tmp_path):
    nib.save(nib.Spm99AnalyzeImage(NUMBERS, RAS), tmp_path / "a.img")
    (note,) = read_volume(tmp_path / name).notes
    assert "Analyze files do not hold it" in note


@pytest.mark.parametrize("read", [read_volume, read_label_map])
@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_voxels_that_are_no_numbers_are_not_read_as_zero(read, name, kind, tmp_path):
    values = (NUMBERS % 3).astype(kind)
    values[0, :2, 0] = np.nan, np.inf
    with pytest.raises(InputError, match=f"{name} holds 2 voxels that are not numbers"):
        read(nifti(tmp_path / name, RAS, RAS, values=values))
    read(nifti(tmp_path / name, RAS, RAS, values=(NUMBERS % 3).astype(kind)))


def test_what_itk_has_to_say_goes_to_the_log(tmp_path, capfd, caplog):
    path = nifti(tmp_path / "a.nii.gz", RAS, changed(p00=-1.0), (2, 2, 3))
    with caplog.at_level(logging.INFO):
        read_volume(path)
    assert "unexpected scales in sform" in caplog.text
    assert capfd.readouterr() == ("", "")
