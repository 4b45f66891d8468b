"""The contents tell the format, not the name; and names that C++ libraries refuse are no obstacle."""

from __future__ import annotations

import gzip
import os
import sys

import numpy as np
import pytest
import SimpleITK as sitk

from KneeSegLib.errors import InputError
from KneeSegLib.io.label_maps import read_label_map
from KneeSegLib.io.volume import read_volume


def block() -> sitk.Image:
    values = np.zeros((9, 10, 11), np.uint8)
    values[2:5, 3:6, 4:9] = 2
    image = sitk.GetImageFromArray(values)
    image.SetSpacing((1.0, 1.5, 2.0))
    return image


@pytest.mark.parametrize("read", [lambda path: read_volume(path).image, read_label_map])
@pytest.mark.parametrize(
    "written, named",
    [("a.nii.gz", "a.nii"), ("a.nii.gz", "a"), ("a.nii", "b.nii.gz"), ("a.nii.gz", "a.nrrd"), ("a.nrrd", "a.nii"),
     ("a.mha", "a.img")],
)  # fmt: skip
def test_file_under_the_name_of_another_format_is_read(read, written, named, tmp_path):
    sitk.WriteImage(block(), str(tmp_path / written))
    os.rename(tmp_path / written, tmp_path / named)
    image = read(tmp_path / named)
    assert image.GetSpacing() == pytest.approx((1.0, 1.5, 2.0))
    assert np.array_equal(sitk.GetArrayFromImage(image), sitk.GetArrayFromImage(block()))


def test_image_compressed_as_a_whole_is_told_to_be_unpacked(tmp_path):
    sitk.WriteImage(block(), str(tmp_path / "a.nrrd"))
    (tmp_path / "b.nrrd.gz").write_bytes(gzip.compress((tmp_path / "a.nrrd").read_bytes()))
    with pytest.raises(InputError, match="b.nrrd.gz is an NRRD file compressed with gzip.*unpack it"):
        read_volume(tmp_path / "b.nrrd.gz")


def test_archive_under_the_name_of_an_image_is_called_an_archive(tmp_path):
    (tmp_path / "knee.nii").write_bytes(b"PK\x03\x04" + bytes(400))
    with pytest.raises(InputError, match="knee.nii is an archive, expected an image; unpack it"):
        read_volume(tmp_path / "knee.nii")


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no names that are not Unicode")
@pytest.mark.parametrize(
    "name", [b"Sch\xe4del/a.mhd", b"Sch\xe4del/a.nii.gz", b"plain/\xe4.nrrd", b"Sch\xe4del/\xe4.mha"]
)
def test_names_that_are_not_utf8_are_read(name, tmp_path):
    path = os.fsdecode(os.fsencode(tmp_path) + b"/" + name)
    os.mkdir(os.path.dirname(path))
    ending = name.partition(b".")[2].decode()
    sitk.WriteImage(block(), str(tmp_path / f"a.{ending}"))
    for part in tmp_path.glob("a.*"):
        os.rename(part, path if part.name == f"a.{ending}" else f"{os.path.dirname(path)}/{part.name}")
    volume = read_volume(path)
    assert volume.image.GetSpacing() == pytest.approx((1.0, 1.5, 2.0))
    volume.source.encode("utf-8")  # it gets into reports
    assert np.array_equal(sitk.GetArrayFromImage(read_label_map(path)), sitk.GetArrayFromImage(block()))
