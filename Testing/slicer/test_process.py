"""The child process itself: real ones, of a few lines of Python."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from types import SimpleNamespace

import psutil
import pytest
import slicer
from KneeSegModule import process
from KneeSegModule.process import ChildProcess, findPython, makeChildEnvironment

from KneeSegLib.errors import ResourceError

PATIENCE_S = 20.0


def started(script: str, folder) -> ChildProcess:
    child = ChildProcess()
    child.start([sys.executable, "-c", script], makeChildEnvironment(), folder)
    return child


def waitUntil(condition) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


def test_lines_arrive_while_the_process_runs(tmp_path):
    child = started("import sys; print('first', flush=True); sys.stdin.read()", tmp_path)
    lines: list[str] = []
    waitUntil(lambda: lines.extend(child.takeLines()) or lines)
    assert lines == ["first"] and child.exitStatus() is None
    child.cancel()
    waitUntil(lambda: child.exitStatus() is not None)


def test_all_output_is_there_when_the_process_has_ended(tmp_path):
    child = started("print('\\n'.join(map(str, range(20000))))", tmp_path)
    waitUntil(lambda: child.exitStatus() is not None)
    assert len(child.takeLines()) == 20000


def test_output_that_is_not_utf8_is_read_with_replacements(tmp_path):
    child = started("import os; os.write(1, b'caf\\xe9\\n'); os.write(2, b'na\\xefve\\n')", tmp_path)
    waitUntil(lambda: child.exitStatus() is not None)
    assert child.takeLines() == ["caf\ufffd"]
    assert child.lastErrorLines() == ["na\ufffdve"]


def test_only_the_last_words_are_kept(tmp_path):
    child = started("import sys; [print(n, file=sys.stderr) for n in range(1000)]; sys.exit(7)", tmp_path)
    waitUntil(lambda: child.exitStatus() is not None)
    assert child.exitStatus() == 7
    assert child.lastErrorLines()[-1] == "999" and len(child.lastErrorLines()) == process.LAST_LINES


def test_cancel_closes_standard_input(tmp_path):
    child = started("import sys; sys.stdin.read(); print('input closed')", tmp_path)
    child.cancel()
    waitUntil(lambda: child.exitStatus() is not None)
    assert child.exitStatus() == 0 and child.takeLines() == ["input closed"]


def test_cancel_after_the_end_does_no_harm(tmp_path):
    child = started("", tmp_path)
    waitUntil(lambda: child.exitStatus() is not None)
    child.cancel()
    child.kill()


def test_kill_ends_a_launcher_and_the_interpreter_that_it_started(tmp_path):
    launcher = (
        "import subprocess, sys; p = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']);"
        "print(p.pid, flush=True); p.wait()"
    )
    child = started(launcher, tmp_path)
    lines: list[str] = []
    waitUntil(lambda: lines.extend(child.takeLines()) or lines)
    grandchild = int(lines[0])
    child.kill()
    waitUntil(lambda: child.exitStatus() is not None)
    waitUntil(lambda: not psutil.pid_exists(grandchild) or psutil.Process(grandchild).status() == psutil.STATUS_ZOMBIE)


def test_killed_process_is_gone_at_once_and_no_zombie(tmp_path):
    child = started("import os, time; print(os.getpid(), flush=True); time.sleep(60)", tmp_path)
    lines: list[str] = []
    waitUntil(lambda: lines.extend(child.takeLines()) or lines)
    child.kill()
    assert not psutil.pid_exists(int(lines[0]))


def test_end_is_noticed_although_a_grandchild_holds_the_pipes(tmp_path, monkeypatch):
    monkeypatch.setattr(process, "DRAIN_S", 0.2)
    script = (
        "import subprocess, sys; subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(30)']); print('bye')"
    )
    child = started(script, tmp_path)
    waitUntil(lambda: child.exitStatus() is not None)
    assert child.takeLines() == ["bye"]
    child.kill()


def test_missing_program_is_an_os_error(tmp_path):
    with pytest.raises(OSError):
        ChildProcess().start([str(tmp_path / "nothing")], makeChildEnvironment(), tmp_path)


def test_child_finds_this_library_from_any_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "elsewhere"))
    environment = makeChildEnvironment()
    command = [sys.executable, "-c", "import KneeSegLib, os; print(os.path.dirname(KneeSegLib.__file__))"]
    found = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, encoding="utf-8", check=True
    ).stdout.strip()
    import KneeSegLib

    assert os.path.samefile(found, os.path.dirname(KneeSegLib.__file__))
    assert str(tmp_path / "elsewhere") in environment["PYTHONPATH"]


@pytest.mark.parametrize("name", ["ITK_AUTOLOAD_PATH", "MPLBACKEND", "PYTHONSTARTUP"])
def test_child_is_not_disturbed_by_settings_of_the_application(monkeypatch, name):
    monkeypatch.setenv(name, "something")
    assert name not in makeChildEnvironment()


def test_interpreter_is_the_running_one_without_slicer():
    assert findPython() == sys.executable


def test_interpreter_is_python_slicer_in_slicer(monkeypatch, tmp_path):
    launcher = tmp_path / ("PythonSlicer.exe" if os.name == "nt" else "PythonSlicer")
    launcher.write_text("")
    launcher.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    assert os.path.samefile(findPython(), launcher)


def test_slicer_without_its_python_is_an_error_and_never_a_second_slicer(monkeypatch):
    monkeypatch.setattr(slicer, "app", SimpleNamespace(), raising=False)
    with pytest.raises(ResourceError, match="PythonSlicer"):
        findPython()
