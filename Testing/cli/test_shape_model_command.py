"""``kneeseg shape-model build`` and ``kneeseg shape-model show``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from KneeSegLib.shape import read_shape_models
from KneeSegLib.surfaces import read_surface
from Testing.phantoms.bones import Pebble, nothing, write

QUICK = ("--bone", "patella", "--spacing", "2", "--points", "150", "--progress")


@pytest.fixture
def label_maps(tmp_path: Path) -> list[Path]:
    cases = {"anna": Pebble(-2, 0), "bert": Pebble(0, 1), "carl": Pebble(2, 0), "dora": Pebble(0, -1)}
    return [write(pebble.labels(spacing_mm=2.0), tmp_path / f"{name}.nrrd") for name, pebble in cases.items()]


def test_a_model_is_built_told_and_shown(kneeseg, label_maps, tmp_path):
    broken = write(nothing(2.0), tmp_path / "emil.nrrd")
    model = tmp_path / "models" / "patella.safetensors"
    source = ("--source", "geometry (public domain)")
    built = kneeseg("shape-model", "build", *label_maps, broken, "-o", model, *QUICK, "none", *source)
    assert built.status == 0
    assert built.err == ""
    assert all(word in built.out for word in ("anna", "dora", "emil holds no patella; left out.", "generalisation"))
    assert list(read_shape_models(model)) == ["patella"]

    shown = kneeseg("shape-model", "show", model, "--progress", "json")
    (event,) = shown.events
    (bone,) = event["bones"]
    assert bone["points"] == 150
    assert bone["provenance"]["cases"] == 4
    assert bone["provenance"]["sources"] == ["geometry (public domain)"]
    assert "anna" not in json.dumps(event)  # names of files may be names of patients

    modes = tmp_path / "modes"
    written = kneeseg("shape-model", "show", model, "--modes", modes, "--count", "1", "--format", "ply")
    assert "geometry (public domain)" in written.out
    assert sorted(path.name for path in modes.iterdir()) == [
        "patella_mean.ply",
        "patella_mode1_minus.ply",
        "patella_mode1_plus.ply",
    ]
    low, high = (read_surface(modes / f"patella_mode1_{sign}.ply").GetBounds() for sign in ("minus", "plus"))
    assert abs((high[1] - high[0]) - (low[1] - low[0])) > 2.0  # the first mode is the length along x


def test_json_events_hold_each_case_and_a_warning_without_a_source(kneeseg, label_maps, tmp_path):
    outcome = kneeseg("shape-model", "build", *label_maps, "-o", tmp_path / "out.safetensors", *QUICK, "json")
    assert any(event["event"] == "warning" and "--source" in event["message"] for event in outcome.events)
    (bone,) = outcome.events[-1]["bones"]
    assert [report["case"] for report in bone["reports"]] == ["anna", "bert", "carl", "dora"]
    assert all(report["used"] for report in bone["reports"])


@pytest.mark.parametrize(
    "arguments, status, complaint",
    [
        (("build", "anna.nrrd", "nowhere.nrrd", "-o", "new"), 2, "There is no file or folder nowhere.nrrd"),
        (("build", "anna.nrrd", "bert.nrrd", "carl.nrrd", "-o", "old"), 5, "old exists already"),
        (("build", "anna.nrrd", "bert.nrrd", "-o", "new", *QUICK, "none"), 2, "at least 3 usable cases, not 2"),
        (("build", "anna.nrrd", "bert.nrrd", "-o", "new", "--bone", "fibula"), 2, "fibula"),
        (("show", "nowhere"), 2, "There is no shape model nowhere"),
        (("show", "old"), 4, "old is not a readable shape model"),
    ],
)
def test_bad_input_is_one_sentence(kneeseg, label_maps, tmp_path, monkeypatch, arguments, status, complaint):
    monkeypatch.chdir(tmp_path)
    Path("old").write_text("precious", encoding="utf-8")
    outcome = kneeseg("shape-model", *arguments)
    assert outcome.status == status
    assert complaint in outcome.sentence
    assert len([line for line in outcome.err.splitlines() if line.startswith("Error")]) == 1
    assert not Path("new").exists()
    assert Path("old").read_text(encoding="utf-8") == "precious"


def test_an_existing_model_is_replaced_when_told(kneeseg, label_maps, tmp_path):
    model = tmp_path / "old"
    model.write_text("to be replaced")
    assert kneeseg("shape-model", "build", *label_maps[:3], "-o", model, *QUICK, "none", "--overwrite").status == 0
    assert read_shape_models(model)["patella"].provenance.cases == 3
