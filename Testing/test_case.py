"""What a case measures and what its folder holds."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from KneeSegLib import TRAINING_STATEMENT
from KneeSegLib.anatomy import structure
from KneeSegLib.errors import Cancelled, OutputError
from Testing.phantoms.cases import (
    KNEE_BOXES,
    KNEE_SHAPE,
    SPACING_MM,
    assessed_knee_case,
    box_labels,
    case_of,
    knee_case,
    voxels_of,
)


@pytest.fixture(scope="module")
def saved(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("case") / "out"
    knee_case(warnings=["The fibula is short."]).save(folder)
    return folder


@pytest.fixture(scope="module")
def record(saved) -> dict:
    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    return json.loads((saved / "case.json").read_text(encoding="utf-8"), parse_constant=refuse)


def test_surfaces_enclose_the_volume_of_the_labels_and_are_made_once():
    from KneeSegLib.geometry.mesh import enclosed_volume, points_of, triangles_of

    case = knee_case()
    surfaces = case.surfaces()
    assert all(surface is surfaces[key] for key, surface in case.surfaces().items())
    for found in case.structures:
        surface = surfaces[found.structure.key]
        volume = enclosed_volume(points_of(surface), triangles_of(surface))
        assert volume == pytest.approx(found.volume_mm3, rel=0.06)


def test_a_saved_case_holds_segmentation_surfaces_report_and_record(saved):
    names = sorted(path.relative_to(saved).as_posix() for path in saved.rglob("*") if path.is_file())
    surfaces = [f"surfaces/{key}.stl" for key in sorted(KNEE_BOXES)]
    assert names == ["case.json", "report.html", "segmentation.seg.nrrd", *surfaces]


def test_the_segmentation_file_holds_the_labels(saved):
    expected = box_labels(KNEE_BOXES, KNEE_SHAPE)
    read = sitk.ReadImage(str(saved / "segmentation.seg.nrrd"))
    assert np.array_equal(sitk.GetArrayViewFromImage(read), sitk.GetArrayViewFromImage(expected))
    assert read.GetOrigin() == expected.GetOrigin()


def test_the_record_describes_input_structures_and_origin(record):
    assert (record["format"], record["format_version"]) == ("KneeSeg case", 2)
    assert record["statement"] == TRAINING_STATEMENT
    assert record["input"]["source"] == "CT knee 1.0"
    assert record["input"]["spacing_mm"] == list(SPACING_MM)
    assert record["warnings"] == ["The fibula is short."]
    assert record["provenance"]["bundles"][0]["sha256"] == "0123456789abcdef" * 4
    assert record["provenance"]["timings"]["knee, right"] == 12.25
    assert {"reading", "surfaces", "files"} <= set(record["provenance"]["timings"])
    assert {"python", "numpy", "SimpleITK"} <= set(record["provenance"]["software"])


def test_the_record_of_a_structure_is_enough_to_use_it(record, saved):
    femur = next(entry for entry in record["structures"] if entry["key"] == "femur_right")
    part = structure("femur_right")
    assert femur["name"] == "Right femur"
    assert femur["label_value"] == part.label_value
    assert femur["code"] == {"scheme": "SCT", "value": "71341001", "meaning": "Femur"}
    assert femur["side_code"]["value"] == "24028007"
    assert femur["volume_mm3"] == pytest.approx(voxels_of(part) * np.prod(SPACING_MM))
    assert femur["touches_border"] is True
    assert femur["box_index"] == {"first": [16, 14, 28], "last": [43, 33, 49]}
    assert (saved / femur["surface"]["file"]).is_file()
    assert femur["surface"]["quality"]["watertight"] is True
    assert isinstance(femur["surface"]["problems"], list)
    assert femur["surface"]["movement"]["smoothing"] == "volume-preserving"
    assert 0.0 < femur["surface"]["movement"]["mean_mm"] < max(SPACING_MM)


def test_the_record_says_how_far_each_structure_can_be_relied_on(tmp_path, record):
    assessed_knee_case().save(tmp_path / "out")
    judged = json.loads((tmp_path / "out" / "case.json").read_text(encoding="utf-8"))
    levels = {entry["key"]: entry["quality"]["level"] for entry in judged["structures"]}
    assert levels.pop("patella_right") == "check"
    assert set(levels.values()) == {"good"}
    (patella,) = (entry["quality"] for entry in judged["structures"] if entry["key"] == "patella_right")
    assert list(patella) == ["level", "reasons", "limits", "notes", "features"]
    assert len(patella["reasons"]) == 1 and "jumps by 4.0 mm" in patella["reasons"][0]
    assert patella["features"]["jump_mm"] == 4.0 and patella["features"]["edge_hu"] is None
    assert record["structures"][0]["quality"] is None  # where no pipeline judged


def test_no_file_says_where_it_was_made_or_from_whom(tmp_path):
    labels = box_labels({"talus_right": [slice(2, 7)] * 3}, (9, 9, 9))
    labels.SetMetaData("0010|0010", "DOE^JANE")
    case_of(labels).save(tmp_path / "out")
    for path in (tmp_path / "out").rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert b"DOE^JANE" not in content, path.name
            assert str(tmp_path).encode() not in content, path.name


def test_an_existing_folder_is_refused_and_left_as_it_was(saved, tmp_path):
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / "mine.txt").write_text("mine")
    with pytest.raises(OutputError, match="exists already"):
        knee_case().save(folder)
    assert [path.name for path in folder.iterdir()] == ["mine.txt"]


def test_overwriting_replaces_what_an_earlier_result_left(tmp_path):
    small = {"patella_left": [slice(2, 6)] * 3}
    case_of(box_labels({"patella_right": [slice(2, 6)] * 3}, (8, 8, 8))).save(tmp_path / "out")
    case_of(box_labels(small, (8, 8, 8))).save(tmp_path / "out", overwrite=True)
    assert [path.name for path in (tmp_path / "out" / "surfaces").iterdir()] == ["patella_left.stl"]
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize("stage", ["Surfaces", "Segmentation file", "Surface files", "Slice pictures", "3D pictures"])
def test_a_cancel_at_any_stage_leaves_nothing(tmp_path, stage):
    def cancel(fraction: float, message: str) -> None:
        if message == stage:
            raise Cancelled

    with pytest.raises(Cancelled):
        case_of(box_labels({"patella_left": [slice(2, 6)] * 3}, (8, 8, 8))).save(tmp_path / "out", progress=cancel)
    assert list(tmp_path.iterdir()) == []


def test_progress_never_goes_back_and_ends_at_one(tmp_path):
    seen = []
    case_of(box_labels({"patella_left": [slice(2, 6)] * 3}, (8, 8, 8))).save(
        tmp_path / "out", progress=lambda fraction, message: seen.append(fraction)
    )
    assert seen == sorted(seen)
    assert seen[-1] == 1.0


@pytest.mark.skipif(sys.platform == "win32", reason="file size limits are POSIX")
@pytest.mark.parametrize("limit_bytes", [400, 3_000, 30_000, 60_000])
def test_a_full_disk_is_one_sentence_and_nothing_is_left(tmp_path, limit_bytes):
    script = f"""
import resource, sys
sys.path.insert(0, {str(Path(__file__).parents[1])!r})
from Testing.phantoms.cases import knee_case
from KneeSegLib.errors import OutputError
case = knee_case()
resource.setrlimit(resource.RLIMIT_FSIZE, ({limit_bytes}, resource.RLIM_INFINITY))
try:
    case.save({str(tmp_path / "out")!r})
except OutputError as error:
    print("OutputError:", error)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, encoding="utf-8", check=False)
    assert re.match(r"OutputError: .*(larger than this process may write|room)", done.stdout), done.stdout + done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_case_without_structures_can_be_saved(tmp_path):
    case_of(box_labels({}, (8, 8, 8))).save(tmp_path / "out")
    assert "Nothing found" in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
