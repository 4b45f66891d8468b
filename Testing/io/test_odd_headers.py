"""Headers of NRRD and MetaImage that are sound and unusual: single axes, units, lists of files, typed text."""

from __future__ import annotations

import re
import zipfile

import numpy as np
import pytest
import SimpleITK as sitk

from KneeSegLib.errors import InputError
from KneeSegLib.io.label_maps import read_label_map
from KneeSegLib.io.volume import read_volume

VALUES = np.arange(7 * 8 * 9, dtype=np.int16).reshape(7, 8, 9) % 5


def write(path, *replaced: tuple[str, str]):
    """Write a volume, with patterns of its header replaced."""
    image = sitk.GetImageFromArray(VALUES)
    image.SetSpacing((1.25, 1.5, 2.0))
    sitk.WriteImage(image, str(path))
    end = rb"\n\n" if path.suffix == ".nrrd" else rb"ElementDataFile"
    header, voxels = re.split(end, path.read_bytes(), maxsplit=1)
    text = header.decode()
    for pattern, text_instead in replaced:
        text, count = re.subn(pattern, text_instead, text, flags=re.MULTILINE)
        assert count == 1, pattern
    path.write_bytes(text.encode() + end.replace(rb"\n", b"\n") + voxels)
    return path


LIST_FIRST = (
    ("dimension: 3", "dimension: 4"),
    ("sizes: ", "sizes: 1 "),
    ("directions: ", "directions: none "),
    ("kinds: ", "kinds: list "),
)
LIST_LAST = (
    ("dimension: 3", "dimension: 4"),
    ("(sizes: .*)", r"\1 1"),
    ("(directions: .*)", r"\1 none"),
    ("(kinds: .*)", r"\1 list"),
)


@pytest.mark.parametrize("axes", [LIST_FIRST, LIST_LAST])
@pytest.mark.parametrize("read", [read_volume, read_label_map])
def test_a_list_of_one_component_is_a_volume(axes, read, tmp_path):
    found = read(write(tmp_path / "a.nrrd", *axes))
    image = found if isinstance(found, sitk.Image) else found.image
    assert image.GetSpacing() == (1.25, 1.5, 2.0)
    assert (sitk.GetArrayFromImage(image) == VALUES).all()


def test_one_time_point_of_labels_is_a_label_map(tmp_path):
    image = sitk.JoinSeries([sitk.GetImageFromArray(VALUES.astype(np.uint8))])
    sitk.WriteImage(image, str(tmp_path / "a.mha"))
    assert (sitk.GetArrayFromImage(read_label_map(tmp_path / "a.mha")) == VALUES).all()
    sitk.WriteImage(sitk.JoinSeries([image[..., 0]] * 2), str(tmp_path / "b.mha"))
    with pytest.raises(InputError, match="b.mha has 4 dimensions, expected three; give the label map of one volume"):
        read_label_map(tmp_path / "b.mha")


def test_an_axis_without_direction_is_refused(tmp_path):
    path = write(tmp_path / "a.nrrd", (r"\(0,0,2\)", "none"))
    with pytest.raises(InputError, match="apart along one of its axes .'none' in 'space directions'."):
        read_volume(path)


NO_SPACE = (("space: .*\n", ""), ("\nspace origin.*", ""))


@pytest.mark.parametrize(
    "name, unit, replaced",
    [
        ("a.nrrd", "cm", (*NO_SPACE, ("space directions:.*", 'spacings: 1.25 1.5 2\nunits: "cm" "cm" "cm"'))),
        ("a.mha", "um", (("NDims", "DistanceUnits = um\nNDims"),)),
    ],
)
@pytest.mark.parametrize("read", [read_volume, read_label_map])
def test_distances_in_other_units_are_refused(name, unit, replaced, read, tmp_path):
    with pytest.raises(InputError, match=f"The spacing of {name} is in {unit}, expected mm"):
        read(write(tmp_path / name, *replaced))


def test_the_order_of_bytes_is_not_made_up(tmp_path):
    with pytest.raises(InputError, match="its header lacks the field 'endian'"):
        read_volume(write(tmp_path / "a.nrrd", ("\nendian: little", "")))


def test_directions_that_are_none_are_named(tmp_path):
    path = write(tmp_path / "a.mha", ("TransformMatrix = .*", "TransformMatrix = 0 0 0 0 0 0 0 0 0"))
    with pytest.raises(InputError, match="its field TransformMatrix is '0 0 0 .*, and no three axes lie like that"):
        read_volume(path)


def test_a_list_of_data_files_is_called_one(tmp_path):
    path = tmp_path / "a.nhdr"
    sitk.WriteImage(sitk.GetImageFromArray(VALUES), str(path))
    path.write_text(re.sub("data file: .*", "data file: LIST\na 1.raw\na 2.raw", path.read_text()))
    with pytest.raises(InputError, match="a.nhdr says that its voxels are in a list or pattern of files .'LIST'."):
        read_volume(path)


@pytest.mark.parametrize(
    "name, line", [("a.nrrd", "Doe Jane"), ("a.nrrd", "Doe Jane: 1960"), ("a.mha", "Doe Jane 1960")]
)
def test_text_that_was_typed_into_a_header_is_not_repeated(name, line, tmp_path):
    path = write(tmp_path / name, ("^(type|NDims)", line + r"\n\1"))
    with pytest.raises(InputError, match=r"is damaged \(line [234] of its header") as error:
        read_volume(path)
    assert "jane" not in str(error.value).lower()


@pytest.mark.parametrize("read", [read_volume, read_label_map])
@pytest.mark.parametrize(
    "content, what",
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n", "a pointer of Git LFS"),
        (b"/annex/objects/MD5E-s1--0.nii.gz\n", "a pointer of Git LFS or git-annex"),
        (b"\n<!DOCTYPE html><html>Sign in</html>", "a web page"),
    ],
)
def test_what_stands_in_for_an_image_is_called_what_it_is(read, content, what, tmp_path):
    (tmp_path / "a.nii.gz").write_bytes(content)
    with pytest.raises(InputError, match=f"a.nii.gz is {what}.* again"):
        read(tmp_path / "a.nii.gz")


def test_a_zipped_label_map_is_called_an_archive(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.write(write(tmp_path / "a.nrrd"), "a.nrrd")
    with pytest.raises(InputError, match="a.zip is an archive, expected a label map; unpack it"):
        read_label_map(tmp_path / "a.zip")
