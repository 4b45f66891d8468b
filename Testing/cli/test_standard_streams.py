"""Standard streams that are closed, full or broken end no run, and what is said of it is true."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.skipif(os.name == "nt", reason="a shell of Unix hands them over so")

SAVING = """
import os, sys
from contextlib import suppress
from types import SimpleNamespace
import KneeSegLib.segmentation as segmentation
from KneeSegLib.cli import main
from KneeSegLib.io.writing import write_folder

def save(folder, overwrite, progress):
    with write_folder(folder, overwrite=overwrite) as unfinished:
        (unfinished / "case.json").write_text("{}")
        with suppress(OSError):
            os.write(1, b"from a library")
        progress(0.5, "Report")

def segment(input, progress, **options):
    progress(0.5, "Slices")
    return SimpleNamespace(save=save, scans=[], warnings=["Warned."], second_opinion=None, provenance={})

segmentation.segment = segment
sys.exit(main(sys.argv[1:]))
"""


@pytest.fixture
def run(tmp_path):
    """Save a small result in a process whose streams a shell has redirected; return its status and standard error."""
    (tmp_path / "scan.nrrd").touch()

    def call(redirection: str, *options: str) -> tuple[int, str]:
        command = ["/bin/sh", "-c", f'"$@" {redirection}', "sh", sys.executable, "-c", SAVING]
        arguments = ["segment", tmp_path / "scan.nrrd", "-o", tmp_path / "out", *options]
        environment = {**os.environ, "PYTHONPATH": str(CHECKOUT)}
        ended = subprocess.run(
            [*command, *map(str, arguments)], env=environment, capture_output=True, encoding="utf-8", timeout=60
        )
        return ended.returncode, ended.stderr

    return call


@pytest.mark.parametrize("redirection", [">&-", "2>&-", "<&- >&- 2>&-", "2>/dev/full"])
@pytest.mark.parametrize("progress", ["bar", "json"])
def test_run_with_closed_streams_writes_its_result(run, tmp_path, redirection, progress):
    if "full" in redirection and not os.path.exists("/dev/full"):
        pytest.skip("this system has no /dev/full")
    status, _ = run(redirection, "--progress", progress)
    assert status == 0
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["case.json"]
    assert (tmp_path / "out" / "case.json").read_text() == "{}"
    assert sorted(os.listdir(tmp_path)) == ["out", "scan.nrrd"]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no /dev/full")
def test_full_standard_output_is_told_with_what_is_written(run, tmp_path):
    status, said = run(">/dev/full")
    assert status == 5
    assert said.splitlines()[-1] == (
        "Error: Standard output cannot be written to (No space left on device); "
        f"{tmp_path / 'out'} had been written before and is complete. Send it elsewhere."
    )
    status, said = run(">/dev/full", "--overwrite", "--progress", "json")
    assert status == 5 and "nothing was written. Send it elsewhere." in said  # at the first event


@pytest.mark.parametrize("arguments", [["pipelines"], ["--help"], ["segment", "--help"]])
def test_reader_that_has_had_enough_ends_a_command_as_it_ends_others(start, arguments):
    process = start("-m", "KneeSegLib", *arguments)
    process.stdout.close()  # as `| head -1` does, before anything is printed
    process.stdout = None
    _, said = process.communicate(timeout=60)
    assert (process.returncode, said) == (141, "")
