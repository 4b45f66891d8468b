"""Whatever ends a run, the old or the new result is there, whole and under its name, with every file of the user."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import stat
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from KneeSegLib.errors import OutputError
from KneeSegLib.io import placing
from KneeSegLib.io.writing import list_placed, write_folder, write_whole

FILES = ("flushing.py", "journal.py", "locking.py", "own_files.py", "placing.py", "unfinished.py", "writing.py")
STRIDE = 13
"""Every line takes minutes; of 19 it took 6 s of processor time, so that 13 stays below 10. `make faults` tries every
call of the system."""

posix = pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are forked and killed")


@pytest.fixture(params=["one step", "two renames"])
def way(request, monkeypatch) -> str:
    """The two ways to rename: what the system offers, and that of systems that offer less."""
    if request.param == "two renames":
        monkeypatch.setattr(placing, "_rename_specially", lambda *arguments: False)
    return request.param


def contents(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): path.read_text() for path in sorted(folder.rglob("*")) if path.is_file()
    }


def fill(folder: Path, **files: str) -> None:
    for name, text in files.items():
        path = folder / name.replace("__", "/").replace("_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


OLD = {"case.json": "old", "surfaces/femur.stl": "old", "surfaces/implant.stl": "mine", "notes/a/b.txt": "mine"}
NEW = {**OLD, "case.json": "new", "surfaces/femur.stl": "new"}


def prepare_old(out: Path) -> None:
    fill(out, case_json="old", surfaces__femur_stl="old", surfaces__implant_stl="mine", notes__a__b_txt="mine")


def replace_by_new(out: Path) -> None:
    with write_folder(out, overwrite=True) as partial:
        fill(partial, case_json="new", surfaces__femur_stl="new")


def at_line(number: int, act: Callable[[], object]) -> list[int]:
    """Call ``act`` before the line of the files that write a result which is executed as number ``number``."""
    passed = [0]

    def trace(frame, event, argument):
        if not frame.f_code.co_filename.endswith(FILES):
            return None
        if event == "line":
            passed[0] += 1
            if passed[0] == number:
                sys.settrace(None)
                act()
        return trace

    sys.settrace(trace)
    return passed


def test_own_files_at_any_depth_are_kept(way, tmp_path):
    prepare_old(tmp_path / "out")
    (tmp_path / "out" / "empty").mkdir()
    (tmp_path / "out" / "link").symlink_to("notes")
    replace_by_new(tmp_path / "out")
    assert contents(tmp_path / "out") == NEW
    assert (tmp_path / "out" / "empty").is_dir() and os.readlink(tmp_path / "out" / "link") == "notes"
    assert os.listdir(tmp_path) == ["out"]


def test_own_files_are_kept_where_nothing_can_be_linked(monkeypatch, tmp_path):
    def no_links(*arguments, **options):
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", no_links)
    prepare_old(tmp_path / "out")
    replace_by_new(tmp_path / "out")
    assert contents(tmp_path / "out") == NEW


def test_superseded_files_go_and_their_folder_with_them(tmp_path):
    fill(tmp_path / "out", case_json="old", maps__femur_vtp="old")
    with write_folder(tmp_path / "out", True, lambda old: {old / "maps" / "femur.vtp"}) as partial:
        fill(partial, case_json="new")
    assert contents(tmp_path / "out") == {"case.json": "new"} and os.listdir(tmp_path / "out") == ["case.json"]


@pytest.mark.parametrize("own", ["report.html/mine.txt", "surfaces"])
def test_file_in_the_place_of_a_folder_is_not_replaced(own, tmp_path):
    fill(tmp_path / "out", **{own.replace("/", "__").replace(".", "_"): "mine"})
    with pytest.raises(OutputError, match="move it elsewhere"), write_folder(tmp_path / "out", True) as partial:
        fill(partial, report_html="new", surfaces__femur_stl="new")
    assert contents(tmp_path / "out") == {own: "mine"} and os.listdir(tmp_path) == ["out"]


def test_folder_that_appears_during_the_run_is_left_as_it_is(way, tmp_path):
    with pytest.raises(OutputError, match="has appeared .* not kept"), write_folder(tmp_path / "out"):
        fill(tmp_path / "out", thesis_txt="mine")
    assert contents(tmp_path / "out") == {"thesis.txt": "mine"} and os.listdir(tmp_path) == ["out"]


def test_folder_that_appears_is_replaced_when_that_is_allowed(way, tmp_path):
    with write_folder(tmp_path / "out", overwrite=True) as partial:
        fill(partial, case_json="new")
        fill(tmp_path / "out", thesis_txt="mine")
    assert contents(tmp_path / "out") == {"case.json": "new", "thesis.txt": "mine"}


def test_file_that_appears_during_the_run_is_left_as_it_is(way, tmp_path):
    with pytest.raises(OutputError, match="has appeared"), write_whole(tmp_path / "a.txt", overwrite=False) as partial:
        partial.write_text("new")
        (tmp_path / "a.txt").write_text("mine")
    assert contents(tmp_path) == {"a.txt": "mine"}


@posix
@pytest.mark.parametrize("exists", [True, False])
def test_kill_at_any_line_leaves_the_old_or_the_new_whole(exists, tmp_path):
    out, seen = tmp_path / "out", set()
    for line in range(1, 3000, STRIDE):
        if exists:
            prepare_old(out)
        child = os.fork()
        if child == 0:
            at_line(line, lambda: os.kill(os.getpid(), signal.SIGKILL))
            with suppress(BaseException):
                replace_by_new(out)
            os._exit(0)
        killed = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) != 0
        found = contents(out) if out.exists() else None
        assert found in ((OLD, NEW) if exists else (None, {"case.json": "new", "surfaces/femur.stl": "new"})), line
        seen.add((found or {}).get("case.json"))
        if not killed:
            break
        remove(tmp_path)
    assert seen == {"old" if exists else None, "new"} and line > 50


@posix
@pytest.mark.parametrize("exists", [True, False])
def test_what_a_killed_run_has_left_is_tidied_up_by_the_next(way, exists, tmp_path):
    out = tmp_path / "out"
    for line in range(2, 3000, 2 * STRIDE):
        if exists:
            prepare_old(out)
        child = os.fork()
        if child == 0:
            at_line(line, lambda: os.kill(os.getpid(), signal.SIGKILL))
            with suppress(BaseException):
                replace_by_new(out)
            os._exit(0)
        killed = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) != 0
        # Put into whatever the old folder is called now, as a program does that was in it.
        for folder in tmp_path.glob(".partial-*-out"):
            if (folder / "case.json").exists() and (folder / "case.json").read_text() == "old":
                (folder / "late.txt").write_text("mine")
        late = {"late.txt": "mine"} if any(tmp_path.glob(".partial-*/late.txt")) else {}
        with suppress(OutputError), write_folder(out):
            pass
        assert [name for name in os.listdir(tmp_path) if name != "out"] == [], line
        assert contents(out) in ({**OLD, **late}, {**NEW, **late}) if exists else out.is_dir(), line
        if not killed:
            break
        remove(tmp_path)
    assert line > 50


def remove(folder: Path) -> None:
    for entry in folder.iterdir():
        if entry.is_dir():
            shutil.rmtree(entry)
        else:
            entry.unlink()


def test_file_of_the_user_that_is_saved_anew_while_the_folder_is_exchanged_is_kept_as_saved(monkeypatch, tmp_path):
    prepare_old(tmp_path / "out")
    exchange = placing.exchange

    def save_anew(partial, target):
        (tmp_path / "draft").write_text("mine, improved")
        os.replace(tmp_path / "draft", target / "notes" / "a" / "b.txt")
        exchange(partial, target)

    monkeypatch.setattr("KneeSegLib.io.unfinished.exchange", save_anew)
    replace_by_new(tmp_path / "out")
    assert contents(tmp_path / "out") == {**NEW, "notes/a/b.txt": "mine, improved"}


@pytest.mark.skipif(sys.platform == "win32", reason="permissions are others there")
def test_read_only_folder_of_the_user_is_kept_as_it_is(tmp_path):
    prepare_old(tmp_path / "out")
    (tmp_path / "out" / "notes" / "a").chmod(0o555)
    (tmp_path / "out").chmod(0o750)
    replace_by_new(tmp_path / "out")
    assert contents(tmp_path / "out") == NEW and os.listdir(tmp_path) == ["out"]
    assert [stat.S_IMODE((tmp_path / "out" / name).stat().st_mode) for name in ("", "notes/a")] == [0o750, 0o555]


@pytest.mark.parametrize("noted", ["", "{", '{"new": 1, "old": 2, "superseded": 5}', '{"new": "x"}', "[]"])
def test_hidden_folder_of_which_nothing_is_known_gets_a_name_that_is_seen(noted, tmp_path, caplog):
    prepare_old(tmp_path / "out")
    fill(tmp_path / ".partial-0123abcd-out", thesis_txt="mine")
    (tmp_path / ".journal-0123abcd-out").write_text(noted)
    replace_by_new(tmp_path / "out")
    assert contents(tmp_path / "out") == NEW
    assert contents(tmp_path / "out-recovered-0123abcd") == {"thesis.txt": "mine"}
    assert sorted(os.listdir(tmp_path)) == ["out", "out-recovered-0123abcd"]
    assert "out-recovered-0123abcd holds what was beside out" in caplog.text


def test_unfinished_folders_of_other_results_are_left_alone(tmp_path):
    for name in (".partial-0123abcd-out2", ".partial-0123abcd-x-out", ".partial-out", ".partial-x-out"):
        fill(tmp_path / name, thesis_txt="mine")
    replace_by_new(tmp_path / "out")
    assert len(os.listdir(tmp_path)) == 5


def test_unfinished_file_of_a_killed_run_is_removed_by_the_next(tmp_path):
    (tmp_path / ".partial-0123abcd-a.txt").write_text("half")
    (tmp_path / ".partial-0123abcd-ba.txt").write_text("another's")
    with write_whole(tmp_path / "a.txt") as partial:
        partial.write_text("new")
    assert sorted(os.listdir(tmp_path)) == [".partial-0123abcd-ba.txt", "a.txt"]


@posix
def test_two_renames_that_were_broken_off_are_undone_by_the_next_run(monkeypatch, tmp_path):
    monkeypatch.setattr(placing, "_rename_specially", lambda *arguments: False)
    prepare_old(tmp_path / "out")
    child = os.fork()
    if child == 0:
        rename = os.rename

        def rename_and_die(source, target):
            rename(source, target)
            os.kill(os.getpid(), signal.SIGKILL)

        monkeypatch.setattr(os, "rename", rename_and_die)
        replace_by_new(tmp_path / "out")
    os.waitpid(child, 0)
    assert not (tmp_path / "out").exists()
    with pytest.raises(OutputError, match="exists already"), write_folder(tmp_path / "out"):
        pytest.fail("the block ran")
    assert contents(tmp_path / "out") == OLD


@posix
def test_signal_at_any_line_leaves_what_is_told(way, tmp_path):
    out, before, told = tmp_path / "out", signal.getsignal(signal.SIGTERM), set()

    def interrupt(number, frame):
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupt)
    try:
        for line in range(1, 3000, STRIDE):
            prepare_old(out)
            placed = len(list_placed())
            passed = at_line(line, lambda: signal.raise_signal(signal.SIGTERM))
            with suppress(KeyboardInterrupt):
                replace_by_new(out)
            sys.settrace(None)
            told.add(len(list_placed()) > placed)
            assert contents(out) == (NEW if len(list_placed()) > placed else OLD), line
            if passed[0] < line:
                break
            remove(tmp_path)
    finally:
        sys.settrace(None)
        signal.signal(signal.SIGTERM, before)
    assert told == {True, False} and line > 50


def test_files_inside_an_unfinished_folder_are_not_told_as_written(tmp_path):
    placed = len(list_placed())
    with write_folder(tmp_path / "out") as partial:
        with write_whole(partial / "a.txt") as unfinished:
            unfinished.write_text("a")
        assert len(list_placed()) == placed
    assert list_placed()[placed:] == [tmp_path / "out"]
