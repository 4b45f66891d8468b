"""Processes for tests: a fake one that a test speaks for, and real ones that run a few lines of Python."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from KneeSegModule.process import ChildProcess


class FakeRunner:
    """A process that says and does what the test wants, when the test wants it."""

    def __init__(self) -> None:
        self.command: list[str] = []
        self.environment: dict[str, str] = {}
        self.folder: Path | None = None
        self.cancelled = False
        self.killed = False
        self.words: list[str] = []
        self._said: list[str] = []
        self._status: int | None = None

    def says(self, line: str | None = None, **event) -> None:
        self._said.append(json.dumps(event) if line is None else line)

    def ends(self, status: int = 0) -> None:
        self._status = status

    def start(self, command, environment, folder) -> None:
        self.command, self.environment, self.folder = command, environment, folder

    def takeLines(self) -> list[str]:
        said, self._said = self._said, []
        return said

    def exitStatus(self) -> int | None:
        return self._status

    def lastErrorLines(self) -> list[str]:
        return self.words

    def cancel(self) -> None:
        self.cancelled = True

    def kill(self) -> None:
        self.killed = True
        self._status = -9


class ScriptRunner(ChildProcess):
    """A real process that runs ``script`` instead of the command it is given."""

    def __init__(self, script: str) -> None:
        super().__init__()
        self.script = script

    def start(self, command, environment, folder) -> None:
        super().start([sys.executable, "-c", self.script], environment, folder)
