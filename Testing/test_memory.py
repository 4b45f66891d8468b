"""Lack of memory is said before the work starts."""

from __future__ import annotations

import subprocess
import sys

import pytest

from KneeSegLib import memory
from KneeSegLib.errors import ResourceError


def test_work_that_fits_is_let_through(monkeypatch):
    monkeypatch.setattr(memory, "measure_available_memory", lambda: 3 * 2**30)
    memory.require_memory(3 * 2**30, "Segmenting")


def test_need_and_supply_are_said(monkeypatch):
    monkeypatch.setattr(memory, "measure_available_memory", lambda: 2**30)
    with pytest.raises(
        ResourceError, match="^Reading 2 voxels needs about 3.0 GB of memory and 1.0 GB are free; crop.$"
    ):
        memory.require_memory(3 * 2**30, "Reading 2 voxels", "crop")


@pytest.fixture
def cgroups(monkeypatch, tmp_path):
    """Put files in the place of the system's control groups, and say which group this process is in."""

    def install(own: str, **files: object) -> None:
        (tmp_path / "own").write_text(own)
        for name, value in files.items():
            path = tmp_path / "groups" / name.replace("__", "/").replace("dot", ".")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"{value}\n")
        monkeypatch.setattr(memory, "_CGROUPS", tmp_path / "groups")
        monkeypatch.setattr(memory, "_OWN_CGROUPS", tmp_path / "own")

    return install


def test_limit_of_a_container_counts(cgroups):
    cgroups("0::/\n", memorydotmax=10_000_000, memorydotcurrent=4_000_000)
    assert memory.measure_available_memory() == 6_000_000


def test_limit_of_a_job_within_other_groups_counts(cgroups):
    cgroups(
        "0::/slurm/job_7/task\n",
        slurm__job_7__memorydotmax=10_000_000,
        slurm__job_7__memorydotcurrent=4_000_000,
        slurm__job_7__task__memorydotmax="max",
        slurm__job_7__task__memorydotcurrent=4_000_000,
    )
    assert memory.measure_available_memory() == 6_000_000


def test_limit_of_a_group_of_version_1_counts(cgroups):
    cgroups(
        "7:cpu,cpuacct:/\n4:memory:/slurm/job_7\n0::/\n",
        memory__slurm__job_7__memorydotlimit_in_bytes=10_000_000,
        memory__slurm__job_7__memorydotusage_in_bytes=4_000_000,
        memory__memorydotlimit_in_bytes=2**63 - 4096,
        memory__memorydotusage_in_bytes=5_000_000,
    )
    assert memory.measure_available_memory() == 6_000_000


def test_limit_of_version_1_is_found_in_a_container_that_sees_its_hosts_path(cgroups):
    cgroups(
        "4:memory:/docker/0123\n",
        memory__memorydotlimit_in_bytes=10_000_000,
        memory__memorydotusage_in_bytes=4_000_000,
    )
    assert memory.measure_available_memory() == 6_000_000


def test_files_kept_in_memory_count_as_free(cgroups):
    cgroups(
        "0::/\n",
        memorydotmax=10_000_000,
        memorydotcurrent=4_000_000,
        memorydotstat="anon 1000000\ninactive_file 3000000",
    )
    assert memory.measure_available_memory() == 9_000_000


def test_container_without_limit_leaves_the_machines_memory(cgroups):
    cgroups("0::/\n", memorydotmax="max", memorydotcurrent=4_000_000)
    assert memory.measure_available_memory() > 10_000_000


def test_system_without_control_groups_leaves_the_machines_memory(cgroups, tmp_path):
    cgroups("")
    (tmp_path / "own").unlink()
    assert memory.measure_available_memory() > 10_000_000


GROW = """
from KneeSegLib.memory import measure_peak_memory
before = measure_peak_memory()
held = bytearray(b"x") * (300 * 2**20)
del held
print(before, measure_peak_memory())
"""


def test_the_peak_is_what_a_process_held_and_gave_back_and_not_what_its_parent_held():
    held = bytearray(b"x") * (500 * 2**20)
    done = subprocess.run([sys.executable, "-c", GROW], capture_output=True, encoding="utf-8", check=True)
    before, after = (int(word) for word in done.stdout.split())
    assert before < len(held) and 295 * 2**20 < after - before < 310 * 2**20
