"""A second pipeline on the same scan: disagreements are flagged wherever a user looks."""

from __future__ import annotations

import json

import pytest
from rich.console import Console

from KneeSegLib.anatomy import structure
from KneeSegLib.cli.opinion_table import show_second_opinion
from KneeSegLib.errors import InputError
from KneeSegLib.pipelines.request import Request
from KneeSegLib.pipelines.table import PIPELINES
from KneeSegLib.second_opinion import add_second_opinion, list_known_tissues, request_second_opinion
from Testing.phantoms.cases import KNEE_BOXES, KNEE_SHAPE, assessed_knee_case, box_labels, case_of

BONES = {"femur", "tibia", "patella", "fibula"}


@pytest.fixture
def case():
    """A knee whose second opinion lacks the fibula, takes 8 mm off the tibia's upper end, and has a talus."""
    case = assessed_knee_case()
    boxes = {key: box for key, box in KNEE_BOXES.items() if key != "fibula_right"}
    boxes["tibia_right"] = (slice(0, 22), *KNEE_BOXES["tibia_right"][1:])
    boxes["talus_right"] = (slice(0, 4), slice(40, 46), slice(30, 40))
    second = case_of(box_labels(boxes, KNEE_SHAPE), pipeline="nnunet")
    add_second_opinion(case, second, "Dataset042", BONES)
    return case


def found_in(case, key):
    return next(found for found in case.structures if found.structure.key == key)


def test_what_differs_or_is_missing_is_marked_check_and_said(case):
    assert found_in(case, "femur_right").quality.level == "good"
    for key, sentence in {
        "fibula_right": "The second opinion (Dataset042) did not find it.",
        "tibia_right": "The second opinion (Dataset042) differs by up to 8.0 mm in its upper",
    }.items():
        quality = found_in(case, key).quality
        assert quality.level == "check" and any(sentence in reason for reason in quality.reasons), quality.reasons
        assert any(sentence in warning for warning in case.warnings)


def test_a_condyle_that_lies_4_mm_further_down_is_said_with_its_place():
    case, labels = assessed_knee_case(), box_labels(KNEE_BOXES, KNEE_SHAPE)
    medial_condyle = slice(30, 44), slice(14, 34), slice(26, 28)  # i, j, k: two slices of 2 mm below the femur's box
    labels[medial_condyle] = structure("femur_right").label_value
    add_second_opinion(case, case_of(labels, pipeline="nnunet"), "Dataset500", BONES)
    disagreeing = [entry for entry in case.second_opinion.agreements if entry.disagrees]
    assert [entry.structure.key for entry in disagreeing] == ["femur_right"]
    assert disagreeing[0].largest_mm == pytest.approx(4.0, abs=0.01)
    sentence = "Check the right femur. The second opinion (Dataset500) differs by up to 4.0 mm in its lower"
    assert any(sentence in warning for warning in case.warnings), case.warnings


def test_what_one_of_them_does_not_look_for_is_no_disagreement(case):
    talus = next(entry for entry in case.second_opinion.agreements if entry.structure.key == "talus_right")
    assert (talus.found_by, talus.disagrees) == ("second", False)
    assert not any("talus" in warning for warning in case.warnings)


def test_what_only_the_second_finds_is_said():
    case = assessed_knee_case()
    boxes = {**KNEE_BOXES, "talus_right": (slice(0, 4), slice(40, 46), slice(30, 40))}
    add_second_opinion(case, case_of(box_labels(boxes, KNEE_SHAPE)), "other", {*BONES, "talus"})
    assert any("The right talus was found by the second opinion (other) alone, 0.6 cm3." in w for w in case.warnings)


def test_case_report_and_terminal_show_it(case, tmp_path):
    case.save(tmp_path / "out")
    record = json.loads((tmp_path / "out" / "case.json").read_text(encoding="utf-8"))["second_opinion"]
    tibia = next(entry for entry in record["structures"] if entry["key"] == "tibia_right")
    assert tibia["flagged"] and tibia["largest_distance_mm"] == 8.0 and len(tibia["at_lps_mm"]) == 3
    assert record["pipeline"] == "Dataset042"
    report = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "Second opinion: Dataset042" in report and "Check: not found by the second" in report
    console = Console(width=120, record=True)
    show_second_opinion(console, case.second_opinion)
    shown = console.export_text()
    assert "check: not found by the second" in shown and "8.0 mm upper" in shown


def test_a_second_pipeline_that_finds_nothing_flags_all_that_it_looks_for():
    case = assessed_knee_case()
    add_second_opinion(case, "No knee was found.", "CT: knee", BONES)
    assert {found.quality.level for found in case.structures} == {"check"}
    assert "The second opinion (CT: knee) found nothing. No knee was found." in case.warnings


def test_only_a_pipeline_or_a_folder_gives_a_second_opinion(tmp_path):
    first = Request("ct-knee", side="left", quality="fast")
    asked = request_second_opinion("ct-leg", first)
    assert (asked.pipeline, asked.side, asked.quality) == ("ct-leg", "left", "fast")
    assert request_second_opinion(str(tmp_path), first).nnunet == str(tmp_path)
    assert request_second_opinion(str(tmp_path), first, "mine.json").mapping == "mine.json"
    with pytest.raises(InputError, match="A model folder and a label mapping belong to the pipeline nnunet"):
        request_second_opinion("ct-leg", first, "mine.json")
    with pytest.raises(InputError, match=r'"ct-kne" can give no second opinion: .* ct-knee'):
        request_second_opinion("ct-kne", first)
    with pytest.raises(InputError, match="would be the first one once more"):
        request_second_opinion("ct-knee", first)
    own = Request("ct-knee", models=str(tmp_path))
    assert request_second_opinion("ct-knee", own) == Request("ct-knee"), "one's own network beside the one that ships"


def test_each_pipeline_knows_what_it_looks_for():
    assert list_known_tissues(PIPELINES["ct-hip"], Request("ct-hip")) == {"femur", "hip_bone"}
    assert "medial_meniscus" in list_known_tissues(PIPELINES["mr-knee"], Request("mr-knee"))
