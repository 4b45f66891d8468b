"""Ours beside the published figures."""

from __future__ import annotations

from pathlib import Path

import pytest

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


def test_every_published_figure_is_one_of_a_metric_that_we_have_and_every_paper_says_why_its_data_differ(beside):
    metrics = {metric.key for metric in METRICS}
    assert len(beside.PAPERS) == 5
    for paper in beside.PAPERS:
        assert paper.data.endswith(".") and paper.times.endswith(".")
        assert {figure.metric for figure in paper.figures} <= metrics
