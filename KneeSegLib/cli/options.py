"""Options that several commands share, and what a command is handed when it starts."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from KneeSegLib.cli.stopping import Stop
from KneeSegLib.cli.stream import ProgressMode, Stream, open_stream
from KneeSegLib.errors import InputError


class Session:
    """One call of the command line: the stream that it speaks through, chosen as soon as ``--progress`` is read."""

    def __init__(self) -> None:
        self.stop = Stop()
        self.debug = False
        self._stream: Stream | None = None

    @property
    def stream(self) -> Stream:
        if self._stream is None:
            self._stream = open_stream(ProgressMode.bar, self.stop)
        return self._stream

    def speak(self, mode: ProgressMode) -> None:
        if self._stream is None:
            self._stream = open_stream(mode, self.stop)

    def close(self) -> None:
        if self._stream is not None:
            self._stream.close()


def stream_of(context: typer.Context) -> Stream:
    """Return the stream of the session that ``context`` belongs to."""
    return context.obj.stream


def _speak(context: typer.Context, mode: ProgressMode) -> ProgressMode:
    context.ensure_object(Session).speak(mode)
    return mode


def _watch_standard_input(context: typer.Context, wanted: bool) -> bool:
    if wanted:
        context.ensure_object(Session).stop.watch_standard_input()
    return wanted


Progress = Annotated[
    ProgressMode,
    typer.Option(
        "--progress",
        help="A bar, JSON lines for a calling program, or none.",
        callback=_speak,
        is_eager=True,
    ),
]
CancelOnStdinClose = Annotated[
    bool,
    typer.Option(
        "--cancel-on-stdin-close",
        help="Stop when the calling program closes standard input.",
        callback=_watch_standard_input,
    ),
]
KeepDescription = Annotated[
    bool,
    typer.Option(
        "--keep-description",
        help="Call a DICOM series by its description, which may name the patient, in what is printed and written.",
    ),
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace a result that exists.")]


def require_existing(path: Path) -> None:
    """Raise :class:`InputError` if there is nothing at ``path``."""
    if not path.exists():
        raise InputError(f"There is no file or folder {path}; check the spelling.")
