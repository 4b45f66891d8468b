"""A damaged or foreign ``case.json`` ends in a sentence; an earlier result's files give way, and a user's never."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
import SimpleITK as sitk

from KneeSegLib.case_reading import list_recorded_files, read_scan_records
from KneeSegLib.errors import InputError
from KneeSegLib.measurements.structures import measure_structures
from KneeSegLib.output import read_saved_surfaces
from Testing.phantoms.cases import box_labels, case_of


@pytest.fixture(scope="module")
def case():
    return case_of(box_labels({"patella_right": [slice(2, 6)] * 3}, (8, 8, 8)))


@pytest.fixture(scope="module")
def saved(case, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("saved") / "out"
    case.save(folder)
    return folder


@pytest.fixture
def out(saved, tmp_path) -> Path:
    return Path(shutil.copytree(saved, tmp_path / "out"))  # with the times of its files


def test_an_edit_that_keeps_count_and_box_leaves_no_saved_surface(tmp_path):
    array = sitk.GetArrayFromImage(box_labels({"patella_right": [slice(2, 6)] * 3}, (8, 8, 8)))
    patella, array[3, 3, 3] = array.max(), 0
    case = case_of(sitk.GetImageFromArray(array))
    case.save(tmp_path / "out")
    array[3, 3, 3], array[4, 4, 4] = patella, 0
    (edited,) = measure_structures(sitk.GetImageFromArray(array))
    (before,) = case.structures
    assert (edited.voxels, edited.box) == (before.voxels, before.box)
    assert list(read_saved_surfaces(tmp_path / "out", [before])) == ["patella_right"]
    assert read_saved_surfaces(tmp_path / "out", [edited]) == {}


def change(folder: Path, *path: object, to: object) -> None:
    """Set the value at ``path`` in the record of a case's folder."""
    record = json.loads((folder / "case.json").read_text(encoding="utf-8"))
    place = record
    for name in path[:-1]:
        place = place[name]
    place[path[-1]] = to
    (folder / "case.json").write_text(json.dumps(record), encoding="utf-8")


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("format",), "another"),
        (("format_version",), "two"),
        (("format_version",), 0),
        (("scans",), {}),
        (("scans",), [None]),
        (("scans",), [{"structures": []}]),
        (("structures",), None),
        (("structures",), {"patella_right": 1}),
        (("structures", 0), "patella_right"),
        (("structures", 0, "key"), 7),
        (("structures", 0), {"key": "a\n" * 1000}),
        (("structures", 0, "voxels"), "many"),
        (("structures", 0, "voxels"), float("nan")),
        (("structures", 0, "box_index"), [1, 2]),
        (("structures", 0, "box_index", "first"), [1, 2]),
        (("structures", 0, "box_index", "last"), [1, 2, None]),
        (("structures", 0, "surface"), None),
        (("structures", 0, "surface"), "surfaces/patella_right.stl"),
        (("structures", 0, "surface", "file"), ["a" * 100_000]),
    ],
)
def test_wrong_value_in_a_record_is_one_sentence(case, out, path, value):
    change(out, *path, to=value)
    with pytest.raises(InputError, match=r"case\.json is damaged \(.*\); segment again, or take it away") as caught:
        read_saved_surfaces(out, case.structures)
    assert len(str(caught.value).splitlines()) == 1 and len(str(caught.value)) < 600


@pytest.mark.parametrize(
    "content",
    [b"", b'{"structures": [', b"\xff\xfe{}", b"[]", b"7", b'"text"', b"[" * 100_000, b"9" * 10_000],
    ids=["empty", "cut", "no UTF-8", "list", "number", "text", "deep", "long number"],
)
def test_file_that_is_no_record_is_one_sentence(case, out, content):
    (out / "case.json").write_bytes(content)
    with pytest.raises(InputError, match="is damaged") as caught:
        read_saved_surfaces(out, case.structures)
    assert len(str(caught.value).splitlines()) == 1


def test_folder_in_the_place_of_the_record_is_said(tmp_path):
    (tmp_path / "case.json").mkdir()
    with pytest.raises(InputError, match="it is no file"):
        read_scan_records(tmp_path)


def test_record_of_a_newer_version_is_said(out):
    change(out, "format_version", to=99)
    with pytest.raises(InputError, match="format version 99 .* use the newer version"):
        read_scan_records(out)


@pytest.mark.parametrize(
    "name",
    [
        "../other/patella_right.stl",
        "surfaces/../../other/patella_right.stl",
        "..\\other\\patella_right.stl",
        "C:\\other\\patella_right.stl",
        "surfaces/link/patella_right.stl",
        "another_case/surfaces/patella_right.stl",
        "patella_right.stl",
        "surfaces/femur_right.stl",
        "",
        "surfaces/\0/patella_right.stl",
        "\ud800/patella_right.stl",
        "a" * 5000 + "/patella_right.stl",
    ],
)
def test_surface_outside_the_folder_or_of_another_bone_is_refused(case, out, tmp_path, name):
    other = tmp_path / "other"
    other.mkdir()
    for file in (other / "patella_right.stl", out / "surfaces" / "femur_right.stl"):
        file.write_bytes((out / "surfaces" / "patella_right.stl").read_bytes())
    (out / "surfaces" / "link").symlink_to(other)
    change(out, "structures", 0, "surface", "file", to=name)
    with pytest.raises(InputError, match="only a file .patella_right. within its own folder is read"):
        read_saved_surfaces(out, case.structures)


def test_absolute_surface_and_a_link_in_its_place_are_refused(case, out, tmp_path):
    elsewhere = tmp_path / "patella_right.stl"
    os.rename(out / "surfaces" / "patella_right.stl", elsewhere)
    (out / "surfaces" / "patella_right.stl").symlink_to(elsewhere)
    with pytest.raises(InputError, match="within its own folder"):
        read_saved_surfaces(out, case.structures)
    change(out, "structures", 0, "surface", "file", to=str(elsewhere))
    with pytest.raises(InputError, match="within its own folder"):
        read_saved_surfaces(out, case.structures)


def test_own_surfaces_beside_those_of_a_result_survive_overwriting(out):
    (out / "surfaces" / "my_implant.stl").write_text("mine")
    case_of(box_labels({"patella_left": [slice(2, 6)] * 3}, (8, 8, 8))).save(out, overwrite=True)
    assert sorted(path.name for path in (out / "surfaces").iterdir()) == ["my_implant.stl", "patella_left.stl"]
    assert (out / "surfaces" / "my_implant.stl").read_text() == "mine"


def test_surface_that_was_changed_after_saving_is_the_users(out):
    surface = out / "surfaces" / "patella_right.stl"
    assert surface in list_recorded_files(out)
    later = (out / "case.json").stat().st_mtime_ns + 10**9
    os.utime(surface, ns=(later, later))
    assert surface not in list_recorded_files(out)


def test_damaged_record_names_nothing_to_be_replaced(out):
    change(out, "structures", 0, "surface", "file", to="../precious.stl")
    assert list_recorded_files(out) == frozenset()
    (out / "case.json").unlink()
    assert list_recorded_files(out) == frozenset()
