"""What of each bone the blocks of one examination show, as the report tells it."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from KneeSegLib import TRAINING_STATEMENT
from KneeSegLib.case import Case
from KneeSegLib.joining import describe_frames
from KneeSegLib.measurements.structures import measure_structures
from KneeSegLib.report.blocks import describe_gaps, list_legs_over_blocks
from KneeSegLib.report.html import render_report
from Testing.phantoms.blocks import blocks_case
from Testing.phantoms.cases import knee_case
from Testing.phantoms.legs import leg_phantom


@pytest.fixture(scope="module")
def case() -> Case:
    """Hip from 700 to 990 mm and knee from 380 to 600 mm, both along the body's axes."""
    blocks = blocks_case()
    for scan, heights in zip(blocks.scans, ((700.0, 990.0), (380.0, 600.0))):
        phantom = leg_phantom(("right",), heights, spacing_mm=(4.0, 4.0, 5.0))
        scan.volume, scan.labels = replace(scan.volume, image=phantom.image), phantom.truth
        scan.structures = measure_structures(phantom.truth)
    return blocks


def test_each_bone_of_a_leg_says_in_which_scan_it_is_and_how_much_of_it(case):
    (leg,) = list_legs_over_blocks(case)
    parts = {bone.structure.tissue.key: bone.parts for bone in leg.bones}
    assert leg.side == "right"
    assert parts["patella"][0] == "" and parts["patella"][1].endswith("mm, whole")
    assert parts["hip_bone"][1] == ""
    hip, knee = (int(re.match(r"(\d+) mm, part", part)[1]) for part in parts["femur"])
    assert 200 <= hip <= 290 and 60 <= knee <= 220


def test_what_lies_between_the_scans_is_told(case):
    (sentence,) = describe_gaps(case.scans)
    assert re.fullmatch(r"Between the hip and the knee scan lie (9\d|10\d) mm that none shows\.", sentence)


def test_the_report_shows_each_leg_over_the_scans(case):
    page = render_report(case, {"statement": TRAINING_STATEMENT, "software": {}, **case.provenance})
    assert "<h2>Each leg over the scans</h2>" in page and "<th>Hip scan</th><th>Knee scan</th>" in page
    alone = knee_case()
    assert list_legs_over_blocks(alone) == []


def test_frames_of_reference_that_nobody_names_are_not_taken_for_one_in_silence(case):
    (sentence,) = describe_frames(case.scans)
    assert sentence.startswith("The 2 blocks name no frame of reference (FrameOfReferenceUID)")
    named = [replace(scan, volume=replace(scan.volume, frame_of_reference="1.2")) for scan in case.scans]
    assert describe_frames(named) == []
