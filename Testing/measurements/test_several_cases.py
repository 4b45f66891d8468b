"""Folders against folders, and what is said about several cases."""

from __future__ import annotations

import io
import json
import math

import pytest
from rich.console import Console

from KneeSegLib.anatomy import structure
from KneeSegLib.cli.agreement_tables import print_case, print_summary
from KneeSegLib.errors import InputError
from KneeSegLib.measurements.comparison import Agreement
from KneeSegLib.measurements.metrics import METRICS
from KneeSegLib.measurements.pairs import pairs_of
from KneeSegLib.measurements.summary import as_json, summarize


def agreement(key: str, value: float, presence: str = "both") -> Agreement:
    return Agreement(structure(key), presence, 10.0, 11.0, {metric.key: value for metric in METRICS})


CASES = {
    "anna": {"femur_right": agreement("femur_right", 0.9)},
    "bert": {"femur_right": agreement("femur_right", 0.8)},
    "cara": {
        "femur_right": agreement("femur_right", 0.7),
        "patella_left": agreement("patella_left", math.nan, "prediction only"),
    },
    "dora": {"femur_right": agreement("femur_right", math.nan, "reference only")},
}


def printed(function, *arguments, width: int = 80) -> str:
    console = Console(file=io.StringIO(), width=width)
    function(console, *arguments)
    return console.file.getvalue()


def test_spread_is_mean_sample_deviation_median_and_quartiles_of_the_defined_values():
    dice = summarize(CASES)["femur_right"].metrics["dice"]
    assert dice.count == 3
    assert dice.mean == pytest.approx(0.8)
    assert dice.sd == pytest.approx(0.1)
    assert (dice.lower_quartile, dice.median, dice.upper_quartile) == pytest.approx((0.75, 0.8, 0.85))
    assert (dice.minimum, dice.maximum) == (0.7, 0.9)


def test_deviation_of_one_case_is_undefined():
    assert math.isnan(summarize({"anna": CASES["anna"]})["femur_right"].metrics["dice"].sd)


def test_missed_and_superfluous_structures_are_counted():
    summary = summarize(CASES)
    assert (summary["femur_right"].both, summary["femur_right"].reference_only) == (3, 1)
    assert (summary["patella_left"].both, summary["patella_left"].prediction_only) == (0, 1)


def test_json_is_strict_and_undefined_is_null():
    text = json.dumps(as_json(CASES), allow_nan=False)
    read = json.loads(text)
    assert [case["case"] for case in read["cases"]] == list(CASES)
    assert read["cases"][3]["structures"][0]["metrics"]["dice"] is None
    assert read["summary"]["femur_right"]["metrics"]["dice"]["mean"] == pytest.approx(0.8)


@pytest.mark.parametrize("width", [80, 140])
def test_every_metric_is_readable_on_a_narrow_and_a_wide_terminal(width):
    case = printed(print_case, CASES["anna"], "anna", width=width)
    summary = printed(print_summary, CASES, width=width)
    for text in (case, summary):
        assert "…" not in text
        assert all(metric.title in text for metric in METRICS)
        assert max(map(len, text.splitlines())) <= width


def test_undefined_is_a_dash_with_a_reason():
    text = printed(print_case, CASES["cara"], "cara")
    assert "Left patella: only in the prediction" in text
    assert "nan" not in text


def test_summary_says_what_counts_in_no_figure():
    text = " ".join(printed(print_summary, CASES).split())
    assert "Right femur was missed in 1 case, counted in no figure above." in text
    assert "Left patella was found in 1 case without it in the reference" in text


@pytest.fixture
def folders(tmp_path):
    reference, prediction = tmp_path / "reference", tmp_path / "prediction"
    for folder in (reference, prediction):
        folder.mkdir()
    for case in ("anna", "bert"):
        (reference / f"{case}.nii.gz").touch()
        (prediction / case).mkdir()
        (prediction / case / "segmentation.seg.nrrd").touch()
    (reference / "README.md").touch()
    return reference, prediction


def test_files_and_result_folders_are_paired_by_name(folders):
    reference, prediction = folders
    pairs = pairs_of(reference, prediction)
    assert [(pair.case, pair.reference.name, pair.prediction.name) for pair in pairs] == [
        ("anna", "anna.nii.gz", "anna"),
        ("bert", "bert.nii.gz", "bert"),
    ]


def test_two_files_are_one_pair_whatever_their_names(folders):
    reference, prediction = folders
    (pair,) = pairs_of(reference / "anna.nii.gz", prediction / "bert")
    assert pair.case == "anna"


def test_reference_without_a_prediction_is_named(folders):
    reference, prediction = folders
    (reference / "cara.nrrd").touch()
    with pytest.raises(InputError, match="no prediction called cara"):
        pairs_of(reference, prediction)


def test_one_against_many_missing_and_ambiguous_are_errors(folders, tmp_path):
    reference, prediction = folders
    with pytest.raises(InputError, match="two of a kind"):
        pairs_of(reference / "anna.nii.gz", prediction)
    with pytest.raises(InputError, match="two of a kind"):
        pairs_of(reference, prediction / "anna")
    with pytest.raises(InputError, match="no file or folder"):
        pairs_of(reference, tmp_path / "nowhere")
    (reference / "anna.mha").touch()
    with pytest.raises(InputError, match="both anna.mha and anna.nii.gz"):
        pairs_of(reference, prediction)
