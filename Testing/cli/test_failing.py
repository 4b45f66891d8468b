"""What goes wrong is told in one sentence with an exit status, and leaves nothing behind."""

from __future__ import annotations

import errno
import re
import signal
from contextlib import suppress
from pathlib import Path

import pytest

from KneeSegLib import failures
from KneeSegLib.cli.application import _failed
from KneeSegLib.cli.options import Session
from KneeSegLib.errors import AnatomyNotFoundError, Cancelled, ModelError
from KneeSegLib.failures import as_known_error


@pytest.fixture
def scan(tmp_path) -> Path:
    """Something that exists; the pipeline is never reached."""
    path = tmp_path / "scan.nrrd"
    path.touch()
    return path


@pytest.fixture
def pipeline_raises(monkeypatch):
    """Put a pipeline in the place of the real one that fails with the error given."""

    def install(error: BaseException) -> None:
        def failing(*arguments, **options):
            raise error

        monkeypatch.setattr("KneeSegLib.segmentation.segment", failing)

    return install


def everything_under(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def test_missing_input_is_named(kneeseg, tmp_path):
    outcome = kneeseg("segment", tmp_path / "nowhere", "-o", tmp_path / "out")
    assert outcome.status == 2
    assert outcome.err == f"Error: There is no file or folder {tmp_path / 'nowhere'}; check the spelling.\n"
    assert outcome.out == ""
    assert everything_under(tmp_path) == set()


def test_existing_result_is_refused_before_the_scan_is_read(kneeseg, scan, tmp_path, pipeline_raises):
    pipeline_raises(AssertionError("reached the pipeline"))
    (tmp_path / "out").mkdir()
    outcome = kneeseg("segment", scan, "-o", tmp_path / "out")
    assert outcome.status == 5
    assert "--overwrite" in outcome.sentence


def test_folder_that_cannot_be_written_is_refused_before_the_scan_is_read(kneeseg, scan, pipeline_raises):
    pipeline_raises(AssertionError("reached the pipeline"))
    outcome = kneeseg("segment", scan, "-o", scan / "out")
    assert outcome.status == 5
    assert str(scan) in outcome.sentence


def test_missing_output_is_explained(kneeseg, scan):
    outcome = kneeseg("segment", scan)
    assert (outcome.status, outcome.sentence) == (
        2,
        "Error: Say where the result goes: kneeseg segment INPUT -o FOLDER.",
    )


@pytest.mark.parametrize(
    "arguments, complaint",
    [
        (["segment", "scan", "--pipeline", "ct-elbow"], "ct-knee"),
        (["segment", "scan", "--side", "middle"], "left"),
        (["segment"], "(?i)missing argument"),
        (["segmnt"], "(?i)no such command"),
        (["--no-such-option"], "--no-such-option"),
    ],
)
def test_wrong_usage_is_one_line_that_says_what_would_be_right(kneeseg, arguments, complaint):
    outcome = kneeseg(*arguments)
    assert outcome.status == 2
    assert len(outcome.err.splitlines()) == 1
    assert re.search(complaint, outcome.err)


def test_wrong_usage_is_an_event_for_a_program(kneeseg):
    outcome = kneeseg("segment", "--progress", "json")
    (event,) = outcome.events
    assert (event["event"], event["exit_status"], outcome.err) == ("error", 2, "")


@pytest.mark.parametrize(
    "error, status, words",
    [
        (AnatomyNotFoundError("No hip, knee or ankle was found."), 3, "No hip, knee or ankle was found."),
        (ModelError("The weights are damaged."), 4, "The weights are damaged."),
        (MemoryError(), 6, "memory"),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried ..."), 6, "memory"),
        (RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"), 6, "memory"),
        (OSError(errno.ENOSPC, "No space left on device", "/data/out"), 5, "disk is full ("),
        (PermissionError(errno.EACCES, "Permission denied", "/data/scan"), 5, "refused at /data/scan"),
        (ModuleNotFoundError("No module named 'vtk'", name="vtk"), 6, "package vtk is missing"),
        (KeyboardInterrupt(), 130, "Cancelled; nothing was written."),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else "",
)
def test_every_failure_has_its_sentence_and_status(kneeseg, scan, tmp_path, pipeline_raises, error, status, words):
    pipeline_raises(error)
    outcome = kneeseg("segment", scan, "-o", tmp_path / "out")
    assert outcome.status == status
    assert len(outcome.err.splitlines()) == 1
    assert words in outcome.err
    assert everything_under(tmp_path) == {"scan.nrrd"}
    as_event = kneeseg("segment", scan, "-o", tmp_path / "out", "--progress", "json").events[-1]
    assert as_event["event"] == "error"
    assert as_event["exit_status"] == status
    assert words in as_event["message"]


def test_unexpected_failure_says_where_its_details_are(kneeseg, scan, tmp_path, pipeline_raises, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    pipeline_raises(ZeroDivisionError("division by zero"))
    outcome = kneeseg("segment", scan, "-o", tmp_path / "out")
    assert outcome.status == 1
    assert len(outcome.err.splitlines()) == 1
    log = Path(re.search(r"details are in (\S+\.log)", outcome.err)[1])
    assert "ZeroDivisionError" in (details := log.read_text(encoding="utf-8")) and "raise" in details
    assert "division by zero" not in details + outcome.err  # an error may quote a patient's data


def test_debug_shows_where_an_unexpected_failure_came_from(kneeseg, scan, tmp_path, pipeline_raises):
    pipeline_raises(ZeroDivisionError("division by zero"))
    outcome = kneeseg("--debug", "segment", scan, "-o", tmp_path / "out")
    assert outcome.status == 1
    assert "Traceback" in outcome.err
    assert "ZeroDivisionError: division by zero" in outcome.err


def test_our_own_missing_module_is_not_blamed_on_the_installation():
    assert as_known_error(ModuleNotFoundError("No module named 'KneeSegLib.x'", name="KneeSegLib.x")) is None


@pytest.mark.parametrize("path", [None, Path(failures.__file__).parent / "bundles" / "table.json"])
def test_file_that_is_no_input_is_no_input_that_was_taken_away(path):
    assert as_known_error(FileNotFoundError(errno.ENOENT, "No such file or directory", path)) is None


def test_an_import_that_was_interrupted_is_a_cancelled_run(capsys):
    session = Session()
    with session.stop.listening(), suppress(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)
    assert _failed(session, ImportError("half a module"), []) == Cancelled.exit_status
    assert "Cancelled; nothing was written." in capsys.readouterr().err
