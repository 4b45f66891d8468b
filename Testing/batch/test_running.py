"""A batch of small scans with bad ones among them: stopped and continued, on one worker and on two."""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from KneeSegLib.batch.plan import BatchPlan
from KneeSegLib.batch.running import run_batch
from KneeSegLib.batch.scans import BatchScan, Outcome
from KneeSegLib.batch.summary import BatchSummary
from KneeSegLib.errors import Cancelled, InputError, OutputError, ResourceError
from Testing.batch.conftest import plan_batch

CHECKOUT = Path(__file__).resolve().parents[2]


def read_rows(folder: Path) -> list[dict[str, str]]:
    with open(folder / "summary.csv", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def read_results(folder: Path) -> dict[str, bytes]:
    """Every file of the cases but for reports; dates, timings and where a test has its scans taken out of records."""
    results = {}
    for path in sorted((folder / "cases").rglob("*")):
        if path.name == "case.json":
            record = json.loads(path.read_text(encoding="utf-8"))
            for key in ("date", "timings"):
                record["provenance"].pop(key)
            record["input"].pop("path")
            results[str(path.relative_to(folder))] = json.dumps(record).encode()
        elif path.is_file() and path.name != "report.html":
            results[str(path.relative_to(folder))] = path.read_bytes()
    return results


def test_good_scans_are_segmented_and_of_bad_ones_is_said_why(whole, loaded):
    rows = {row["name"]: row for row in read_rows(whole)}
    assert {name: row["state"] for name, row in rows.items()} == {
        "a": "done", "second_b": "done", "flat": "failed", "text": "failed"
    }  # fmt: skip
    assert "no image that can be read" in rows["text"]["error"] and rows["text"]["exit_status"] == "2"
    assert len(loaded) == len(set(loaded)), "a network was loaded twice in one process"
    with open(whole / "structures.csv", encoding="utf-8", newline="") as file:
        assert {row["structure"] for row in csv.DictReader(file)} >= {"femur_right", "tibia_right"}
    assert (whole / "thumbnails" / "a.svg").is_file()


def test_a_stopped_batch_goes_on_and_gives_what_one_run_gives(whole, scans, tmp_path, workers):
    plan = plan_batch(scans, tmp_path / "stopped")

    def stop(fraction: float, message: str) -> None:
        if "1 of 4 scans" in message:
            raise Cancelled

    with pytest.raises(Cancelled):
        run_batch(plan, workers, progress=stop)
    first = {row["name"] for row in read_rows(plan.folder) if row["state"] == "done"}
    assert first
    kept = {name: (plan.case_folder(name) / "case.json").stat().st_mtime_ns for name in first}
    summary = run_batch(plan_batch(scans, plan.folder), workers)
    assert (summary.count("done"), summary.count("failed")) == (2, 2)
    assert all((plan.case_folder(name) / "case.json").stat().st_mtime_ns == kept[name] for name in first)
    assert read_results(plan.folder) == read_results(whole)


def test_the_gallery_shows_what_is_to_be_checked_first_and_links_to_reports(whole, tmp_path):
    home = tmp_path / "whole"
    shutil.copytree(whole, home)
    for name, level in (("a", "good"), ("second_b", "check")):
        path = home / "cases" / name / "case.json"
        record = json.loads(path.read_text(encoding="utf-8"))
        for entry in record["structures"]:
            entry["quality"]["level"] = level
        record["warnings"] = ["Check <it>."]
        path.write_text(json.dumps(record), encoding="utf-8")
    names = ("a", "flat", "second_b", "text")
    summary = BatchSummary(BatchPlan(home, tuple(BatchScan(f"/{name}.nrrd", name=name) for name in names), {}))
    summary.add(Outcome("text", "failed", "It is no image.", 2))
    for name in ("second_b", "a"):
        summary.add(Outcome(name, "done"))
    summary.write()
    page = (home / "index.html").read_text(encoding="utf-8")
    assert page.index('href="cases/second_b/report.html"') < page.index('href="cases/a/report.html"')
    assert page.index("Check &lt;it&gt;.") < page.index("It is no image.")
    assert '<img src="thumbnails/a.svg"' in page and "Not segmented yet" in page and "<script" not in page


def test_a_case_whose_record_is_damaged_costs_its_row_alone(tmp_path):
    plan = BatchPlan(tmp_path, (BatchScan("/a.nrrd", name="a"), BatchScan("/b.nrrd", name="b")), {})
    plan.case_folder("a").mkdir(parents=True)
    (plan.case_folder("a") / "case.json").write_text('{"structures": [', encoding="utf-8")
    summary = BatchSummary(plan)
    summary.add(Outcome("a", "done"))
    summary.write()
    damaged, waiting = read_rows(tmp_path)
    assert (damaged["state"], damaged["exit_status"], waiting["state"]) == ("failed", "2", "waiting")
    assert damaged["error"].startswith("The record of the case in") and "take the folder away" in damaged["error"]
    assert summary.count("failed") == 1 and damaged["error"] in (tmp_path / "index.html").read_text(encoding="utf-8")


def test_a_batch_is_not_mixed_with_other_options_or_other_things(scans, tmp_path):
    plan_batch(scans, tmp_path / "out")
    with pytest.raises(InputError, match="was begun with quality fast and now standard is asked for"):
        plan_batch(scans, tmp_path / "out", quality="standard")
    (tmp_path / "out" / "batch.json").write_text("{", encoding="utf-8")
    with pytest.raises(InputError, match="is damaged, so the batch cannot go on"):
        plan_batch(scans, tmp_path / "out")
    with pytest.raises(OutputError, match="holds other things than a batch"):
        plan_batch(scans, tmp_path)


def test_scans_keep_their_names_when_others_come_first(scans, tmp_path):
    before = {scan.source: scan.name for scan in plan_batch(scans, tmp_path / "out").scans}
    (scans / "0").mkdir()
    shutil.copyfile(scans / "a.nrrd", scans / "0" / "a.nrrd")
    shutil.copyfile(scans / "a.nrrd", scans / "0" / "A.nrrd")
    after = {scan.source: scan.name for scan in plan_batch(scans, tmp_path / "out").scans}
    assert {source: after[source] for source in before} == before
    assert len(set(map(str.casefold, after.values()))) == 6


def test_a_worker_of_another_version_or_on_other_disks_says_so(scans, tmp_path):
    from dataclasses import replace

    from KneeSegLib import __version__
    from KneeSegLib.batch.working import segment_scan

    plan = plan_batch(scans, tmp_path / "out")
    outcome = segment_scan(plan.scans[0], plan, 1, "0.0.0")
    assert (outcome.state, outcome.exit_status) == ("failed", ResourceError.exit_status)
    assert f"has KneeSeg {__version__} and this batch is of 0.0.0" in outcome.error
    outcome = segment_scan(plan.scans[0], replace(plan, folder=tmp_path / "elsewhere"), 1, __version__)
    assert "folders that all machines share" in outcome.error


def test_a_scheduler_without_workers_is_one_sentence(monkeypatch):
    from distributed import LocalCluster

    from KneeSegLib.batch import cluster

    monkeypatch.setattr(cluster, "WORKERS_SECONDS", 0.2)
    alone = LocalCluster(n_workers=0, host="127.0.0.1", dashboard_address=None)
    with (
        alone,
        pytest.raises(ResourceError, match="has had no worker for 0 s; start some with `dask worker"),
        cluster.connect_to_scheduler(alone.scheduler_address),
    ):
        pass


PRELOAD = """
import os
from KneeSegLib.batch import working

segment = getattr(working, "segment_alive", working._segment)  # dask may read this twice
working.segment_alive = segment

def die_of_deadly(scan, plan, threads):
    if scan.name == "deadly":
        os._exit(9)
    from KneeSegLib.bundles import kept  # brings torch, which the worker that takes the dead one's place never needs
    from Testing.phantoms.legs import OracleModels

    oracle = OracleModels()
    kept.load_model = lambda name, device, models: oracle(name, device)
    segment(scan, plan, threads)

working._segment = die_of_deadly
"""


def test_processes_of_a_scheduler_give_the_same_files_and_one_that_dies_costs_its_scan_alone(whole, scans, tmp_path):
    from KneeSegLib.batch.cluster import connect_to_scheduler

    for name in ("second/b.nrrd", "text.nrrd", "flat.nii.gz"):
        (scans / name).unlink()
    shutil.copyfile(scans / "a.nrrd", scans / "deadly.nrrd")
    (tmp_path / "preload.py").write_text(PRELOAD, encoding="utf-8")
    environment = {
        **os.environ,
        "PYTHONPATH": str(CHECKOUT),
        "PYTHONDONTWRITEBYTECODE": "1",
        "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "0",
        "DASK_DISTRIBUTED__SCHEDULER__WORKER_SATURATION": "1.0",
    }
    quiet = {"env": environment, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": tmp_path}
    announced = tmp_path / "scheduler.json"
    module = (sys.executable, "-m", "distributed.cli.dask_scheduler")
    scheduler = subprocess.Popen(
        [*module, "--port", "0", "--host", "127.0.0.1", "--no-dashboard", "--scheduler-file", str(announced)], **quiet
    )
    worker = None
    try:
        while not announced.is_file() or not announced.read_text(encoding="utf-8").endswith("}"):
            assert scheduler.poll() is None
        address = json.loads(announced.read_text(encoding="utf-8"))["address"]
        module = (sys.executable, "-m", "distributed.cli.dask_worker", address)
        worker = subprocess.Popen(
            [*module, "--nthreads", "1", "--no-dashboard", "--preload", str(tmp_path / "preload.py")], **quiet
        )
        plan = plan_batch(scans, tmp_path / "remote")
        with connect_to_scheduler(address) as client:
            summary = run_batch(plan, client)
    finally:
        for process in filter(None, (worker, scheduler)):
            process.terminate()
            process.wait(20)
    failed = {row.name: row.outcome for row in summary.rows() if row.outcome.state == "failed"}
    assert set(failed) == {"deadly"}, failed
    assert "Each worker that took this scan died" in failed["deadly"].error
    expected = {path: content for path, content in read_results(whole).items() if path.startswith("cases/a/")}
    assert read_results(tmp_path / "remote") == expected


def test_a_scan_whose_worker_died_after_its_case_was_saved_is_done(whole, workers, tmp_path):
    from distributed import KilledWorker

    from KneeSegLib.batch.running import _outcome_of

    def die() -> None:
        raise KilledWorker("segment-a", SimpleNamespace(address="tcp://worker:1"), 0)

    finished, begun = BatchPlan(whole, (), {}), BatchPlan(tmp_path, (), {})
    assert _outcome_of(workers.submit(die, pure=False), "a", finished, "") == Outcome("a", "done")
    assert "Each worker that took this scan died" in _outcome_of(workers.submit(die, pure=False), "a", begun, "").error
