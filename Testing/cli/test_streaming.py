"""What a person and what a program sees while a command works."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from dataclasses import fields
from types import SimpleNamespace

import pytest

from KneeSegLib.pipelines.request import Request
from KneeSegLib.schemas import read_schema

RUN_WITH_A_SLOW_PIPELINE = """
import sys, time
import KneeSegLib.segmentation as segmentation
from KneeSegLib.cli import main
from KneeSegLib.io.writing import write_folder

class SlowCase:
    def save(self, folder, overwrite, progress):
        with write_folder(folder, overwrite=overwrite) as unfinished:
            (unfinished / "half.txt").write_text("half")
            print("saving", file=sys.stderr, flush=True)
            {saving}

def segment(input, progress, **options):
    print("segmenting", file=sys.stderr, flush=True)
    {segmenting}
    return SlowCase()

segmentation.segment = segment
sys.exit(main(sys.argv[1:]))
"""
SLEEP = "time.sleep(60)"
GO_ON = "pass"
SWALLOW = """
    for step in range(600):
        progress(step / 600, "Slices")
        try:
            time.sleep(0.1)
        except KeyboardInterrupt:
            pass
""".strip()


@pytest.fixture
def fake_case(monkeypatch, tmp_path):
    """A pipeline that finds a femur at once, and a scan to give it."""
    from KneeSegLib.anatomy import structure
    from KneeSegLib.edges.measurement import EdgeMeasurement

    found = SimpleNamespace(
        structure=structure("femur_right"),
        volume_mm3=12345.678,
        voxels=1000,
        touches_border=True,
        extent="part, cut by the edge",
        warnings=["Thin."],
        quality=None,
        edge=EdgeMeasurement(0.174, 0.04),
    )
    volume = SimpleNamespace(notes=("The gantry was tilted by 12 degrees.",))
    case = SimpleNamespace(
        scans=[SimpleNamespace(volume=volume, structures=[found], name="")],
        warnings=["The right patella was not found."],
        second_opinion=None,
        provenance={"bundles": [], "edge": "half-maximum"},
        save=lambda folder, overwrite, progress: (progress(0.5, "Report"), folder.mkdir()),
    )

    def segment(input, progress, **options):
        for step in range(5):
            progress(step / 4, f"Knee, right: slices {step} of 4")
        case.options = options
        return case

    monkeypatch.setattr("KneeSegLib.segmentation.segment", segment)
    (tmp_path / "scan.nrrd").touch()
    return case


def test_program_gets_json_lines_and_nothing_else(kneeseg, fake_case, tmp_path, monkeypatch):
    monkeypatch.setattr("KneeSegLib.cli.stream.JsonStream.SHORTEST_INTERVAL_SECONDS", 0)
    events = kneeseg("segment", tmp_path / "scan.nrrd", "-o", tmp_path / "out", "--progress", "json").events
    fractions = [event["fraction"] for event in events if event["event"] == "progress"]
    assert fractions == sorted(fractions)
    assert fractions[0] == 0 and fractions[-1] <= 1
    assert events[1]["message"] == "Knee, right: slices 1 of 4"
    assert [event["message"] for event in events if event["event"] == "warning"] == [
        "The gantry was tilted by 12 degrees.",
        "The right patella was not found.",
    ]
    result = events[-1]
    assert result["event"] == "result"
    assert result["folder"] == str(tmp_path / "out")
    assert result["structures"][0]["key"] == "femur_right"
    assert result["structures"][0]["volume_mm3"] == 12345.678
    jsonschema, schema = pytest.importorskip("jsonschema"), read_schema("progress")
    for event in events:
        jsonschema.Draft7Validator(schema).validate(event)
    jsonschema.Draft7Validator(schema["definitions"]["segment_result"]).validate(result)


def test_prints_of_libraries_go_to_standard_error(kneeseg, fake_case, tmp_path):
    quiet_save = fake_case.save

    def save(folder, overwrite, progress):
        print("from Python")
        os.write(1, b"from C\n")
        quiet_save(folder, overwrite, progress)

    fake_case.save = save
    outcome = kneeseg("segment", tmp_path / "scan.nrrd", "-o", tmp_path / "out", "--progress", "json")
    assert outcome.events[-1]["event"] == "result"
    assert "from Python" in outcome.err
    assert "from C" in outcome.err


def test_standard_output_is_given_back(kneeseg, fake_case, tmp_path, capfd):
    kneeseg("segment", tmp_path / "scan.nrrd", "-o", tmp_path / "out", "--progress", "json")
    print("again", flush=True)
    os.write(1, b"and again\n")
    assert capfd.readouterr().out == "again\nand again\n"


def test_person_sees_structures_warnings_and_where_the_result_lies(kneeseg, fake_case, tmp_path):
    outcome = kneeseg("segment", tmp_path / "scan.nrrd", "-o", tmp_path / "out")
    assert outcome.status == 0
    assert "Right femur" in outcome.out
    assert "12.3" in outcome.out
    assert "+0.17, 4% not told" in outcome.out and "Bones end at the half-maximum" in outcome.out
    assert "part, cut by the edge; Thin." in outcome.out
    assert str(tmp_path / "out" / "report.html") in outcome.out
    assert "not a medical device" in outcome.out
    assert "Note: The right patella was not found." in outcome.err


def test_log_gets_a_line_for_each_tenth(kneeseg, fake_case, tmp_path):
    lines = kneeseg("segment", tmp_path / "scan.nrrd", "-o", tmp_path / "out").err.splitlines()
    percents = [line for line in lines if " % " in line]
    assert percents[0] == "  0 %  Knee, right: slices 0 of 4"
    assert 2 < len(percents) <= 11


def test_without_progress_only_the_result_is_printed(kneeseg, fake_case, tmp_path):
    outcome = kneeseg("segment", tmp_path / "scan.nrrd", "-o", tmp_path / "out", "--progress", "none")
    assert " % " not in outcome.err
    assert "Right femur" in outcome.out


def test_options_reach_the_pipeline(kneeseg, fake_case, tmp_path):
    kneeseg(
        *("segment", tmp_path / "scan.nrrd", "-o", tmp_path / "out", "--pipeline", "ct-knee", "--side", "left"),
        *("--quality", "fast", "--device", "cpu", "--series", "3", "--stop-after", "shape"),
    )
    given = {
        "pipeline": "ct-knee",
        "side": "left",
        "quality": "fast",
        "device": "cpu",
        "series": "3",
        "stop_after": "shape",
    }
    by_themselves = {option.name: option.default for option in fields(Request)} | {"second_opinion": None}
    assert fake_case.options == {name: given.get(name, by_themselves[name]) for name in fake_case.options}
    assert set(by_themselves) == set(fake_case.options)


@pytest.mark.skipif(sys.platform == "win32", reason="a Windows process is not sent these signals")
@pytest.mark.parametrize(
    "segmenting, saving",
    [(SLEEP, GO_ON), (SWALLOW, GO_ON), (GO_ON, SLEEP)],
    ids=["segmenting", "swallowed by a library", "saving"],
)
@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
def test_signal_stops_the_run_and_leaves_nothing(start, tmp_path, ending, segmenting, saving):
    process = start_slow_run(start, tmp_path, segmenting, saving)
    process.send_signal(ending)
    assert_cancelled(process, tmp_path)


@pytest.mark.skipif(sys.platform == "win32", reason="a Windows process is not sent these signals")
def test_impatient_second_interrupt_does_not_break_off_the_tidying_up(start, tmp_path):
    process = start_slow_run(start, tmp_path, GO_ON, f"try: {SLEEP}\n            finally: time.sleep(0.5)")
    process.send_signal(signal.SIGINT)
    time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    assert_cancelled(process, tmp_path)


def test_closing_standard_input_stops_the_run_when_asked(start, tmp_path):
    process = start_slow_run(start, tmp_path, GO_ON, SLEEP, "--cancel-on-stdin-close", stdin=-1)
    time.sleep(0.3)
    assert process.poll() is None
    process.stdin.close()
    process.stdin = None
    assert_cancelled(process, tmp_path)


def start_slow_run(start, tmp_path, segmenting: str, saving: str, *options: str, **process_options):
    """Start a run and return when it is in the middle of its slowest part."""
    (tmp_path / "scan.nrrd").touch()
    script = RUN_WITH_A_SLOW_PIPELINE.format(segmenting=segmenting, saving=saving)
    arguments = ("segment", tmp_path / "scan.nrrd", "-o", tmp_path / "out", "--progress", "json", *options)
    process = start("-c", script, *arguments, **process_options)
    slow_part = "segmenting\n" if segmenting != GO_ON else "saving\n"
    while process.stderr.readline() not in (slow_part, ""):
        pass
    time.sleep(0.1)
    return process


def assert_cancelled(process, tmp_path):
    out, err = process.communicate(timeout=20)
    assert process.returncode == 130, err
    assert json.loads(out.splitlines()[-1]) == {
        "event": "error",
        "message": "Cancelled; nothing was written.",
        "exit_status": 130,
    }
    assert [path.name for path in tmp_path.iterdir()] == ["scan.nrrd"]
