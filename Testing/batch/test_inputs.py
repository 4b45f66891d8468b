"""Which scans are found in folders, patterns, tables and DICOM trees, and what is said where there are none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from KneeSegLib.batch.inputs import find_scans
from KneeSegLib.batch.scans import make_name
from KneeSegLib.errors import InputError
from KneeSegLib.io.volume import read_scans
from Testing.io.dicom.conftest import write_slice


def write_series(folder: Path, slices: int, study: str, uid: str, first_mm: float = 0.0) -> None:
    stored = np.full((32, 32), 1000, np.uint16)
    for number in range(slices):
        tags = {"SeriesInstanceUID": uid, "StudyInstanceUID": study, "SeriesNumber": len(uid)}
        write_slice(
            folder / f"{uid}-{first_mm + 3.0 * number:g}.dcm", stored, (0.0, 0.0, first_mm + 3.0 * number), **tags
        )


def found_names(*inputs: object, output: Path = Path("/nowhere"), **options) -> list[str]:
    return [scan.name for scan in find_scans([str(entry) for entry in inputs], output, **options)]


def test_every_image_file_below_a_folder_is_a_scan_but_for_results(scans):
    (scans / "out").mkdir()
    (scans / "out" / "d.nrrd").symlink_to(scans / "a.nrrd")
    (scans / "mine.seg.nrrd").symlink_to(scans / "a.nrrd")
    (scans / "second" / "loop").symlink_to(scans)
    assert found_names(scans, output=scans / "out") == ["a", "flat", "second/b", "text"]


def test_a_pattern_is_expanded_and_no_scan_counts_twice(scans):
    assert found_names(scans / "*.nrrd", scans / "a.nrrd") == ["a", "text"]


def test_of_a_dicom_study_the_largest_series_is_taken_and_localisers_are_no_failure(tmp_path):
    write_series(tmp_path / "anna" / "bone", 20, "1.1", "1.1.2")
    write_series(tmp_path / "anna" / "soft", 16, "1.1", "1.1.33")
    write_series(tmp_path / "anna" / "scout", 3, "1.1", "1.1.444")
    write_series(tmp_path / "ben", 20, "1.2", "1.2.2")
    assert found_names(tmp_path) == ["anna/bone", "ben"]
    assert found_names(tmp_path, all_series=True) == ["anna/bone", "anna/soft", "ben"]


def test_series_that_share_a_folder_are_told_apart(tmp_path):
    write_series(tmp_path, 20, "1.1", "1.1.2")
    write_series(tmp_path, 16, "1.1", "1.1.33")
    found = find_scans([str(tmp_path)], Path("/nowhere"), all_series=True)
    assert len({scan.series for scan in found}) == 2 and "1.1." not in str(found)


def test_blocks_of_one_series_are_one_scan(tmp_path):
    write_series(tmp_path / "ct", 16, "1.1", "1.1.2")
    write_series(tmp_path / "ct", 16, "1.1", "1.1.2", first_mm=200.0)
    (scan,) = find_scans([str(tmp_path / "ct")], Path("/nowhere"))
    assert scan.series is None and len(read_scans(scan.source)) == 2
    write_series(tmp_path / "ct", 14, "1.1", "1.1.33")
    (scan,) = find_scans([str(tmp_path / "ct")], Path("/nowhere"))
    assert len(read_scans(scan.source, scan.series)) == 2


def test_a_study_without_a_volume_is_refused_beside_others(tmp_path):
    write_series(tmp_path / "anna", 20, "1.1", "1.1.2")
    write_series(tmp_path / "ben", 3, "1.2", "1.2.2")
    refused = [scan.refused for scan in find_scans([str(tmp_path)], Path("/nowhere")) if scan.refused]
    assert len(refused) == 1 and "ben holds no volume" in refused[0]


def test_a_dicom_tree_with_nothing_usable_is_one_sentence(tmp_path):
    write_series(tmp_path / "ben", 3, "1.2", "1.2.2")
    with pytest.raises(InputError, match="Nothing in .* can be segmented; of 1 found, the first is refused: .*ben"):
        find_scans([str(tmp_path)], Path("/nowhere"))


def test_a_folder_without_a_scan_and_a_path_that_is_not_there_are_one_sentence(tmp_path):
    (tmp_path / "readme.txt").write_text("nothing", encoding="utf-8")
    with pytest.raises(InputError, match="holds no scan, expected DICOM series"):
        find_scans([str(tmp_path)], Path("/nowhere"))
    with pytest.raises(InputError, match="There is no file or folder"):
        find_scans([str(tmp_path / "scan")], Path("/nowhere"))
    with pytest.raises(InputError, match="No file or folder fits"):
        find_scans([str(tmp_path / "*.nrrd")], Path("/nowhere"))


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_a_table_names_scans_and_options_of_their_own(scans, separator):
    rows = (("Input", "name", "side", "age"), ("a.nrrd", "first", "right", "61"), ("second/b.nrrd", "", "", "40"))
    table = scans / "list.csv"
    table.write_text("\n".join(separator.join(row) for row in rows), encoding="utf-8-sig")
    first, second = find_scans([str(table)], Path("/nowhere"))
    assert (first.name, dict(first.options)) == ("first", {"side": "right"})
    assert (second.source, dict(second.options)) == (str(scans / "second" / "b.nrrd"), {})


@pytest.mark.parametrize("header", ["input,,,side", "comment,input,comment,side", "input,side"])
def test_columns_that_nobody_knows_move_no_option_to_another_place(tmp_path, header):
    fields = {"input": "a.nrrd", "side": "left"}
    row = ",".join(fields.get(column, "?") for column in header.split(","))
    (tmp_path / "list.csv").write_text(f"{header}\n{row}\n", encoding="utf-8")
    (scan,) = find_scans([str(tmp_path / "list.csv")], Path("/nowhere"))
    assert (scan.source, dict(scan.options)) == (str(tmp_path / "a.nrrd"), {"side": "left"})


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("file,name\na.nrrd,a", "has no column input .found: file, name."),
        ("input,name\n", "lists no scan"),
        ("input,name\n,a", "Line 2 of .* names no input"),
        ("input,name\na.nrrd,x\nb.nrrd,X", "gives the name X in the lines 2 and 3"),
        ("input,name\na.nrrd,\xfc", "is no text in UTF-8"),
        ("input,side,side\na.nrrd,left,right", "has 2 columns called side"),
        ("input,name\n" + "a" * 200_000, "is no CSV .field larger than"),
    ],
)
def test_a_table_that_cannot_be_used_is_one_sentence(tmp_path, text, sentence):
    (tmp_path / "list.csv").write_text(text, encoding="latin-1")
    with pytest.raises(InputError, match=sentence):
        find_scans([str(tmp_path / "list.csv")], Path("/nowhere"))


def test_names_are_folder_names_that_differ():
    assert make_name("anna/knee 1", set()) == "anna_knee-1"
    assert make_name("Anna", {"anna"}) == "Anna-2"
    assert make_name("../..", set()) == "scan"
