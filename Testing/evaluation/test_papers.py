"""Ours beside the published figures."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from KneeSegLib.anatomy import structure
from KneeSegLib.errors import InputError
from KneeSegLib.evaluation.cohorts import Cohort
from KneeSegLib.measurements.metrics import METRICS
from KneeSegLib.measurements.summary import StructureSummary, summarize_values

PROGRAMS = Path(__file__).resolve().parents[1] / "benchmarks" / "papers"


@pytest.fixture
def beside(monkeypatch):
    monkeypatch.syspath_prepend(str(PROGRAMS))
    import beside

    return beside


def test_ours_stand_beside_the_published_value_with_what_they_were_measured_on(beside):
    summary = StructureSummary(3, 0, 0, {"dice": summarize_values([0.93, 0.94, 0.95])})
    cohort = Cohort("ct-femur-vnet, gradient, knee", "synthetic", "", "femora", 3, {}, {"femur_right": summary})
    (paper,) = [paper for paper in beside.PAPERS if "V-Net" in paper.title]
    page = beside.describe_paper(paper, [cohort])
    assert "| femur, gradient | Dice | 0.944 ± 0.011 | 0.9400 ± 0.0100 (synthetic, 3 femora) |" in page
    assert "| femur, plain | Dice | 0.931 ± 0.014 | not measured |" in page
    assert "Not the same data: 20 real angiographic CT" in page


def test_a_knee_in_ct_is_not_taken_for_one_in_mr_nor_for_the_second_simulators(beside):
    def measured(dice: float) -> dict[str, StructureSummary]:
        return {"femur_right": StructureSummary(2, 0, 0, {"dice": summarize_values([dice, dice])})}

    named = {"knee": 0.99, "knee, second simulator": 0.97, "knee MR, oai-dess, slices": 0.98}
    cohorts = [Cohort(name, "synthetic", "", "cases", 2, {}, measured(dice)) for name, dice in named.items()]
    figures = {figure.of: figure for paper in beside.PAPERS for figure in paper.figures if figure.metric == "dice"}
    assert beside.find_ours(figures["knee: femur"], cohorts).startswith("0.9900")
    assert beside.find_ours(figures["femur, 2D alone"], cohorts).startswith("0.9800")


def test_every_published_figure_is_one_of_a_metric_that_we_have_and_every_paper_says_why_its_data_differ(beside):
    metrics = {metric.key for metric in METRICS}
    assert len(beside.PAPERS) == 5
    for paper in beside.PAPERS:
        assert paper.data.endswith(".") and paper.times.endswith(".")
        assert {figure.metric for figure in paper.figures} <= metrics


@pytest.fixture
def program(monkeypatch):
    """Import a program of the papers."""
    monkeypatch.syspath_prepend(str(PROGRAMS))
    return __import__


def test_a_closing_fills_what_its_radius_reaches_and_its_table_says_how_good_that_is(
    program, tmp_path, monkeypatch, capsys
):
    whole = np.zeros((24, 24, 24), np.uint8)
    whole[4:20, 4:20, 4:20] = structure("femur", "right").label_value
    holed = whole.copy()
    holed[10:14, 10:14, 10:14] = 0
    paths = [tmp_path / f"{name}.nrrd" for name in ("reference", "prediction")]
    for path, labels in zip(paths, (whole, holed)):
        sitk.WriteImage(sitk.GetImageFromArray(labels), str(path))
    monkeypatch.setattr(sys, "argv", ["closing.py", *map(str, paths), "--radii", "0", "4"])
    program("closing").main()
    header, none, ball = capsys.readouterr().out.splitlines()
    assert header == "radius, voxels | Dice | Jaccard | AHD | ASSD | HD95 | closing, s"
    dice = 2 * (16**3 - 4**3) / (2 * 16**3 - 4**3)
    assert none.startswith(f"0 | {dice:.4f} | {1 - 4**3 / 16**3:.4f} | ")
    assert ball.startswith("4 | 1.0000 | 1.0000 | 0.000 | 0.000 | 0.00 | ")


def validated(model: Path, fold: int, dice: float) -> None:
    """Leave what nnU-Net leaves of a fold."""
    folder = model / f"fold_{fold}" / "validation"
    folder.mkdir(parents=True)
    summary = {"foreground_mean": {"Dice": dice}, "mean": {"1": {"Dice": dice}}, "metric_per_case": [{}, {}]}
    (folder / "summary.json").write_text(json.dumps(summary), encoding="utf-8")


def test_the_fold_that_did_best_on_its_validation_cases_is_named_with_the_command_that_runs_it(
    program, tmp_path, monkeypatch, capsys
):
    for fold, dice in enumerate((0.91, 0.97, 0.93)):
        validated(tmp_path, fold, dice)
    monkeypatch.setattr(sys, "argv", ["folds.py", str(tmp_path)])
    program("folds").main()
    lines = capsys.readouterr().out.splitlines()
    assert lines[1:4] == ["fold_1 | 0.9700 | 2", "fold_2 | 0.9300 | 2", "fold_0 | 0.9100 | 2"]
    assert f"Best of 3: kneeseg segment SCAN -o OUT --nnunet {tmp_path / 'fold_1'}" in lines


def test_folds_without_a_validation_are_one_sentence(program, tmp_path):
    with pytest.raises(InputError, match=r"holds no fold_\*/validation/summary.json, expected one for each fold"):
        program("folds").rank_folds(tmp_path)
    validated(tmp_path, 0, 0.9)
    (tmp_path / "fold_0" / "validation" / "summary.json").write_text("[]")
    with pytest.raises(InputError, match="is no summary of nnU-Net v2 .*; validate the fold again"):
        program("folds").rank_folds(tmp_path)


def test_the_number_of_patches_is_what_the_pipeline_places_at_most(program, tmp_path):
    pipeline = program("patches").pipeline_with(30, str(tmp_path))
    assert {bone: pipeline.placing.most[bone] for bone in ("femur", "tibia")} == {"femur": 30, "tibia": 9}
    assert pipeline.request.models == str(tmp_path)
