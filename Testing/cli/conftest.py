"""The command line called in this process, and in one of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from KneeSegLib.anatomy import structure
from KneeSegLib.cli import main

CHECKOUT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Outcome:
    """How a call ended."""

    status: int
    out: str
    err: str

    @property
    def events(self) -> list[dict]:
        """Standard output read as JSON lines: fails if anything else is there."""
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def sentence(self) -> str:
        """The last line on standard error, which is where errors are told."""
        return self.err.splitlines()[-1]


@pytest.fixture
def kneeseg(capfd, monkeypatch):
    """Call the command line in this process."""
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.delenv("FORCE_COLOR", raising=False)

    def call(*arguments: object) -> Outcome:
        capfd.readouterr()
        status = main([str(argument) for argument in arguments])
        return Outcome(status, *capfd.readouterr())

    return call


@pytest.fixture
def start():
    """Start Python in a process of its own, with the library on its path."""
    running = []

    def call(*arguments: object, **options) -> subprocess.Popen:
        environment = {**os.environ, "PYTHONPATH": str(CHECKOUT), "PYTHONDONTWRITEBYTECODE": "1"}
        process = subprocess.Popen(
            [sys.executable, *map(str, arguments)],
            stdin=options.pop("stdin", subprocess.DEVNULL),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            env=environment,
            **options,
        )
        running.append(process)
        return process

    yield call
    for process in running:
        process.kill()
        process.communicate()


@pytest.fixture
def label_file(tmp_path):
    """Write a label map: a box for each structure, ``shorter`` voxels off its end."""

    def write(name: str, *keys: str, shorter: int = 0) -> Path:
        labels = np.zeros((14, 16, 6 + 14 * len(keys)), np.uint8)
        for position, key in enumerate(keys):
            first = 4 + 14 * position
            labels[3:11, 3:13, first : first + 10 - shorter] = structure(key).label_value
        image = sitk.GetImageFromArray(labels)
        image.SetSpacing((1.0, 1.0, 1.5))
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        sitk.WriteImage(image, str(path))
        return path

    return write
