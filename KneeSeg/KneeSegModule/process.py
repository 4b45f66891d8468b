"""The child process in which a segmentation runs, so that Slicer stays responsive and never imports torch."""

from __future__ import annotations

import collections
import contextlib
import os
import queue
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import IO, Protocol

import slicer

import KneeSegLib
from KneeSegLib.errors import ResourceError

DRAIN_S = 2.0
"""How long output may still arrive after the process has ended (a grandchild can hold the pipes open)."""

LAST_LINES = 20

END_S = 2.0
"""How long a killed process may take to be gone."""


class Runner(Protocol):
    """What a run needs from a process; tests put a fake one in its place for the ugly moments."""

    def start(self, command: list[str], environment: dict[str, str], folder: Path) -> None:
        """Start ``command`` in ``folder``; raises ``OSError`` where that is not possible."""

    def takeLines(self) -> list[str]:
        """Return the lines written to standard output since the last call; never waits."""
        ...

    def exitStatus(self) -> int | None:
        """Return None until the process has ended and its output is read; negative for a signal."""

    def lastErrorLines(self) -> list[str]:
        """Return the last lines written to standard error."""
        ...

    def cancel(self) -> None:
        """Ask the process to stop, by closing its standard input."""

    def kill(self) -> None:
        """End the process and everything that it started."""


class ChildProcess:
    """A process with pipes read by threads, in a process group of its own.

    Slicer's Python is a launcher that starts the real interpreter: ending the launcher would leave the interpreter at
    work. Hence a cancel closes standard input, which both hold, and a kill goes to the whole group.
    """

    _process: subprocess.Popen[bytes]

    def __init__(self) -> None:
        self._lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._lastErrorLines: collections.deque[str] = collections.deque(maxlen=LAST_LINES)
        self._readers: list[threading.Thread] = []
        self._endedAt: float | None = None

    def start(self, command: list[str], environment: dict[str, str], folder: Path) -> None:
        self._process = subprocess.Popen(
            command,
            cwd=folder,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            creationflags=_WINDOWS_FLAGS,
            start_new_session=os.name != "nt",
        )
        for stream, keep in (
            (self._process.stdout, self._lines.put),
            (self._process.stderr, self._lastErrorLines.append),
        ):
            reader = threading.Thread(target=_read, args=(stream, keep), daemon=True)
            reader.start()
            self._readers.append(reader)

    def takeLines(self) -> list[str]:
        return [self._lines.get_nowait() for _ in range(self._lines.qsize())]

    def exitStatus(self) -> int | None:
        status = self._process.poll()
        if status is None:
            return None
        if self._endedAt is None:
            self._endedAt = time.monotonic()
        reading = any(reader.is_alive() for reader in self._readers)
        if reading and time.monotonic() - self._endedAt < DRAIN_S:
            return None
        return status

    def lastErrorLines(self) -> list[str]:
        return list(self._lastErrorLines)

    def cancel(self) -> None:
        with contextlib.suppress(OSError):  # the process has ended meanwhile
            if self._process.stdin is not None:
                self._process.stdin.close()

    def kill(self) -> None:
        if os.name == "nt":
            subprocess.run(
                ["taskkill", "/F", "/T", "/PID", str(self._process.pid)],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                creationflags=_WINDOWS_FLAGS,
            )
        else:
            with contextlib.suppress(ProcessLookupError):  # the group has ended meanwhile
                os.killpg(self._process.pid, signal.SIGKILL)
        # Nobody may ask for its status afterwards: it would stay as a zombie, and on Windows hold its files open.
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(END_S)


def _read(stream: IO[bytes], keep) -> None:
    with stream:
        for line in stream:
            keep(line.decode("utf-8", errors="replace").rstrip("\r\n"))


# Both are 0 elsewhere.
_WINDOWS_FLAGS = getattr(subprocess, "CREATE_NO_WINDOW", 0) | getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)


def findPython() -> str:
    """Return the interpreter for the child: Slicer's own, or the running one where there is no Slicer application.

    Raises:
        ResourceError: a Slicer application without its ``PythonSlicer``.
    """
    slicerPython = shutil.which("PythonSlicer")
    if slicerPython:
        return slicerPython
    if getattr(slicer, "app", None) is not None:  # sys.executable may be the application itself here
        raise ResourceError("PythonSlicer, which belongs to every Slicer, was not found; install Slicer again.")
    return sys.executable


def makeChildEnvironment() -> dict[str, str]:
    """Return the environment of the child: finds this KneeSegLib, writes UTF-8, and is free of what disturbs it."""
    environment = dict(os.environ)
    for name in (
        "ITK_AUTOLOAD_PATH",  # Slicer's ITK plugins do not belong into another process's SimpleITK
        "MPLBACKEND",  # may name a backend that draws into Slicer's windows
        "PYTHONSTARTUP",
        "PYTHONINSPECT",
    ):
        environment.pop(name, None)
    library = str(Path(KneeSegLib.__file__).resolve().parents[1])
    inherited = environment.get("PYTHONPATH")
    environment["PYTHONPATH"] = os.pathsep.join([library, inherited] if inherited else [library])
    environment["PYTHONUNBUFFERED"] = "1"
    environment["PYTHONUTF8"] = "1"
    environment["PYTHONNOUSERSITE"] = "1"  # packages of a user's other Python do not fit Slicer's
    return environment
