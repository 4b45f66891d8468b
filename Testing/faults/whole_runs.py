"""Whole runs of ``kneeseg segment``, networks and all, that are killed while they save."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from KneeSegLib.case_reading import list_recorded_files
from KneeSegLib.io.writing import reserve_folder

MOMENTS = ((0.0, "SIGKILL"), (0.5, "SIGKILL"), (0.8, "SIGKILL"), (0.85, "SIGTERM"), (0.95, "SIGINT"), (0.98, "SIGKILL"))
"""Fractions of the way at which a run is ended, and by what; from 0.8 on it saves."""


def kill_whole_runs(scan: Path, folder: Path) -> Iterator[list[str]]:
    """Segment ``scan`` once, then again and again into the same folder, ended at each of ``MOMENTS``."""
    folder.mkdir(parents=True)
    out = folder / "out"
    segment(scan, out).communicate()
    (out / "surfaces" / "my_implant.stl").write_text("mine")
    for fraction, name in MOMENTS:
        before = read_bytes(out)
        process = segment(scan, out)
        assert process.stdout is not None
        for line in process.stdout:
            event = json.loads(line)
            if event["event"] == "progress" and event["fraction"] >= fraction:
                break
        time.sleep(0.02)
        process.send_signal(getattr(signal, name))
        said, _ = process.communicate()
        yield [f"{name} at {fraction}: {fault}" for fault in find_faults(out, before, said)]
    shutil.rmtree(folder)


def find_faults(out: Path, before: dict[str, bytes], said: str) -> list[str]:
    """Return what is wrong with a result of which ``before`` was there."""
    faults, found = [], read_bytes(out)
    is_old = found == before
    if not is_old:
        recorded = {path.relative_to(out).as_posix() for path in list_recorded_files(out)}
        own = {name for name in before if name.endswith("my_implant.stl")}
        if not recorded or set(found) != recorded | own:
            faults.append(f"the result is neither old nor whole: {sorted(found)}")
    if "nothing was written" in said and not is_old:
        faults.append(f"it was said that nothing was written: {said}")
    with reserve_folder(out, overwrite=True):
        pass
    if os.listdir(out.parent) != ["out"]:
        faults.append(f"beside the result is left: {os.listdir(out.parent)}")
    if read_bytes(out).get("surfaces/my_implant.stl") != b"mine":
        faults.append("the user's file is gone")
    return faults


def segment(scan: Path, out: Path) -> subprocess.Popen[str]:
    """Start a run."""
    command = [sys.executable, "-m", "KneeSegLib", "segment", scan, "-o", out, "--overwrite", "--progress", "json"]
    return subprocess.Popen(
        list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, encoding="utf-8"
    )


def read_bytes(folder: Path) -> dict[str, bytes]:
    """Return the files below ``folder``."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
