"""Image files are screened before a library reads them: geometry, lengths, data files, checksums."""

from __future__ import annotations

import os
import random
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from KneeSegLib.errors import InputError
from KneeSegLib.io.image_files import read_image_file
from KneeSegLib.io.label_maps import read_label_map

READERS = [read_image_file, read_label_map]


def write(path: Path, size: int = 24) -> Path:
    """Write a label map of a ball with a rim of another value, compressed."""
    z, y, x = np.ogrid[:size, :size, :size]
    distance = np.sqrt((z - size / 2) ** 2 + (y - size / 2) ** 2 + (x - size / 2) ** 2)
    noise = np.random.default_rng(0).random(distance.shape) < 0.5
    image = sitk.GetImageFromArray(((distance < size / 3) * (1 + noise)).astype(np.uint8))
    image.SetSpacing((0.5, 0.6, 0.7))
    sitk.WriteImage(image, str(path), True)
    return path


def replace(path: Path, before: bytes, after: bytes) -> Path:
    content = path.read_bytes()
    assert before in content
    path.write_bytes(content.replace(before, after, 1))
    return path


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize("ending", [".nii.gz", ".nrrd", ".mha"])
def test_no_flipped_bit_of_compressed_voxels_is_read(read, ending, tmp_path):
    path = write(tmp_path / f"a{ending}")
    whole = sitk.GetArrayFromImage(read(path))
    content = path.read_bytes()
    start = 20 if ending == ".nii.gz" else content.rindex(b"\n", 0, 600) + 12
    dice = random.Random(0)
    for _ in range(25):
        place = dice.randrange(start, len(content))
        changed = bytearray(content)
        changed[place] ^= 1 << dice.randrange(8)
        path.write_bytes(changed)
        try:
            found = sitk.GetArrayFromImage(read(path))
        except InputError as error:
            assert len(str(error).splitlines()) == 1
        else:
            np.testing.assert_array_equal(found, whole)


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize(
    ("name", "field", "value"),
    [
        ("a.mha", b"ElementSpacing = 0.5 ", b"ElementSpacing = %s "),
        ("a.mha", b"Offset = 0 ", b"Offset = %s "),
        ("a.mha", b"TransformMatrix = 1 ", b"TransformMatrix = %s "),
        ("a.nrrd", b"(0.5,", b"(%s,"),
        ("a.nrrd", b"space origin: (0,", b"space origin: (%s,"),
    ],
)
@pytest.mark.parametrize("number", [b"nan", b"1e300", b"inf", b"x"])
def test_geometry_that_is_no_number_is_refused(read, name, field, value, number, tmp_path):
    path = replace(write(tmp_path / name), field, value % number)
    with pytest.raises(InputError) as caught:
        read(path)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize(
    "named", ["/etc/hostname", "../b.raw", "%04d.raw 1 9 1", "LIST", "pipe", "nowhere.raw", "link"]
)
@pytest.mark.parametrize("name", ["a.mhd", "a.nhdr"])
def test_voxels_elsewhere_are_not_opened(read, named, name, tmp_path):
    folder = tmp_path / "scan"
    folder.mkdir()
    (tmp_path / "b.raw").write_bytes(bytes(24**3))
    if hasattr(os, "mkfifo"):
        os.mkfifo(folder / "pipe")
    (folder / "link").symlink_to(tmp_path / "b.raw")
    path = write(folder / name)
    before = b"a.zraw" if name.endswith("mhd") else b"a.raw.gz"
    with pytest.raises(InputError, match="voxels are in|named pipe"):
        read(replace(path, before, named.encode()))


@pytest.mark.parametrize("name", ["a.mhd", "a.nhdr"])
def test_voxels_in_one_file_beside_the_header_are_read(name, tmp_path):
    assert read_image_file(write(tmp_path / name)).GetSize() == (24, 24, 24)


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize(
    ("name", "before", "after"),
    [("a.nrrd", b"24 24 24", b"1500 1500 1500"), ("a.mha", b"24 24 24", b"1500 1500 1500")],
)
def test_size_that_the_file_has_no_room_for_is_refused(read, name, before, after, tmp_path):
    with pytest.raises(InputError, match="cut short"):
        read(replace(write(tmp_path / name), before, after))


@pytest.mark.parametrize("read", READERS)
def test_metaimage_that_does_not_unpack_is_refused(read, tmp_path):
    path = write(tmp_path / "a.mha")
    content = path.read_bytes()
    start = content.index(b"LOCAL\n") + 6
    path.write_bytes(content[:start] + b"\xff" * (len(content) - start))
    with pytest.raises(InputError, match="not those that were written"):
        read(path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="named pipes are POSIX")
@pytest.mark.parametrize("read", READERS)
def test_a_named_pipe_is_not_opened(read, tmp_path):
    os.mkfifo(tmp_path / "a.nrrd")
    with pytest.raises(InputError, match="named pipe"):
        read(tmp_path / "a.nrrd")


def test_a_field_given_twice_is_refused(tmp_path):
    path = replace(write(tmp_path / "a.mha"), b"NDims = 3\n", b"NDims = 3\nElementSpacing = 2 2 2\n")
    with pytest.raises(InputError, match="twice"):
        read_image_file(path)


def test_a_header_with_terminal_escapes_is_refused(tmp_path):
    path = replace(write(tmp_path / "a.nrrd"), b"dimension: 3", b"# \x1b[2J\ndimension: 3")
    with pytest.raises(InputError, match="no text") as caught:
        read_image_file(path)
    assert "\x1b" not in str(caught.value)
