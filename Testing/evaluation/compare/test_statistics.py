"""Spreads, paired tests and charts, against SciPy, Matplotlib and numbers worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from KneeSegLib.anatomy import structure
from KneeSegLib.evaluation.compare.agreement import PartAgreement
from KneeSegLib.evaluation.compare.charts import (
    choose_ticks,
    draw_bland_altman,
    draw_box_plot,
    find_whiskers,
    measure_limits,
)
from KneeSegLib.evaluation.compare.running import Run
from KneeSegLib.evaluation.compare.statistics import compare_systems, correct_holm, smallest_p, summarize_runs
from KneeSegLib.evaluation.compare.systems import System
from KneeSegLib.measurements.comparison import Agreement
from KneeSegLib.measurements.metrics import METRICS

DICE = METRICS[0]
OURS, THEIRS = System("ours"), System("theirs")


def measured(value: float, key: str = "femur_right", part: str = "whole", mm3: float = 1000.0) -> PartAgreement:
    presence = "reference only" if math.isnan(value) else "both"
    metrics = {metric.key: value for metric in METRICS}
    return PartAgreement(part, Agreement(structure(key), presence, mm3, value * mm3, metrics))


def runs_of(**values: list[float]) -> list[Run]:
    """One run of each system for each case; every value is that of a right femur."""
    systems = {"ours": OURS, "theirs": THEIRS}
    return [
        Run(systems[name], f"case {number}", measured=[measured(value)])
        for name, of_system in values.items()
        for number, value in enumerate(of_system)
    ]


def test_a_missed_structure_is_counted_and_in_no_figure():
    runs = [*runs_of(ours=[0.9, math.nan, 0.7]), Run(OURS, "case 3", failure="No."), *runs_of(theirs=[0.9] * 4)]
    (figures,) = summarize_runs(runs)
    ours, _ = figures.systems
    assert (ours.expected, ours.found, ours.failed) == (4, 2, 1)
    dice = ours.spreads["dice"]
    assert (dice.mean, dice.minimum, dice.maximum) == pytest.approx((0.8, 0.7, 0.9))
    assert dice.sd == pytest.approx(np.std([0.9, 0.7], ddof=1))


def test_a_system_is_judged_by_its_own_cases_only():
    ct, mr = System("ours", cases="ct *"), System("theirs", cases="mr *")
    runs = [
        Run(system, f"{kind} {number}", measured=[measured(0.9, key)])
        for system, kind, key in ((ct, "ct", "femur_right"), (mr, "mr", "femur_right"), (ct, "ct", "fibula_right"))
        for number in range(3)
    ]
    assert ct.is_for("ct 1") and not ct.is_for("mr 1")
    whole = {entry.tissue.key: entry for entry in summarize_runs(runs)}
    assert [(system.expected, system.found) for system in whole["femur"].systems] == [(3, 3), (3, 3)]
    assert [system.expected for system in whole["fibula"].systems] == [3, 0]
    assert not compare_systems([whole["fibula"]])


def test_what_a_pipeline_does_not_look_for_is_not_missed():
    vnet, knee = System("vnet", pipeline="ct-femur-vnet"), System("knee", pipeline="ct-knee")
    model, folder = System("model", pipeline="nnunet"), System("folder")
    runs = [
        Run(system, f"case {number}", measured=[measured(0.9), measured(math.nan, "tibia_right")])
        for system in (vnet, knee, model, folder)
        for number in range(3)
    ]
    femur, tibia = summarize_runs(runs)
    assert [system.expected for system in femur.systems] == [3, 3, 3, 3]
    assert [system.expected for system in tibia.systems] == [0, 3, 3, 3]


def test_a_test_is_scipys_over_the_cases_that_both_have():
    ours, theirs = [0.95, 0.91, 0.97, 0.90, math.nan, 0.93, 0.96], [0.90, 0.92, 0.93, 0.84, 0.99, 0.86, 0.93]
    tests = compare_systems(summarize_runs(runs_of(ours=ours, theirs=theirs)))
    (dice,) = (test for test in tests if test.metric == "dice")
    pairs = np.array([(a, b) for a, b in zip(ours, theirs) if not math.isnan(a)])
    assert dice.cases == 6
    assert dice.p == pytest.approx(stats.wilcoxon(*pairs.T).pvalue)
    assert dice.p_holm == dice.p  # the only test of its metric
    assert dice.mean_difference == pytest.approx((pairs[:, 0] - pairs[:, 1]).mean())


def test_systems_that_never_differ_have_a_p_value_of_one():
    tests = compare_systems(summarize_runs(runs_of(ours=[0.9, 0.8], theirs=[0.9, 0.8])))
    assert {test.p for test in tests} == {1.0}


def test_without_a_common_case_nothing_is_tested():
    tests = compare_systems(summarize_runs(runs_of(ours=[0.9, math.nan], theirs=[math.nan, 0.8])))
    assert all(test.cases == 0 and math.isnan(test.p) and math.isnan(test.p_holm) for test in tests)


def test_two_legs_of_a_case_are_one_observation_of_a_test():
    runs = [
        Run(system, case, measured=[measured(right), measured(left, "femur_left")])
        for system, case, right, left in ((OURS, "a", 0.9, 0.7), (THEIRS, "a", 0.8, 0.6))
    ]
    figures = summarize_runs(runs)
    assert figures[0].systems[0].spreads["dice"].count == 2
    (dice,) = (test for test in compare_systems(figures) if test.metric == "dice")
    assert (dice.cases, dice.mean_difference) == (1, pytest.approx(0.1))


def test_a_part_that_is_the_whole_is_not_tested_twice():
    parts = [
        measured(0.9),
        measured(0.9, part="knee"),
        measured(0.8, "tibia_right"),
        measured(0.7, "tibia_right", "knee", 500.0),
    ]
    figures = summarize_runs([Run(OURS, "a", measured=parts), Run(THEIRS, "a", measured=parts)])
    own = {(entry.part, entry.tissue.key): entry.is_own_part for entry in figures}
    assert own == {
        ("whole", "femur"): False,
        ("whole", "tibia"): False,
        ("knee", "femur"): False,
        ("knee", "tibia"): True,
    }
    tested = {(test.part, test.tissue) for test in compare_systems(figures)}
    assert tested == {("whole", "femur"), ("whole", "tibia"), ("knee", "tibia")}


def test_holms_correction_of_a_worked_example():
    # S. Holm's procedure on p = .01, .04, .03, .005: times 3, 1, 2, 4 in the order of their size, never decreasing.
    assert correct_holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert correct_holm([0.9, 0.6]) == [1.0, 1.0]
    assert correct_holm([0.02, math.nan])[0] == 0.02


@pytest.mark.parametrize("cases", [1, 3, 6])
def test_the_smallest_p_value_is_that_of_differences_of_one_sign(cases):
    differences = np.arange(1, cases + 1) / 100
    assert smallest_p(cases) == pytest.approx(stats.wilcoxon(differences).pvalue)


def test_whiskers_are_those_of_matplotlib():
    cbook = pytest.importorskip("matplotlib.cbook")
    values = np.array([1.0, 1.1, 1.2, 1.25, 1.3, 1.4, 2.9, -0.4])
    (expected,) = cbook.boxplot_stats(values)
    assert find_whiskers(values) == pytest.approx((expected["whislo"], expected["whishi"]))


def test_limits_of_agreement_are_bland_and_altmans():
    bias, limits = measure_limits(np.array([1.0, 2.0, 3.0]))
    assert (bias, limits) == (2.0, pytest.approx((2 - 1.96, 2 + 1.96)))
    assert measure_limits(np.array([1.5])) == (1.5, None)


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [(0.0, 1.0, [0, 0.2, 0.4, 0.6, 0.8, 1.0]), (0.91, 0.99, [0.92, 0.94, 0.96, 0.98]), (-17.0, 1.0, [-15, -10, -5, 0])],
)
def test_ticks_are_round(low, high, expected):
    assert choose_ticks(low, high) == pytest.approx(expected)


def test_a_box_plot_has_a_row_for_each_system_and_a_dot_for_each_leg():
    (figures,) = summarize_runs(runs_of(ours=[0.9, 0.8, 0.7], theirs=[0.5, math.nan, 0.6]))
    plot = draw_box_plot([figures], DICE)
    assert plot is not None and [box.row for box in plot.boxes] == [0, 1]
    ours, theirs = plot.boxes
    assert (len(ours.points), len(theirs.points)) == (3, 2)
    assert ours.median > theirs.median and ours.y < theirs.y
    places = {tick.text: tick.place for tick in plot.ticks}
    assert ours.median == pytest.approx(places["0.80"] if "0.80" in places else places["0.8"])
    assert "median 0.8000" in ours.title
    assert draw_box_plot(summarize_runs(runs_of(ours=[math.nan])), DICE) is None


def test_bland_altman_plots_of_a_structure_share_their_axes():
    (figures,) = summarize_runs(runs_of(ours=[0.9, 1.1], theirs=[0.5, 0.5]))
    ours, theirs = draw_bland_altman(figures)
    assert ours.y_ticks == theirs.y_ticks and ours.x_ticks == theirs.x_ticks
    assert ours.bias_y == pytest.approx(ours.zero_y) and theirs.bias_y > theirs.zero_y  # below: too small
    assert theirs.caption == "bias -0.50 cm³, limits of agreement -0.50 to -0.50 cm³"
    assert theirs.title == "Femur, theirs"
