"""Runs of ``kneeseg segment`` that meet a fault at a chosen moment, each in a forked process.

The pipeline is left out: a case of text files is written by the real command, beside files of the user's own.
"""

from __future__ import annotations

import gc
import io
import os
import sys
import threading
from collections.abc import Callable
from contextlib import redirect_stderr, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import KneeSegLib.segmentation
from KneeSegLib.cli import main
from KneeSegLib.io import placing
from KneeSegLib.io.writing import write_folder

OWN = {"surfaces/implant.stl": "mine", "notes/a/b.txt": "mine"}
OLD = {"case.json": "old", "surfaces/femur.stl": "old", **OWN}
NEW = {"case.json": "new", "surfaces/femur.stl": "new", **OWN}

AUDITED = frozenset(
    ("open", "os.rename", "os.link", "os.symlink", "os.mkdir", "os.rmdir", "os.remove", "os.chmod", "fcntl.flock")
)
"""Calls of the system that Python tells before it does them; :func:`_meet` adds ``fsync`` and the special renames."""

Act = Callable[[], object]


@dataclass(frozen=True)
class Ended:
    """How a run ended: its status (that of a signal is negative), what it said, and how many calls it came to."""

    status: int
    said: str
    calls: int


def warm_up() -> None:
    """Have this process import once what every run would import."""

    with redirect_stderr(io.StringIO()):
        main(["segment", "/no/such/scan", "-o", "/no/such/result"])
    gc.freeze()


def prepare(folder: Path) -> Path:
    """Make a scan and an old result in ``folder``; return where the result is."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "scan.nrrd").touch()
    fill(folder / "out", OLD)
    return folder / "out"


def fill(folder: Path, files: dict[str, str]) -> None:
    """Write text files below ``folder``."""
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


def read_all(folder: Path) -> dict[str, str]:
    """Return the text files below ``folder``."""
    return {path.relative_to(folder).as_posix(): path.read_text() for path in folder.rglob("*") if path.is_file()}


def segment_with(out: Path, act: Act | None = None, at: int = 0, prepare_child: Act | None = None) -> Ended:
    """Replace the result ``out`` by a new one in another process, which calls ``act`` before its call number ``at``."""
    process = start(out, act, at, prepare_child)
    return process.wait()


class Running:
    """A forked run."""

    def __init__(self, process: int, calls: int, said: int) -> None:
        self.process, self._calls, self._said = process, calls, said

    def wait(self) -> Ended:
        """Wait for its end."""
        with os.fdopen(self._said, encoding="utf-8") as file:
            said = file.read()
        with os.fdopen(self._calls, "rb") as file:
            calls = len(file.read())
        status = os.waitstatus_to_exitcode(os.waitpid(self.process, 0)[1])
        return Ended(status, said, calls)


def start(out: Path, act: Act | None = None, at: int = 0, prepare_child: Act | None = None) -> Running:
    """Begin what :func:`segment_with` does; one byte for each call is written to a pipe before it is done."""
    (counted, count), (heard, say) = os.pipe(), os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    process = os.fork()
    if process:
        os.close(count)
        os.close(say)
        return Running(process, counted, heard)
    status = 70
    try:
        os.dup2(say, 2)
        nothing = os.open(os.devnull, os.O_RDWR)
        sys.stdin, sys.stdout = os.fdopen(nothing, "r", closefd=False), os.fdopen(nothing, "w", closefd=False)
        sys.stderr = os.fdopen(2, "w", 1, encoding="utf-8", closefd=False)
        KneeSegLib.segmentation.segment = lambda *arguments, **options: FakeCase()  # type: ignore[assignment]
        if prepare_child is not None:
            prepare_child()
        _meet(out.parent, act, at, count)
        scan = out.parent / "scan.nrrd"
        status = main(["segment", str(scan), "-o", str(out), "--overwrite", "--progress", "none"])
    finally:
        with suppress(BaseException):
            sys.stderr.flush()
        os._exit(status)


class FakeCase:
    """A case whose files are texts."""

    scans: list[Any] = []
    warnings: list[str] = []
    second_opinion = None
    provenance: dict[str, Any] = {}

    def save(self, folder: Path, overwrite: bool, progress: Callable[[float, str], None]) -> None:
        """Write the new result."""
        progress(0.0, "Files")
        with write_folder(folder, overwrite) as unfinished:
            (unfinished / "surfaces").mkdir()
            (unfinished / "surfaces" / "femur.stl").write_text("new")
            (unfinished / "case.json").write_text("new")
        progress(1.0, "Saved")


def _meet(folder: Path, act: Act | None, at: int, count: int) -> None:
    """Count the calls that concern ``folder`` and act before one of them."""
    passed = [0]

    def pass_call() -> None:
        passed[0] += 1
        os.write(count, b".")
        if passed[0] == at and act is not None:
            act()

    def hear(event: str, arguments: tuple[Any, ...]) -> None:
        if event in AUDITED and threading.current_thread() is threading.main_thread():
            names = [os.fsdecode(name) for name in arguments[:2] if isinstance(name, (str, bytes))]
            if event == "fcntl.flock" or any(name.startswith(str(folder)) for name in names):
                pass_call()

    flush, rename_specially = os.fsync, placing._rename_specially

    def flush_after_a_call(descriptor: int) -> None:
        pass_call()
        flush(descriptor)

    def rename_after_a_call(kind: str, source: Path, target: Path) -> bool:
        pass_call()
        return rename_specially(kind, source, target)

    os.fsync = flush_after_a_call
    placing._rename_specially = rename_after_a_call
    sys.addaudithook(hear)
