"""Decoders that end as those of C++ may; another process imports them."""

from __future__ import annotations

import os
import time
from pathlib import Path

from KneeSegLib.io.screening.child import write_note


def crash(folder: Path, paths: list[str], reader: str) -> None:
    write_note(folder, "1")
    os.abort()


def hang(folder: Path, paths: list[str], reader: str) -> None:
    write_note(folder, "2")
    time.sleep(600)


def eat(folder: Path, paths: list[str], reader: str) -> None:
    write_note(folder, "2")
    (folder / "all").write_bytes(bytes(8 * 2**30))
