"""Batches of small scans with the networks that ship: ``python Testing/benchmarks/cohorts.py FOLDER [PART ...]``.

Scans are parts of the sample (synthetic knee CT of real anatomy), each shifted and with noise of its own, among them
bad ones: no image, an empty one, one that is too small, a broken file, a folder without images.

===========  =========================================================================================================
resume       the batch killed (SIGKILL) twice in mid-run and continued gives what one run gives, and says what failed
workers      scans an hour on one and two local workers of one thread; their results are identical
scheduler    a dask scheduler and two workers started as processes of their own give identical files
overhead     50 workers that sleep: how long handing out, working and telling take
===========  =========================================================================================================

Needs a machine on which nothing else runs: ``workers`` and ``overhead`` compare times.
"""

from __future__ import annotations

import argparse
import csv
import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import SimpleITK as sitk

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

SAMPLE = ROOT / "Resources" / "Samples" / "knee_ct.nrrd"
BAD = 5
CHANGING = ("date", "timings")
OPTIONS = ("--pipeline", "ct-knee", "--side", "right", "--quality", "fast", "--device", "cpu", "--progress", "none")
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}


def write_scans(folder: Path, count: int, fraction: float) -> None:
    """Write ``count`` scans, ``BAD`` of which cannot be segmented; in every direction ``fraction`` of the sample."""
    whole = sitk.Cast(sitk.ReadImage(str(SAMPLE)), sitk.sitkInt16)
    folder.mkdir(parents=True)
    for number in range(count - BAD):
        random = np.random.default_rng(number)
        sizes = [round(fraction * size) for size in whole.GetSize()]
        middle = [(size - left) / 2 for size, left in zip(whole.GetSize(), sizes)]
        first = [int(random.uniform(0.5, 1.5) * start) for start in middle]
        part = sitk.RegionOfInterest(whole, sizes, first)
        noise = sitk.GetImageFromArray(np.rint(random.normal(0, 8, part.GetSize()[::-1])).astype(np.int16))
        noise.CopyInformation(part)
        sitk.WriteImage(part + noise, str(folder / f"scan{number:02}.nrrd"), True)
    (folder / "bad-text.nrrd").write_text("This is no image.", encoding="utf-8")
    empty = sitk.GetImageFromArray(np.full((40, 40, 40), -1000, np.int16))
    sitk.WriteImage(empty, str(folder / "bad-empty.nii.gz"))
    sitk.WriteImage(sitk.RegionOfInterest(whole, [8, 8, 8], [40, 40, 40]), str(folder / "bad-small.nrrd"))
    (folder / "bad-broken.nrrd").write_bytes((folder / "scan00.nrrd").read_bytes()[:4000])
    sitk.WriteImage(sitk.Image(60, 60, sitk.sitkInt16), str(folder / "bad-flat.mha"))


def batch_command(scans: Path, out: Path, *more: str) -> list[str]:
    return [sys.executable, "-m", "KneeSegLib", "batch", str(scans), "-o", str(out), *OPTIONS, *more]


def run_batch(scans: Path, out: Path, *more: str) -> float:
    """Run a batch to its end and return the seconds it took."""
    started = time.monotonic()
    status = subprocess.run(batch_command(scans, out, *more), env=ENVIRONMENT, cwd=ROOT, check=False).returncode
    if status != 7:
        raise SystemExit(f"The batch ended with {status} instead of 7, which says that some scans failed.")
    return time.monotonic() - started


def read_results(out: Path) -> dict[str, bytes]:
    """Return every file of the cases but for reports; what changes from run to run taken out of the records."""
    results = {}
    for path in sorted((out / "cases").rglob("*")):
        if path.name == "case.json":
            record = json.loads(path.read_text(encoding="utf-8"))
            for key in CHANGING:
                record["provenance"].pop(key)
            results[path.relative_to(out).as_posix()] = json.dumps(record).encode()
        elif path.is_file() and path.name != "report.html":
            results[path.relative_to(out).as_posix()] = path.read_bytes()
    return results


def compare(one: Path, other: Path) -> str:
    """Return in a clause whether two batches gave the same."""
    first, second = read_results(one), read_results(other)
    cases = len([name for name in first if name.endswith("case.json")])
    wrong = sorted(name for name in first.keys() | second.keys() if first.get(name) != second.get(name))
    return (
        f"{cases} cases, {len(first)} files, {len(wrong)} of them differ{': ' + ', '.join(wrong[:5]) if wrong else ''}"
    )


def read_failures(out: Path) -> dict[str, str]:
    with open(out / "summary.csv", encoding="utf-8", newline="") as file:
        return {row["name"]: row["error"] for row in csv.DictReader(file) if row["state"] == "failed"}


def list_cases(out: Path) -> list[Path]:
    """Return the finished cases; what a kill leaves has a hidden name."""
    return list(out.glob("cases/[!.]*/case.json"))


def count_cases(out: Path) -> int:
    return len(list_cases(out))


def kill_at(scans: Path, out: Path, cases: int) -> None:
    """Run a batch in a process group of its own and kill all of it when so many cases are there."""
    process = subprocess.Popen(
        batch_command(scans, out, "--workers", "2"), env=ENVIRONMENT, cwd=ROOT, start_new_session=True
    )
    while count_cases(out) < cases:
        if process.poll() is not None:
            raise SystemExit("The batch ended before it was killed; take more scans.")
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    print(f"killed with {count_cases(out)} cases done", flush=True)


def measure_resume(home: Path, scans: Path, whole: Path) -> None:
    out = home / "resumed"
    count = count_cases(whole)
    for cases in (count // 3, 2 * count // 3):
        kill_at(scans, out, cases)
    kept = {path: path.stat().st_mtime_ns for path in list_cases(out)}
    run_batch(scans, out, "--workers", "2")
    again = sum(path.stat().st_mtime_ns != before for path, before in kept.items())
    print(f"resumed: {compare(whole, out)}; {again} of {len(kept)} finished cases were segmented again")
    failures = read_failures(out)
    print(f"failed {len(failures)}, the same sentences as in one run: {failures == read_failures(whole)}")
    for name, error in failures.items():
        print(f"  {name}: {error}")
    left = [path.name for path in out.rglob(".partial-*")]
    print(f"left behind by the kills: {len(left)} unfinished folders")


def measure_workers(home: Path, scans: Path) -> None:
    seconds = {}
    for workers in (1, 2):
        out = home / f"workers-{workers}"
        seconds[workers] = run_batch(scans, out, "--workers", str(workers))
        an_hour = 3600 * count_cases(out) / seconds[workers]
        print(f"{workers} workers of one thread: {seconds[workers]:.0f} s, {an_hour:.0f} scans an hour", flush=True)
    percent = 100 * seconds[2] / seconds[1]
    print(f"two take {percent:.0f} % of the time of one, starting included; at most 60 % is wanted")
    print(f"one worker and two: {compare(home / 'workers-1', home / 'workers-2')}")


def measure_scheduler(home: Path, scans: Path, whole: Path) -> None:
    announced = home / "scheduler.json"
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "env": ENVIRONMENT, "cwd": home}
    module = (sys.executable, "-m", "distributed.cli.dask_scheduler")
    processes = [subprocess.Popen([*module, "--port", "0", "--host", "127.0.0.1", "--no-dashboard",
                                   "--scheduler-file", str(announced)], **quiet)]  # fmt: skip
    try:
        while not announced.is_file() or not announced.read_text(encoding="utf-8").endswith("}"):
            time.sleep(0.05)
        address = json.loads(announced.read_text(encoding="utf-8"))["address"]
        worker = (sys.executable, "-m", "distributed.cli.dask_worker", address, "--nthreads", "1", "--no-dashboard")
        processes += [subprocess.Popen(worker, **quiet) for _ in range(2)]
        run_batch(scans, home / "scheduled", "--scheduler", address)
    finally:
        for process in reversed(processes):
            process.terminate()
            process.wait(30)
    print(f"through a scheduler: {compare(whole, home / 'scheduled')}")


def measure_overhead(home: Path, workers: int, tasks: int, sleep_s: float) -> None:
    """Hand out scans whose segmenting is a sleep and whose result is an empty case, and say what the rest costs."""
    from distributed import Client, LocalCluster

    from KneeSegLib.batch import working
    from KneeSegLib.batch.plan import open_plan
    from KneeSegLib.batch.running import run_batch as run
    from KneeSegLib.batch.scans import BatchScan

    spent = {"reading": 0.0, "writing": 0.0}

    def sleep_instead(scan: BatchScan, plan: object, threads: int) -> None:
        started = time.monotonic()
        content = Path(scan.source).read_bytes()
        spent["reading"] += time.monotonic() - started
        time.sleep(sleep_s)
        started = time.monotonic()
        case = plan.case_folder(scan.name)
        case.mkdir()
        (case / "segmentation.seg.nrrd").write_bytes(content)
        record = {"structures": [], "warnings": [], "input": {"modality": "CT"},
                  "provenance": {"pipeline": "ct-knee", "timings": {"sleep": sleep_s}}}  # fmt: skip
        (case / "case.json").write_text(json.dumps(record), encoding="utf-8")
        spent["writing"] += time.monotonic() - started

    class Unlocked:
        """Workers here are threads of one process: the lock that keeps a process to one scan would queue them."""

        def __enter__(self) -> None: ...

        def __exit__(self, *error: object) -> None: ...

    working._segment, working._one_at_a_time = sleep_instead, Unlocked()
    out = home / "overhead"
    scan = home / "content"
    scan.write_bytes(os.urandom(200_000))
    found = [BatchScan(str(scan), str(number), f"scan{number:04}") for number in range(tasks)]
    options = {"pipeline": "ct-knee", "side": "auto", "quality": "fast", "device": "cpu"}
    cluster = LocalCluster(
        n_workers=workers, threads_per_worker=1, processes=False, dashboard_address=None, silence_logs=logging.CRITICAL
    )
    with cluster, Client(cluster, timeout=120) as client:
        started = time.monotonic()
        plan = open_plan(out, found, options)
        planned = time.monotonic()
        run(plan, client)
        ended = time.monotonic()
    ideal = sleep_s * tasks / workers
    more_ms = 1000 * (ended - planned - ideal) / tasks
    # Workers read and write beside each other: of a task's time this takes a worker's part.
    causes = {key: 1000 * value / tasks / workers for key, value in spent.items()}
    causes["handing out and telling"] = more_ms - sum(causes.values())
    print(
        f"{workers} workers, {tasks} tasks that sleep {sleep_s:g} s: {ended - planned:.1f} s instead of {ideal:.1f} s"
    )
    parts = ", ".join(f"{key} {value:.1f} ms" for key, value in causes.items())
    print(f"  {more_ms:.1f} ms more a task: {parts}; limited by {max(causes, key=causes.__getitem__)}")
    print(f"  the plan took {planned - started:.2f} s")
    started = time.monotonic()
    from KneeSegLib.batch.scans import Outcome
    from KneeSegLib.batch.summary import BatchSummary

    summary = BatchSummary(plan)
    for entry in plan.scans:
        summary.add(Outcome(entry.name, "done"))
    summary.write()
    print(f"  tables and gallery of all of them: {time.monotonic() - started:.2f} s, once a minute and at the end")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="Is created, or emptied.")
    parser.add_argument("parts", nargs="*", default=["resume", "workers", "scheduler", "overhead"])
    parser.add_argument("--scans", type=int, default=40)
    parser.add_argument("--fraction", type=float, default=0.875, help="of the sample, in every direction, in a scan")
    parser.add_argument("--workers", type=int, default=50, help="Of overhead.")
    parser.add_argument("--tasks", type=int, default=500, help="Of overhead.")
    parser.add_argument("--sleep", type=float, default=2.0, help="Seconds, of overhead.")
    options = parser.parse_args()
    home = options.folder.resolve()
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    scans, whole = home / "scans", home / "whole"
    if {"resume", "workers", "scheduler"} & set(options.parts):
        write_scans(scans, options.scans, options.fraction)
    if {"resume", "scheduler"} & set(options.parts):
        seconds = run_batch(scans, whole, "--workers", "2")
        print(f"one run of {options.scans} scans on two workers: {seconds:.0f} s", flush=True)
    if "resume" in options.parts:
        measure_resume(home, scans, whole)
    if "workers" in options.parts:
        measure_workers(home, scans)
    if "scheduler" in options.parts:
        measure_scheduler(home, scans, whole)
    if "overhead" in options.parts:
        measure_overhead(home, options.workers, options.tasks, options.sleep)


if __name__ == "__main__":
    main()
