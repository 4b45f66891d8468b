"""Measured tables: what a benchmark wrote comes out as rows that say what their images are."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest

from KneeSegLib.anatomy import structure
from KneeSegLib.errors import InputError
from KneeSegLib.evaluation.cohorts import Cohort, read_cohorts, write_cohorts
from KneeSegLib.evaluation.settings import COLUMNS
from KneeSegLib.evaluation.tables import main, table_of
from KneeSegLib.measurements.comparison import Agreement
from KneeSegLib.measurements.metrics import METRICS
from KneeSegLib.measurements.summary import summarize


def agreement(key: str, value: float) -> Agreement:
    presence = "reference only" if math.isnan(value) else "both"
    return Agreement(structure(key), presence, 10.0, 11.0, {metric.key: value for metric in METRICS})


CASES = {
    "one": {"femur_right": agreement("femur_right", 0.9), "hip_bone_right": agreement("hip_bone_right", 0.5)},
    "two": {"femur_right": agreement("femur_right", 0.8), "hip_bone_right": agreement("hip_bone_right", math.nan)},
    "three": {"femur_right": agreement("femur_right", 0.7), "talus_right": agreement("talus_right", math.nan)},
}
COHORT = Cohort("hip", "synthetic", "Phantoms.", "subjects", 3, {"ct-hip": "0123456789abcdef"}, summarize(CASES))
REAL = replace(COHORT, name="ward", images="real", count=4)


@pytest.fixture
def measured(tmp_path):
    path = tmp_path / "measured.json"
    write_cohorts([COHORT, REAL], path, {"wrong_sides": 1})
    return path


def test_a_table_has_a_row_for_each_structure_with_mean_and_deviation():
    heading, _, *rows = table_of([COHORT]).splitlines()
    assert heading == "| Cohort | Structure | Images | Found in | Dice | ASSD, mm | HD95, mm | Surface Dice at 1 mm |"
    assert rows == [
        "| hip | hip bone | synthetic | 1 of 3 subjects | 0.500 | 0.50 | 0.50 | 0.500 |",
        "| hip | femur | synthetic | 3 of 3 subjects | 0.800 ± 0.100 | 0.80 ± 0.10 | 0.80 ± 0.10 | 0.800 ± 0.100 |",
        "| hip | talus | synthetic | 0 of 3 subjects | - | - | - | - |",
    ]


def test_every_row_of_a_page_says_whether_its_images_are_real(measured, tmp_path):
    page = tmp_path / "docs" / "measured.md"
    assert main([str(measured), "-o", str(page)]) == 0
    lines = page.read_text(encoding="utf-8").splitlines()
    rows = [line.split(" | ") for line in lines if line.startswith(("| hip", "| ward"))]
    assert {(row[0], row[2]) for row in rows} == {("| hip", "synthetic"), ("| ward", "real")}
    assert "**ward** (real, 4 subjects): Phantoms. Weights: ct-hip `0123456789ab`." in lines


def test_cohorts_come_back_as_they_were_written(measured):
    assert [comparable(cohort) for cohort in read_cohorts(measured)] == [comparable(c) for c in (COHORT, REAL)]
    assert json.loads(measured.read_text())["wrong_sides"] == 1


def comparable(cohort: Cohort) -> str:
    """NaN is equal to nothing, not even to itself."""
    return repr(cohort)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda record: record["cohorts"][1].pop("images"), "measured.json, cohort 2 has no entry 'images'"),
        (lambda record: record["cohorts"][0].update(images="phantom"), "'phantom', expected real or synthetic"),
        (lambda record: record.pop("cohorts"), "holds no list of cohorts"),
    ],
)
def test_a_file_that_does_not_say_what_was_measured_is_refused(measured, tmp_path, capsys, change, complaint):
    record = json.loads(measured.read_text())
    change(record)
    measured.write_text(json.dumps(record))
    with pytest.raises(InputError, match=complaint):
        read_cohorts(measured)
    assert main([str(measured), "-o", str(tmp_path / "page.md")]) == InputError.exit_status
    assert complaint in capsys.readouterr().err
    assert not (tmp_path / "page.md").exists()


def test_columns_are_metrics_that_are_measured():
    assert {column.metric for column in COLUMNS} <= {metric.key for metric in METRICS}
