"""Of several runs into one folder one writes, and the others are told so before they begin."""

from __future__ import annotations

import errno
import os
import select
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from KneeSegLib.errors import OutputError
from KneeSegLib.io.writing import reserve_folder, write_folder

HOLD = """
import sys
from KneeSegLib.io.writing import reserve_folder
with reserve_folder(sys.argv[1]):
    print("held", flush=True)
    sys.stdin.read()
"""
posix = pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are forked and killed")


@pytest.fixture
def holder(tmp_path):
    """A process that holds the lock of ``tmp_path / "new" / "out"``."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path / "new" / "out")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        encoding="utf-8",
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    assert process.stdout is not None and process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


def test_second_run_is_refused_by_the_process_that_writes(holder, tmp_path):
    for block in (reserve_folder, write_folder):
        said = f"Another run .process {holder.pid} on this machine. is writing to .*out; wait until it has ended"
        with pytest.raises(OutputError, match=said), block(tmp_path / "new" / "out"):
            pytest.fail("the block ran")
    holder.communicate()  # ends
    assert os.listdir(tmp_path) == []
    with reserve_folder(tmp_path / "new" / "out"):
        assert os.listdir(tmp_path / "new") == [".lock-out"]


@posix
def test_run_that_was_killed_keeps_nobody_out(holder, tmp_path):
    holder.kill()
    holder.wait()
    assert os.listdir(tmp_path / "new") == [".lock-out"]
    with write_folder(tmp_path / "new" / "out") as partial:
        (partial / "case.json").write_text("new")
    assert os.listdir(tmp_path / "new") == ["out"]


@posix
def test_child_of_a_killed_run_keeps_nobody_out(tmp_path):
    with reserve_folder(tmp_path / "out"):
        child = os.fork()
        if child == 0:
            signal.pause()
    try:
        with reserve_folder(tmp_path / "out"):
            pass
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def test_other_threads_are_refused_and_the_same_goes_on(tmp_path):
    said: list[str] = []

    def run() -> None:
        with pytest.raises(OutputError) as refusal, write_folder(tmp_path / "out"):
            pytest.fail("the block ran")
        said.append(str(refusal.value))

    with reserve_folder(tmp_path / "out"), write_folder(tmp_path / "out"):
        thread = threading.Thread(target=run)
        thread.start()
        thread.join()
    assert len(said) == 1 and f"process {os.getpid()} on this machine" in said[0]
    assert os.listdir(tmp_path) == ["out"]


@posix
@pytest.mark.parametrize("exists", [False, True])
def test_of_sixteen_runs_into_one_folder_one_succeeds(exists, tmp_path):
    out, (begin, begun), (end, ended) = tmp_path / "out", os.pipe(), os.pipe()
    if exists:
        out.mkdir()
    children = {fork_run(out, begin, end, (begun, ended)) for _ in range(16)}
    os.close(begun)  # all begin at once
    statuses = [os.waitpid(-1, 0) for _ in range(15)]
    os.close(ended)  # the one that writes may end
    statuses.append(os.waitpid(-1, 0))
    assert {child for child, _ in statuses} == children
    assert [os.waitstatus_to_exitcode(status) for _, status in statuses] == [*15 * [1], 0]
    assert (out / "process.txt").read_text() == str(statuses[-1][0])
    assert os.listdir(tmp_path) == ["out"]


def fork_run(out: Path, begin: int, end: int, closed: tuple[int, int]) -> int:
    """Fork a run that ends with 0 when it has written, with 1 when it was refused as it should."""
    child = os.fork()
    if child:
        return child
    status = 2
    try:
        for descriptor in closed:
            os.close(descriptor)
        os.read(begin, 1)
        with write_folder(out, overwrite=True) as partial:
            (partial / "process.txt").write_text(str(os.getpid()))
            select.select([end], [], [], 60)
        status = 0
    except OutputError as error:
        status = 1 if "is writing to" in str(error) else 3
    finally:
        os._exit(status)


@pytest.mark.skipif(sys.platform == "win32", reason="other locks there")
def test_file_system_without_locks_is_told_and_written_to(monkeypatch, tmp_path, caplog):
    def no_locks(descriptor, kind):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.flock", no_locks)
    (tmp_path / ".partial-0123abcd-out").mkdir()  # of a run that may be at work
    with write_folder(tmp_path / "out"):
        pass
    assert sorted(os.listdir(tmp_path)) == [".partial-0123abcd-out", "out"]
    assert caplog.text.count("knows no locks") == 1


@pytest.mark.skipif(sys.platform == "win32", reason="links take a right there")
def test_link_in_the_place_of_the_lock_is_not_followed(tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    (tmp_path / ".lock-out").symlink_to(tmp_path / "thesis.txt")
    with pytest.raises(OutputError, match="could not be written"), write_folder(tmp_path / "out"):
        pytest.fail("the block ran")
    assert (tmp_path / "thesis.txt").read_text() == "mine"
