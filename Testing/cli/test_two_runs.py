"""A second run into a folder is refused before it reads or computes anything."""

from __future__ import annotations

import os
import threading

import pytest

from KneeSegLib.io.writing import reserve_folder


@pytest.fixture
def run_in_out(tmp_path):
    """Another run that writes ``tmp_path / "out"`` until the test ends."""
    begun, may_end = threading.Event(), threading.Event()

    def run() -> None:
        with reserve_folder(tmp_path / "out"):
            begun.set()
            may_end.wait(60)

    thread = threading.Thread(target=run)
    thread.start()
    assert begun.wait(60)
    yield
    may_end.set()
    thread.join()


@pytest.mark.parametrize(
    "arguments",
    [
        ["segment", "scan"],
        ["segment", "scan", "--overwrite"],
        ["surfaces", "scan"],
        ["batch", "scan"],
        ["demo"],
    ],
    ids=lambda arguments: " ".join(arguments),
)
def test_second_run_is_refused(kneeseg, run_in_out, tmp_path, monkeypatch, arguments):
    if "batch" in arguments:
        pytest.importorskip("distributed")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "scan").touch()  # is no image, which a run that read it would say
    outcome = kneeseg(*arguments, "-o", "out", "--progress", "none")
    assert outcome.status == 5
    assert f"Another run (process {os.getpid()} on this machine) is writing to {tmp_path / 'out'}; wait" in outcome.err
    assert sorted(os.listdir(tmp_path)) == [".lock-out", "scan"]
