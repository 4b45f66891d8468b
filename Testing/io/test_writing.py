"""Files and folders appear whole or not at all, and nothing that is not replaced gets lost."""

from __future__ import annotations

import errno
import os
import sys
import threading
from pathlib import Path

import pytest

from KneeSegLib.errors import Cancelled, OutputError
from KneeSegLib.io import placing
from KneeSegLib.io.writing import reserve_folder, write_folder, write_whole


def names(folder) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_file_appears_only_when_it_is_whole(tmp_path):
    with write_whole(tmp_path / "new" / "a.nii.gz") as partial:
        partial.write_text("half")
        assert partial.name.endswith(".nii.gz")
        assert not (tmp_path / "new" / "a.nii.gz").exists()
    assert (tmp_path / "new" / "a.nii.gz").read_text() == "half"
    assert names(tmp_path / "new") == ["a.nii.gz"]


@pytest.mark.parametrize("reason", [Cancelled(), KeyboardInterrupt(), RuntimeError("broken")])
def test_failure_keeps_the_old_file_and_removes_the_new_one(reason, tmp_path):
    (tmp_path / "a.txt").write_text("old")
    with pytest.raises(type(reason)), write_whole(tmp_path / "a.txt") as partial:
        partial.write_text("new")
        raise reason
    assert (tmp_path / "a.txt").read_text() == "old" and names(tmp_path) == ["a.txt"]


def test_existing_file_is_kept_where_overwriting_is_not_allowed(tmp_path):
    (tmp_path / "a.txt").write_text("old")
    with pytest.raises(OutputError, match="exists already"), write_whole(tmp_path / "a.txt", overwrite=False):
        pytest.fail("the block ran")


def test_folder_appears_only_when_it_is_whole(tmp_path):
    with write_folder(tmp_path / "out") as partial:
        (partial / "case.json").write_text("{}")
        assert not (tmp_path / "out").exists() and partial.parent == tmp_path
    assert names(tmp_path) == ["out"] and names(tmp_path / "out") == ["case.json"]


@pytest.mark.parametrize("reason", [Cancelled(), KeyboardInterrupt(), RuntimeError("broken")])
def test_failure_leaves_neither_folder_nor_its_parents(reason, tmp_path):
    with pytest.raises(type(reason)), write_folder(tmp_path / "results" / "today" / "out") as partial:
        (partial / "surfaces").mkdir()
        raise reason
    assert names(tmp_path) == []


def test_existing_folder_is_refused_before_the_work_begins(tmp_path):
    (tmp_path / "out").mkdir()
    with pytest.raises(OutputError, match="out exists already.*--overwrite"), write_folder(tmp_path / "out"):
        pytest.fail("the block ran")


def test_failure_while_overwriting_keeps_the_old_folder(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "case.json").write_text("old")
    with pytest.raises(RuntimeError), write_folder(tmp_path / "out", overwrite=True) as partial:
        (partial / "case.json").write_text("new")
        raise RuntimeError
    assert (tmp_path / "out" / "case.json").read_text() == "old" and names(tmp_path) == ["out"]


@pytest.mark.parametrize("renames_done", [0, 1])
def test_failure_while_the_new_folder_is_put_in_place_keeps_the_old_one(renames_done, tmp_path, monkeypatch):
    monkeypatch.setattr(placing, "_rename_specially", lambda *arguments: False)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "case.json").write_text("old")
    rename, done = os.rename, []

    def interrupted(source, target):
        if len(done) == renames_done:
            monkeypatch.undo()
            raise KeyboardInterrupt
        done.append(rename(source, target))

    with pytest.raises(KeyboardInterrupt), write_folder(tmp_path / "out", overwrite=True) as partial:
        (partial / "case.json").write_text("new")
        monkeypatch.setattr(os, "rename", interrupted)
    assert (tmp_path / "out" / "case.json").read_text() == "old" and names(tmp_path) == ["out"]


def test_overwriting_replaces_what_is_new_and_keeps_what_is_not_ours(tmp_path):
    for name in ("case.json", "surfaces/own.stl", "IM0001.dcm"):
        (tmp_path / "out" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "out" / name).write_text("old")
    with write_folder(tmp_path / "out", overwrite=True) as partial:
        (partial / "case.json").write_text("new")
        (partial / "surfaces").mkdir()
    assert (tmp_path / "out" / "case.json").read_text() == "new"
    assert names(tmp_path / "out") == ["IM0001.dcm", "case.json", "surfaces"]
    assert names(tmp_path / "out" / "surfaces") == ["own.stl"] and names(tmp_path) == ["out"]


def test_link_to_a_folder_stays_a_link(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "out").symlink_to(tmp_path / "real", target_is_directory=True)
    with write_folder(tmp_path / "out", overwrite=True) as partial:
        (partial / "case.json").write_text("new")
    assert (tmp_path / "out").is_symlink() and names(tmp_path / "real") == ["case.json"]


def test_file_in_the_place_of_the_folder_is_refused(tmp_path):
    (tmp_path / "out").write_text("a file")
    with pytest.raises(OutputError, match="is a file"), write_folder(tmp_path / "out", overwrite=True):
        pytest.fail("the block ran")


def test_place_that_cannot_be_written_to_is_said(tmp_path):
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(OutputError, match="choose another place"), write_folder(tmp_path / "file" / "out"):
        pytest.fail("the block ran")


def test_full_disk_is_said_and_leaves_nothing(tmp_path):
    with pytest.raises(OutputError, match="disk is full .*out was not .*free some"), write_folder(tmp_path / "out"):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert names(tmp_path) == []


def test_error_that_does_not_concern_the_output_passes_unchanged(tmp_path):
    with pytest.raises(FileNotFoundError), write_folder(tmp_path / "out"):
        Path("/nowhere/at/all").read_text(encoding="utf-8")


def test_writability_is_known_before_the_work_and_leaves_no_trace(tmp_path):
    with reserve_folder(tmp_path / "new" / "out"):
        pass
    assert names(tmp_path) == []
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(OutputError), reserve_folder(tmp_path / "file" / "out"):
        pytest.fail("the block ran")
    with pytest.raises(OutputError, match="exists already"), reserve_folder(tmp_path):
        pytest.fail("the block ran")
    assert names(tmp_path) == ["file"]


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no names that are not Unicode")
def test_folder_whose_name_is_not_utf8_is_refused_before_work_begins(tmp_path):
    odd = os.fsdecode(os.fsencode(tmp_path) + b"/Sch\xe4del")
    said = "Sch.del holds bytes that are no UTF-8.*Choose another place"
    with pytest.raises(OutputError, match=said), reserve_folder(odd):
        pytest.fail("the block ran")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="open files are named by /proc")
def test_every_file_and_folder_is_on_the_disk_before_it_takes_its_name(tmp_path, monkeypatch):
    out, flushed = tmp_path / "out", []
    fsync = os.fsync

    def note(descriptor):
        flushed.append((Path(os.readlink(f"/proc/self/fd/{descriptor}")), out.exists()))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", note)
    with write_folder(out) as partial:
        (partial / "surfaces").mkdir()
        (partial / "surfaces" / "femur.stl").write_text("new")
    assert flushed == [
        (tmp_path / partial.name.replace("partial", "journal"), False),
        (partial / "surfaces" / "femur.stl", False),
        (partial / "surfaces", False),
        (partial, False),
        (tmp_path, True),
    ]


def test_disk_that_tells_only_at_the_end_that_it_is_full_keeps_the_old_file(tmp_path, monkeypatch):
    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    (tmp_path / "a.txt").write_text("old")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputError, match="disk is full"), write_whole(tmp_path / "a.txt") as partial:
        partial.write_text("new")
    assert (tmp_path / "a.txt").read_text() == "old" and names(tmp_path) == ["a.txt"]


def test_another_run_that_writes_the_same_file_leaves_this_one_its_unfinished_file(tmp_path):
    def write() -> None:
        with write_whole(tmp_path / "a.txt") as partial:
            partial.write_text("other")

    with write_whole(tmp_path / "a.txt") as partial:
        partial.write_text("mine")
        other = threading.Thread(target=write)
        other.start()
        other.join()
        assert (tmp_path / "a.txt").read_text() == "other" and partial.exists()
    assert (tmp_path / "a.txt").read_text() == "mine" and names(tmp_path) == ["a.txt"]
