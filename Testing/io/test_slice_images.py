"""Folders of numbered slice images: the order of numbers, a geometry that the caller gives, and what is refused."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from KneeSegLib.errors import InputError
from KneeSegLib.io.slice_images import read_slice_images
from KneeSegLib.io.stated_geometry import StatedGeometry
from KneeSegLib.io.volume import read_volume
from KneeSegLib.pipelines.request import Request

GEOMETRY = StatedGeometry((0.5, 0.6, 0.7))


def write_slices(folder: Path, count: int = 12, suffix: str = ".png", colour: bool = False) -> np.ndarray:
    """Slices 1 to ``count``, without leading zeros, each with a corner of its own brightness."""
    volume = np.zeros((count, 8, 10), np.uint8)
    volume[:, 2:5, 3:7] = 20 * (1 + np.arange(count))[:, None, None]
    for number, values in enumerate(volume, start=1):
        image = sitk.GetImageFromArray(np.stack([values] * 3, axis=-1) if colour else values, isVector=colour)
        sitk.WriteImage(image, str(folder / f"Mask_{number}{suffix}"))
    return volume


@pytest.mark.parametrize("suffix", [".png", ".tif", ".bmp"])
def test_slices_come_in_the_order_of_their_numbers(tmp_path, suffix):
    volume = write_slices(tmp_path, suffix=suffix)
    image = read_slice_images(tmp_path, GEOMETRY)
    assert np.array_equal(sitk.GetArrayFromImage(image), volume)
    assert image.GetSpacing() == (0.5, 0.6, 0.7) and image.GetDirection() == (1, 0, 0, 0, 1, 0, 0, 0, 1)


def test_the_format_is_told_by_the_contents(tmp_path):
    volume = write_slices(tmp_path, suffix=".jpg")
    for path in tmp_path.iterdir():
        path.rename(path.with_suffix(".png"))
    image = read_slice_images(tmp_path, GEOMETRY)
    assert np.allclose(sitk.GetArrayFromImage(image), volume, atol=15)  # JPEG loses some


def test_grey_that_is_stored_as_colour_is_grey(tmp_path):
    volume = write_slices(tmp_path, colour=True)
    assert np.array_equal(sitk.GetArrayFromImage(read_slice_images(tmp_path, GEOMETRY)), volume)


def test_letters_say_where_the_axes_lead(tmp_path):
    volume = write_slices(tmp_path)
    image = read_slice_images(tmp_path, StatedGeometry((0.5, 0.6, 0.7), "PIR"))
    first, right, back, down = (
        image.TransformIndexToPhysicalPoint(i) for i in ((0,) * 3, (0, 0, 1), (1, 0, 0), (0, 1, 0))
    )
    assert np.allclose(np.subtract(right, first), (-0.7, 0, 0))
    assert np.allclose(np.subtract(back, first), (0, 0.5, 0))
    assert np.allclose(np.subtract(down, first), (0, 0, -0.6))
    turned = sitk.GetArrayFromImage(sitk.DICOMOrient(image, "LPS"))
    assert np.array_equal(turned, volume.transpose(1, 2, 0)[::-1, :, ::-1])


def test_a_volume_of_slices_says_what_was_given(tmp_path):
    write_slices(tmp_path)
    volume = read_volume(tmp_path, modality="MR", stated=GEOMETRY)
    assert volume.modality == "MR"
    assert "Spacing 0.5 x 0.6 x 0.7 mm and orientation LPS" in volume.notes[0]


def test_without_a_spacing_the_sentence_says_how_to_give_it(tmp_path):
    write_slices(tmp_path)
    with pytest.raises(InputError, match="12 numbered images .*--spacing COLUMNS,ROWS,SLICES"):
        read_volume(tmp_path)


def missing(folder):
    (folder / "Mask_5.png").unlink()


def double(folder):
    (folder / "other_5.png").write_bytes((folder / "Mask_5.png").read_bytes())


def larger(folder):
    sitk.WriteImage(sitk.Image([20, 20], sitk.sitkUInt8), str(folder / "Mask_7.png"))


def damaged(folder):
    (folder / "Mask_3.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"0" * 40)


def coloured(folder):
    image = sitk.GetImageFromArray(np.random.default_rng(0).integers(0, 255, (8, 10, 3), np.uint8), isVector=True)
    sitk.WriteImage(image, str(folder / "Mask_3.png"))


def flipped(folder):
    path = folder / "Mask_3.png"
    content = bytearray(path.read_bytes())
    content[content.index(b"IDAT") + 9] ^= 4
    path.write_bytes(content)


def boastful(folder):
    """A PNG of some bytes that says it has 4 GB; its checksums are right."""
    path = folder / "Mask_3.png"
    content = bytearray(path.read_bytes())
    content[16:24] = struct.pack(">II", 60000, 60000)
    content[29:33] = struct.pack(">I", zlib.crc32(content[12:29]))
    path.write_bytes(content)


def several(folder):
    for path in folder.iterdir():
        pages = sitk.GetArrayFromImage(sitk.ReadImage(str(path)))
        sitk.WriteImage(sitk.GetImageFromArray(np.stack([pages] * 2)), str(path.with_suffix(".tif")))
        path.unlink()


def none(folder):
    for path in folder.iterdir():
        path.unlink()


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (missing, r"numbered 1 to 12, 1 are missing \(5\)"),
        (double, "hold the number 5 twice"),
        (larger, "differ in size, number 7 from number 1"),
        (damaged, "Slice image number 3 cannot be read"),
        (coloured, "Slice image number 3 is in colour"),
        (none, "holds 0 numbered slice images"),
    ],
)
def test_what_is_no_stack_of_slices_is_refused(tmp_path, spoil, sentence):
    write_slices(tmp_path)
    spoil(tmp_path)
    with pytest.raises(InputError, match=sentence):
        read_slice_images(tmp_path, GEOMETRY)


def test_an_orientation_alone_leaves_the_spacing_of_slices_open(tmp_path):
    write_slices(tmp_path)
    with pytest.raises(InputError, match="do not say how far they lie apart; give their distances"):
        read_volume(tmp_path, stated=StatedGeometry(orientation="LPS"))


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"spacing": "0.5,0.5"}, "A spacing '0.5,0.5' was given, expected three numbers"),
        ({"spacing": "a,b,c"}, "expected three numbers"),
        ({"spacing": "0.5,0.5,0"}, "A spacing of 0.5, 0.5, 0 was given, expected three distances in mm above 0"),
        ({"spacing": "0.5,0.5,nan"}, "expected three distances in mm above 0"),
        ({"spacing": "1,1,1", "orientation": "LLS"}, "An orientation 'LLS' was given, expected three letters"),
    ],
)
def test_geometry_that_is_none_is_refused(options, sentence):
    with pytest.raises(InputError, match=sentence):
        _ = Request(**options).stated_geometry


@pytest.mark.parametrize("name", ["{:03d}_bone.png", "IMG ({}).png", "inner/slice_{}.png"])
def test_pictures_that_are_not_numbered_as_slices_are_called_pictures(name, tmp_path):
    (tmp_path / "inner").mkdir()
    for number in range(9):
        sitk.WriteImage(sitk.Image(8, 8, sitk.sitkUInt8), str(tmp_path / name.format(number)))
    with pytest.raises(InputError, match="no DICOM but 9 pictures .*number at the end of its name .slice_001.png."):
        read_volume(tmp_path, stated=GEOMETRY)


def test_transparency_beside_grey_is_called_so(tmp_path):
    from PIL import Image

    for number in range(9):
        Image.new("LA", (8, 8), (7, 255)).save(tmp_path / f"{number}.png")
    with pytest.raises(InputError, match="Slice image number 0 holds transparency beside its shades of grey"):
        read_volume(tmp_path, stated=GEOMETRY)
