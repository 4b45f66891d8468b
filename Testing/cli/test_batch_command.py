"""``kneeseg batch`` and what it says and returns; how scans are found and run has tests of its own."""

from __future__ import annotations

import json
import sys

import pytest

pytest.importorskip("distributed")


def test_a_missing_scheduler_and_an_address_that_is_none_are_one_sentence(kneeseg, label_file, tmp_path, monkeypatch):
    monkeypatch.setattr("KneeSegLib.batch.cluster.CONNECT_SECONDS", 1.0)
    scan = label_file("scan.nrrd", "femur_left")
    outcome = kneeseg("batch", scan, "-o", tmp_path / "out", "--scheduler", "tcp://127.0.0.1:1", "--progress", "none")
    assert outcome.status == 6 and "No dask scheduler answers at tcp://127.0.0.1:1" in outcome.sentence
    outcome = kneeseg("batch", scan, "-o", tmp_path / "out", "--scheduler", "what://x", "--progress", "none")
    assert outcome.status == 2 and "is no address of a dask scheduler" in outcome.sentence


def test_files_are_named_to_workers_that_stand_elsewhere(kneeseg, label_file, tmp_path, monkeypatch):
    monkeypatch.setattr("KneeSegLib.batch.cluster.CONNECT_SECONDS", 0.1)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model").mkdir()
    (tmp_path / "ours.json").touch()
    nobody = ("--scheduler", "tcp://127.0.0.1:1", "--progress", "none")
    for mapping, opinion in (("ours.json", "model"), ("oai-zib", "ct-hip")):
        options = ("--pipeline", "ct-knee", "--second-opinion", opinion, "--mapping", mapping)
        kneeseg("batch", label_file("scan.nrrd", "femur_left"), "-o", tmp_path / opinion / "out", *options, *nobody)
    kept = [json.loads((tmp_path / name / "out" / "batch.json").read_text("utf-8")) for name in ("model", "ct-hip")]
    named = [(record["options"]["mapping"], record["options"]["second_opinion"]) for record in kept]
    assert named == [(str(tmp_path / "ours.json"), str(tmp_path / "model")), ("oai-zib", "ct-hip")]


def test_options_are_refused_before_anything_is_started(kneeseg, label_file, tmp_path):
    scan = label_file("scan.nrrd", "femur_left")
    options = ("-o", tmp_path / "out", "--progress", "none")
    outcome = kneeseg("batch", scan, *options, "--scheduler", "tcp://h:1", "--workers", "2")
    assert outcome.status == 2 and "leave --workers or --scheduler out" in outcome.sentence
    outcome = kneeseg("batch", scan, *options, "--pipeline", "nnunet")
    assert outcome.status == 2 and "name its folder with --nnunet" in outcome.sentence
    assert not (tmp_path / "out").exists()


def test_without_dask_it_says_how_to_get_it(kneeseg, label_file, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    outcome = kneeseg("batch", label_file("scan.nrrd", "femur_left"), "-o", tmp_path / "out", "--progress", "none")
    assert outcome.status == 6 and 'pip install "kneeseglib[batch]"' in outcome.sentence


def test_local_processes_run_a_batch_and_the_status_tells_that_scans_failed(kneeseg, label_file, tmp_path):
    small = label_file("small.nrrd", "femur_left")
    options = ("--workers", "1", "--device", "cpu", "--edge", "cortex", "--progress", "json")
    outcome = kneeseg("batch", small, "-o", tmp_path / "out", *options)
    assert outcome.status == 7, outcome.err
    assert json.loads((tmp_path / "out" / "batch.json").read_text(encoding="utf-8"))["options"]["edge"] == "cortex"
    result, error = outcome.events[-2:]
    assert (result["event"], result["scans"][0]["state"], result["scans"][0]["exit_status"]) == ("result", "failed", 2)
    assert error["message"].startswith("1 of 1 scans could not be segmented; why stands in")
    assert (tmp_path / "out" / "index.html").is_file()
