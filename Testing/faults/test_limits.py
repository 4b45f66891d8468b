"""Places that are full, read-only or limited: the sentence names what is used up, and what was there stays."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from KneeSegLib.errors import OutputError
from KneeSegLib.failures import as_known_error
from KneeSegLib.io.writing import write_folder
from Testing.faults.checks import find_faults
from Testing.faults.runs import OLD, prepare, read_all, segment_with, warm_up

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="file systems are mounted as Linux does")
PAGE = 4096


@pytest.fixture(scope="module", autouse=True)
def everything_is_imported() -> None:
    warm_up()


@pytest.fixture
def mount(tmp_path) -> Iterator:
    """Mount a small file system in memory with options, or skip."""
    place = tmp_path / "mounted"
    place.mkdir()
    mounted = []

    def call(options: str) -> Path:
        command = ["mount", "-t", "tmpfs", "-o", options, "kneeseg", str(place)]
        if mounted:
            command = ["mount", "-o", f"remount,{options}", str(place)]
        try:
            done = subprocess.run(command, capture_output=True, encoding="utf-8")
        except OSError as error:
            pytest.skip(f"nothing can be mounted here: {error}")
        if done.returncode != 0:
            pytest.skip(f"nothing can be mounted here: {done.stderr.strip()}")
        mounted.append(place)
        return place

    yield call
    if mounted:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


def fill_up(place: Path) -> None:
    """Leave no page for one more file's content."""
    with pytest.raises(OSError), (place / "others").open("wb", buffering=0) as file:
        while True:
            file.write(bytes(PAGE))


def test_full_disk(mount):
    place = mount("size=256k")
    out = prepare(place)
    fill_up(place)
    ended = segment_with(out)
    assert (ended.status, find_or_left(out, ended)) == (5, [])
    assert "The disk is full (0 MB free at" in ended.said


def test_disk_without_inodes(mount):
    place = mount("size=1m,nr_inodes=13")  # one more than the old result takes, for the lock
    out = prepare(place)
    ended = segment_with(out)
    assert (ended.status, find_or_left(out, ended)) == (5, [])
    assert "no room for one more file, whatever its size (its inodes are used up)" in ended.said
    assert "disk is full" not in ended.said


def test_read_only_disk(mount):
    place = mount("size=1m")
    out = prepare(place)
    mount("ro")
    ended = segment_with(out)
    assert ended.status == 5 and read_all(out) == OLD
    assert f"{place} cannot be written to (Read-only file system); choose a folder" in ended.said


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="permissions do not hold for root")
def test_read_only_folder(tmp_path):
    out = prepare(tmp_path / "mine")
    (tmp_path / "mine").chmod(0o555)
    ended = segment_with(out)
    (tmp_path / "mine").chmod(0o755)
    assert (ended.status, find_faults(out, ended)) == (5, [])
    assert "cannot be written to (Permission denied)" in ended.said


def find_or_left(out: Path, ended) -> list[str]:
    """What is wrong, beside the file that fills the disk."""
    (out.parent / "others").unlink(missing_ok=True)
    return find_faults(out, ended)


def test_limit_on_the_size_of_files_is_no_full_disk(tmp_path):
    def limit() -> None:
        import resource

        resource.setrlimit(resource.RLIMIT_FSIZE, (2, 2))

    out = prepare(tmp_path)
    ended = segment_with(out, prepare_child=limit)
    assert (ended.status, find_faults(out, ended)) == (5, [])
    assert "larger than this process may write" in ended.said and "ulimit -f" in ended.said
    assert "disk is full" not in ended.said


def test_limit_on_memory_is_told_as_the_process_s_own(tmp_path):
    def limit() -> None:
        import resource

        import psutil

        import KneeSegLib.segmentation

        allowed = psutil.Process().memory_info().vms + 2**27
        resource.setrlimit(resource.RLIMIT_AS, (allowed, allowed))
        KneeSegLib.segmentation.segment = lambda *arguments, **options: bytearray(2**30)

    out = prepare(tmp_path)
    ended = segment_with(out, prepare_child=limit)
    assert (ended.status, find_faults(out, ended)) == (6, [])
    assert "The memory that this process may take was used up" in ended.said and "ulimit" in ended.said


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (errno.EDQUOT, "Your quota at .* is used up, so out was not written .*; remove files of yours there"),
        (errno.EFBIG, "A file would be larger than the file system at .* can hold, so out was not written"),
        (errno.ENAMETOOLONG, "The name out is too long to write beside it first; choose a shorter one"),
        (errno.EIO, "out could not be written .Input/output error.; choose another place"),
    ],
)
def test_every_reason_has_its_sentence(tmp_path, number, said):
    with pytest.raises(OutputError, match=said), write_folder(tmp_path / "out"):
        raise OSError(number, os.strerror(number), str(tmp_path / "out"))
    assert os.listdir(tmp_path) == []


def test_quota_away_from_the_output_is_told_too(tmp_path):
    sentence = str(as_known_error(OSError(errno.EDQUOT, "Disk quota exceeded", str(tmp_path / "a"))))
    assert sentence.startswith(f"Your quota at {tmp_path} is used up, so {tmp_path / 'a'} could not be written")


def test_surface_that_meets_the_limit_on_files_names_it(tmp_path):
    """VTK does not say why it has not written on."""
    script = f"""
import resource
from vtkmodules.vtkFiltersSources import vtkSphereSource
from KneeSegLib.anatomy import structure
from KneeSegLib.errors import OutputError
from KneeSegLib.surfaces import write_surface
ball = vtkSphereSource()
ball.SetThetaResolution(64)
ball.Update()
resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))
try:
    write_surface(ball.GetOutput(), {str(tmp_path / "femur.stl")!r}, structure("femur_right"))
except OutputError as error:
    print(error)
"""
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, encoding="utf-8", check=True)
    assert "larger than this process may write" in run.stdout and os.listdir(tmp_path) == []
