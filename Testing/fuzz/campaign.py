"""Mutants through the doors: each is let in whole or refused in one sentence, and everything else is a failure."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from KneeSegLib.failures import as_known_error
from Testing.fuzz.doors import DOORS, change

LONGEST_SECONDS = 60
"""A mutant of some kB that takes longer hangs: so much of the processor, since others may use it at the same time."""

LONGEST_WAIT_SECONDS = 600
"""... or so much time, whatever it waits for: more than what is read in another process may take."""

FEWEST_MUTANTS = 3
"""Of each format, however long it takes to begin."""

LARGEST_RISE_MB = 1024
"""By this the memory of the process may rise while mutants of some kB are read."""


class Hang(BaseException):
    """A mutant took too long."""


class Fetch(BaseException):
    """A mutant made the reader open a connection."""


def judge(name: str, folder: Path) -> str:
    """Read what lies in a folder through the door of a format; return what is wrong with how it ended, or nothing."""
    with _watched():
        try:
            DOORS[name].read(folder)
        except (Hang, Fetch) as error:
            return type(error).__name__.lower()
        except AssertionError as error:
            return f"let in: {error}"
        except Exception as error:
            known = as_known_error(error)
            if known is None or isinstance(error, MemoryError):
                return f"traceback: {type(error).__name__}: {error}"
            sentence = str(known)
            if "\n" in sentence or "\x1b" in sentence or not sentence.endswith((".", "?")) or len(sentence) > 1500:
                return f"no sentence: {sentence!r}"
    return ""


def try_mutants(name: str, seeds: Iterator[int], home: Path) -> Iterator[tuple[int, str, bytes]]:
    """Yield seed, finding and content of the mutants of a format that end otherwise than they should."""
    door = DOORS[name]
    sound = home / "sound"
    sound.mkdir(parents=True)
    door.write(sound)
    if trouble := judge(name, _copy(sound, home / "first")):
        raise AssertionError(f"The sound sample of {name} is not read: {trouble}")
    for seed in seeds:
        folder = _copy(sound, home / "mutant")
        content = change(folder, door, seed)
        if found := judge(name, folder):
            yield seed, found, content


def _copy(sound: Path, to: Path) -> Path:
    shutil.rmtree(to, ignore_errors=True)
    return Path(shutil.copytree(sound, to))


@contextmanager
def _watched() -> Iterator[None]:
    """Raise Hang after too long, and Fetch where a connection is opened."""

    began, used = time.monotonic(), _used_seconds()

    def hang(*_: Any) -> None:
        if _used_seconds() - used > LONGEST_SECONDS or time.monotonic() - began > LONGEST_WAIT_SECONDS:
            raise Hang
        signal.alarm(LONGEST_SECONDS)

    def fetch(*_: Any) -> None:
        raise Fetch

    can_alarm = hasattr(signal, "SIGALRM")
    before, connect = signal.signal(signal.SIGALRM, hang) if can_alarm else None, socket.socket.connect
    socket.socket.connect = fetch  # type: ignore[method-assign,assignment]
    if can_alarm:
        signal.alarm(LONGEST_SECONDS)
    try:
        yield
    finally:
        if can_alarm:
            signal.alarm(0)
            signal.signal(signal.SIGALRM, before)
        socket.socket.connect = connect  # type: ignore[method-assign]


def _used_seconds() -> float:
    """Return the processor time of this process and of those that it has started and that have ended."""
    times = os.times()
    return sum(times[:4])


def run(name: str, first_seed: int, end: float, note: Path) -> list[tuple[int, str, bytes]]:
    """Try mutants of one format until a time (s since 1970), some at least.

    ``note`` holds the seed that is tried, should it end the process.
    """

    def seeds() -> Iterator[int]:
        seed = first_seed
        while time.time() < end or seed < first_seed + FEWEST_MUTANTS:
            note.write_text(str(seed), encoding="utf-8")
            yield seed
            seed += 1

    before_mb = _peak_mb()
    with tempfile.TemporaryDirectory(prefix="fuzz-") as home:
        found = list(try_mutants(name, seeds(), Path(home)))
    rise_mb = _peak_mb() - before_mb
    if rise_mb > LARGEST_RISE_MB:
        found.append((first_seed, f"memory rose by {rise_mb:.0f} MB", b""))
    return found


def _peak_mb() -> float:
    if sys.platform == "win32":
        return 0.0
    import resource

    unit = 2**20 if sys.platform == "darwin" else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
