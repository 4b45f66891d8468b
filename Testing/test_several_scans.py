"""A case of several scans of one patient: what it holds, what its folder holds, and where its surfaces lie."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from KneeSegLib.anatomy import structure
from KneeSegLib.case import Case
from KneeSegLib.case_reading import read_scan_records
from KneeSegLib.errors import Cancelled, InputError
from KneeSegLib.geometry.mesh import points_of
from KneeSegLib.io.label_maps import read_label_map
from KneeSegLib.measurements.structures import measure_structures
from KneeSegLib.output import read_saved_surfaces
from KneeSegLib.surfaces import read_surface
from Testing.phantoms.blocks import blocks_case
from Testing.phantoms.cases import knee_case

SHAFT_CENTER_MM, SHAFT_RADIUS_MM = (-110.0, 0.0), 14.0
"""Of the phantom's right femur, a cylinder along z: x, y."""


@pytest.fixture(scope="module")
def case() -> Case:
    return blocks_case()


@pytest.fixture(scope="module")
def folder(case, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("blocks") / "out"
    case.save(folder)
    return folder


@pytest.fixture(scope="module")
def record(folder) -> dict:
    return json.loads((folder / "case.json").read_text(encoding="utf-8"))


def files_below(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_a_structure_in_two_scans_has_a_surface_of_each_under_the_scans_name(case):
    assert list(case.surfaces()) == [
        "hip/hip_bone_right",
        "hip/femur_right",
        "knee/femur_right",
        "knee/patella_right",
        "knee/tibia_right",
        "knee/fibula_right",
    ]
    assert case.surfaces()["knee/femur_right"] is case.scans[1].surfaces()["femur_right"]


def test_surfaces_of_all_scans_lie_in_common_lps(folder):
    """Both blocks show a part of one straight shaft, on grids that are turned against each other."""
    for scan, (low_mm, high_mm) in (("hip", (710.0, 840.0)), ("knee", (560.0, 620.0))):
        points = points_of(read_surface(folder / scan / "surfaces" / "femur_right.stl"))
        shaft = points[(points[:, 2] > low_mm) & (points[:, 2] < high_mm)]
        radius_mm = np.hypot(*(shaft[:, :2] - SHAFT_CENTER_MM).T)
        assert len(shaft) > 200
        assert radius_mm.mean() == pytest.approx(SHAFT_RADIUS_MM, abs=0.3)
        assert np.abs(radius_mm - SHAFT_RADIUS_MM).max() < 2.0


def test_each_scan_has_a_folder_and_the_case_one_record_and_one_report(folder):
    hip, knee = ("femur", "hip_bone"), ("femur", "fibula", "patella", "tibia")
    assert files_below(folder) == [
        "case.json",
        "hip/segmentation.seg.nrrd",
        *(f"hip/surfaces/{bone}_right.stl" for bone in hip),
        "knee/segmentation.seg.nrrd",
        *(f"knee/surfaces/{bone}_right.stl" for bone in knee),
        "report.html",
    ]


def test_each_label_map_reads_back_on_the_grid_of_its_scan(case, folder):
    for scan in case.scans:
        read = read_label_map(folder / scan.name)
        assert np.array_equal(sitk.GetArrayViewFromImage(read), sitk.GetArrayViewFromImage(scan.labels))
        assert read.GetOrigin() == pytest.approx(scan.volume.image.GetOrigin())
        assert read.GetDirection() == pytest.approx(scan.volume.image.GetDirection())


def test_the_record_lists_the_scans_and_says_once_what_concerns_them_all(case, folder, record):
    assert record["warnings"] == ["The ankle is missing."]
    assert record["files"] == {"report": "report.html"}
    assert {"reading", "surfaces", "files"} == set(record["provenance"]["timings"])
    assert "structures" not in record and "input" not in record
    assert [scan["name"] for scan in record["scans"]] == ["hip", "knee"]
    for scan, written in zip(case.scans, record["scans"], strict=True):
        assert written["input"]["source"] == f"CT {scan.name}"
        assert written["input"]["size"] == list(scan.labels.GetSize())
        assert written["input"]["direction_lps"] == pytest.approx(scan.labels.GetDirection())
        assert (folder / written["files"]["segmentation"]).is_file()
        assert [entry["key"] for entry in written["structures"]] == [found.structure.key for found in scan.structures]
        for entry in written["structures"]:
            assert (folder / entry["surface"]["file"]).is_file()


def test_records_of_scans_are_read_alike_of_one_and_of_several(folder, tmp_path):
    knee_case().save(tmp_path / "one")
    (one,) = read_scan_records(tmp_path / "one")
    hip, knee = read_scan_records(folder)
    for fields in (one, hip, knee):
        assert {"input", "structures", "cartilage_thickness", "files"} <= set(fields)


def test_saved_surfaces_of_a_scan_are_found_unless_its_labels_were_edited(case, folder):
    knee = case.scans[1]
    others = sitk.Cast(knee.labels != structure("tibia_right").label_value, sitk.sitkUInt8)
    edited = knee.labels * others  # the tibia is gone
    assert set(read_saved_surfaces(folder / "knee", measure_structures(edited))) == {
        "femur_right",
        "patella_right",
        "fibula_right",
    }
    saved = read_saved_surfaces(folder / "knee", knee.structures)
    assert saved["tibia_right"].GetBounds() == pytest.approx(case.surfaces()["knee/tibia_right"].GetBounds())


def test_what_only_one_scan_has_is_asked_of_the_scan(case):
    for attribute in ("labels", "structures", "margins", "volume", "cartilage", "maps"):
        with pytest.raises(InputError, match=rf"2 scans \(hip, knee\); choose one: case.scans\[0\].{attribute}"):
            getattr(case, attribute)


@pytest.mark.parametrize("names", [("hip", "hip"), ("hip", ""), ("hip", "../knee"), ("hip", "Knee")])
def test_several_scans_need_names_that_can_name_folders(case, names):
    scans = [type(scan)(scan.volume, scan.labels, {}, [], name=name) for scan, name in zip(case.scans, names)]
    with pytest.raises(ValueError, match="need different names"):
        Case(scans, [], {})


def test_one_scan_is_saved_without_a_folder_of_its_name(tmp_path):
    case = knee_case()
    case.scans[0].name = "knee"
    case.save(tmp_path / "out")
    assert "segmentation.seg.nrrd" in files_below(tmp_path / "out")
    assert "femur_right" in case.surfaces()


def test_the_report_names_the_scan_of_each_structure_and_picture(folder):
    page = (folder / "report.html").read_text(encoding="utf-8")
    for expected in ("Hip scan", "CT hip: CT, ", "Knee scan", "CT knee: CT, ", "Right hip, hip scan"):
        assert expected in page, expected
    hip, knee = page.index('<td colspan="5">Hip scan</td>'), page.index('<td colspan="5">Knee scan</td>')
    assert hip < page.index("Hip bone</td>") < knee < page.index("Patella</td>")
    assert "<code>hip/segmentation.seg.nrrd</code>" in page and "<code>knee/surfaces/</code>" in page


def test_sentences_of_one_scan_begin_with_its_name(tmp_path):
    case = blocks_case()
    object.__setattr__(case.scans[0].volume, "notes", ("Slices lean.",))
    case.scans[1].structures[0].warnings.append("It is short.")
    case.save(tmp_path / "out")
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    for expected in ("Hip scan: Slices lean.", "The ankle is missing.", "Knee scan: It is short."):
        assert f"<li>{expected}</li>" in page


def test_a_cancel_in_the_second_scan_leaves_nothing(case, tmp_path):
    seen = []

    def cancel(fraction: float, message: str) -> None:
        seen.append(message)
        if seen.count("Segmentation file") == 2:
            raise Cancelled

    with pytest.raises(Cancelled):
        case.save(tmp_path / "out", progress=cancel)
    assert list(tmp_path.iterdir()) == []
