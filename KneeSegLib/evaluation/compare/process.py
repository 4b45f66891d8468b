"""One run of a pipeline in a process of its own, so that its time and its memory are its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import KneeSegLib
from KneeSegLib.case_record import RECORD_NAME
from KneeSegLib.errors import KneeSegError
from KneeSegLib.evaluation.compare.systems import System
from KneeSegLib.evaluation.settings import PATIENCE_SECONDS
from KneeSegLib.progress import Progress

WITHOUT_VALUE = "yes"
"""Stands for an option that takes no value, such as ``trust-checkpoint=yes``."""


class RunError(KneeSegError):
    """A run came to no result; the sentence says why."""


@dataclass(frozen=True)
class Cost:
    """What a run took.

    Attributes:
        seconds: wall time from the start of the program to its end: reading, segmenting, surfaces, report.
        processor_seconds: of all threads together.
        peak_memory_bytes: the most that its process held; memory of a GPU is not in it.
        device: on which its networks ran.
        stage_seconds: wall time of each stage, as the case's record has it.
    """

    seconds: float
    processor_seconds: float
    peak_memory_bytes: int
    device: str
    stage_seconds: dict[str, float]


def run_pipeline(system: System, image: Path, folder: Path, progress: Progress) -> Cost:
    """Segment ``image`` into the result folder ``folder``, which is replaced.

    Raises:
        RunError: the program ended without a result.
        Cancelled: raised by ``progress``; the program is stopped.
    """
    with tempfile.TemporaryDirectory(prefix="kneeseg-") as temporary:
        cost = Path(temporary, "cost.json")
        errors = Path(temporary, "errors.txt")
        started = time.perf_counter()
        with open(errors, "w", encoding="utf-8") as said:
            status, sentence = _follow(_make_command(system, image, folder, cost), said, progress)
        seconds = time.perf_counter() - started
        if status != 0:
            raise RunError(sentence or _explain_end(status, errors))
        measured = json.loads(cost.read_text(encoding="utf-8"))
    record = json.loads((folder / RECORD_NAME).read_text(encoding="utf-8"))["provenance"]
    return Cost(
        seconds,
        measured["processor_seconds"],
        measured["peak_memory_bytes"],
        str(record.get("device", "")),
        record.get("timings", {}),
    )


def list_options(system: System) -> list[str]:
    """Return the options of ``kneeseg segment`` that a system stands for."""
    options = ["--pipeline", str(system.pipeline)]
    for key, value in system.options.items():
        options += [f"--{key.replace('_', '-')}", *([value] if value != WITHOUT_VALUE else [])]
    return options


def _make_command(system: System, image: Path, folder: Path, cost: Path) -> list[str]:
    module = f"{__package__}.measured_run"
    own = ["--overwrite", "--progress", "json", *list_options(system)]
    return [sys.executable, "-m", module, str(cost), "segment", str(image), "-o", str(folder), *own]


def _follow(command: list[str], said: IO[str], progress: Progress) -> tuple[int, str]:
    """Run a command to its end; return its exit status and the sentence of its error."""
    home = Path(KneeSegLib.__file__).resolve().parents[1]
    paths = [str(home), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    sentence = ""
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=said, encoding="utf-8", env=environment
    )
    try:
        for line in process.stdout or ():
            event = json.loads(line)
            if event["event"] == "progress":
                progress(event["fraction"], event["message"])
            elif event["event"] == "error":
                sentence = event["message"]
        return process.wait(), sentence
    finally:
        _stop(process)


def _stop(process: subprocess.Popen[str]) -> None:
    """End a process that has not ended; what it had written unfinished it removes by itself if it is given the time."""
    if process.poll() is not None:
        return
    process.terminate()
    try:
        process.wait(PATIENCE_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _explain_end(status: int, errors: Path) -> str:
    if status < 0:
        return f"The program was ended by signal {-status}, as systems do to programs when memory is used up."
    last = errors.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-1:]
    return f"The program ended with status {status}{f' ({last[0]})' if last else ''}."
