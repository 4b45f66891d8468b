"""What a command says while it works and when it is done: a bar and tables to a person, JSON lines to a program.

JSON lines, one object each, are the only thing on standard output; whatever libraries print goes to standard error::

    {"event": "progress", "fraction": 0.31, "message": "Knee, right: slices 40 of 210"}
    {"event": "warning", "message": "..."}
    {"event": "result", ...}
    {"event": "error", "message": "one sentence", "exit_status": 2}
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from enum import Enum
from typing import TYPE_CHECKING, Any, TextIO

from KneeSegLib.cli.console import open_console
from KneeSegLib.cli.stopping import Stop
from KneeSegLib.errors import Cancelled, OutputError
from KneeSegLib.plain_text import make_one_line

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress as RichProgress

Show = Callable[["Console"], None]
"""Prints a result for a person."""


class ProgressMode(str, Enum):
    """How progress is shown."""

    bar = "bar"
    json = "json"
    none = "none"


class Stream:
    """Base of the three: progress can be cancelled, results and errors are said in each one's way."""

    def __init__(self, stop: Stop) -> None:
        self.stop = stop
        self._reached = 0.0

    def progress(self, fraction: float, message: str) -> None:
        """A :data:`~KneeSegLib.progress.Progress` callback; raises :class:`Cancelled` when a stop was asked for."""
        self.stop.check()
        self._reached = max(self._reached, min(max(fraction, 0.0), 1.0))
        self._show_progress(self._reached, message)

    def warning(self, sentence: str) -> None:
        """Say something that the reader of the result should know."""

    def note(self, sentence: str) -> None:
        """Tell a person where to look while the command works; a program is told nothing."""

    def result(self, record: Mapping[str, Any], show: Show) -> None:
        """Give the result: ``record`` to a program, ``show(console)`` to a person."""

    def error(self, sentence: str, exit_status: int) -> None:
        """Say why the command failed."""

    def close(self) -> None:
        """Leave the terminal and standard output as they were found."""

    def _show_progress(self, fraction: float, message: str) -> None:
        pass


class PersonStream(Stream):
    """For a person: results on standard output; progress, warnings and errors on standard error."""

    def __init__(self, stop: Stop, with_progress: bool = True) -> None:
        super().__init__(stop)
        self.with_progress = with_progress
        self._bar: RichProgress | None = None
        self._lines_shown = -1

    def warning(self, sentence: str) -> None:
        self._say("Note: " + sentence, "yellow")

    def note(self, sentence: str) -> None:
        if self.with_progress:
            self._say(sentence, "dim")

    def result(self, record: Mapping[str, Any], show: Show) -> None:
        self.close()
        with _told_what_cannot_be_printed():
            show(open_console())
            sys.stdout.flush()

    def error(self, sentence: str, exit_status: int) -> None:
        self.close()
        self._say(sentence if exit_status == Cancelled.exit_status else "Error: " + sentence, "red")

    def close(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def _say(self, sentence: str, style: str) -> None:
        from rich.text import Text

        console = self._bar.console if self._bar is not None else open_console(stderr=True)
        with _spoken_to_nobody():
            console.print(Text(make_one_line(sentence), style=style), soft_wrap=True)

    def _show_progress(self, fraction: float, message: str) -> None:
        if not self.with_progress:
            return
        if not sys.stderr.isatty():
            self._show_line(fraction, message)
            return
        if self._bar is None:
            self._bar = _started_bar()
        self._bar.update(self._bar.task_ids[0], completed=fraction, message=message)

    def _show_line(self, fraction: float, message: str) -> None:
        """Write a line for every tenth of the way: a log wants no bar."""
        tenth = int(fraction * 10)
        if tenth > self._lines_shown:
            self._lines_shown = tenth
            with _spoken_to_nobody():
                print(f"{100 * fraction:3.0f} %  {make_one_line(message)}", file=sys.stderr, flush=True)


class JsonStream(Stream):
    """For a program: one JSON object a line, and nothing else, on standard output."""

    SHORTEST_INTERVAL_SECONDS = 0.05

    def __init__(self, stop: Stop) -> None:
        super().__init__(stop)
        self._last_progress = float("-inf")
        sys.stdout.flush()
        self._python_stdout = sys.stdout
        self._stdout_descriptor = os.dup(1)
        self._events: TextIO | None = os.fdopen(os.dup(1), "w", encoding="utf-8", newline="\n")
        os.dup2(2, 1)
        sys.stdout = sys.stderr

    def warning(self, sentence: str) -> None:
        self._emit(event="warning", message=sentence)

    def result(self, record: Mapping[str, Any], show: Show) -> None:
        self._emit(event="result", **record)

    def error(self, sentence: str, exit_status: int) -> None:
        try:
            self._emit(event="error", message=sentence, exit_status=exit_status)
        except OutputError:
            print(sentence, file=sys.stderr)

    def close(self) -> None:
        if self._events is None:
            return
        with suppress(OSError):
            self._events.close()
        self._events = None
        sys.stdout = self._python_stdout
        os.dup2(self._stdout_descriptor, 1)
        os.close(self._stdout_descriptor)

    def _show_progress(self, fraction: float, message: str) -> None:
        now = time.monotonic()
        if now - self._last_progress >= self.SHORTEST_INTERVAL_SECONDS or fraction == 1.0:
            self._last_progress = now
            self._emit(event="progress", fraction=round(fraction, 4), message=message)

    def _emit(self, **event: Any) -> None:
        if self._events is None:
            return
        try:
            # An interrupt between line and newline would spoil the next line, too.
            with _told_what_cannot_be_printed(), self.stop.postponed():
                print(json.dumps(event, allow_nan=False), file=self._events, flush=True)
        except BrokenPipeError:
            raise Cancelled("Nobody reads the progress any more; nothing was written.") from None


@contextmanager
def _told_what_cannot_be_printed() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OutputError(
            f"Standard output cannot be written to ({error.strerror}); nothing was written. Send it elsewhere."
        ) from error


@contextmanager
def _spoken_to_nobody() -> Iterator[None]:
    """Go on where standard error is full: what is said there is no part of the result."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError:
        return


def open_stream(mode: ProgressMode, stop: Stop) -> Stream:
    """Return the stream that speaks in the way of ``mode``."""
    if mode is ProgressMode.json:
        return JsonStream(stop)
    return PersonStream(stop, with_progress=mode is ProgressMode.bar)


def _started_bar() -> RichProgress:
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

    bar = Progress(
        TaskProgressColumn(),
        BarColumn(bar_width=30),
        TimeElapsedColumn(),
        TextColumn("{task.fields[message]}", markup=False),
        console=open_console(stderr=True),
        transient=True,
    )
    bar.add_task("", total=1.0, message="")
    bar.start()
    return bar
