"""Lack of memory is said before the work starts."""

from __future__ import annotations

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


def test_limit_of_a_container_counts(monkeypatch, tmp_path):
    for name, value in (("limit", 10_000_000), ("use", 4_000_000)):
        (tmp_path / name).write_text(f"{value}\n")
    monkeypatch.setattr(memory, "_CONTAINER_FILES", ((str(tmp_path / "limit"), str(tmp_path / "use")),))
    assert memory.measure_available_memory() == 6_000_000


def test_container_without_limit_leaves_the_machines_memory(monkeypatch, tmp_path):
    for name, value in (("limit", "max"), ("use", 4_000_000)):
        (tmp_path / name).write_text(f"{value}\n")
    monkeypatch.setattr(memory, "_CONTAINER_FILES", ((str(tmp_path / "limit"), str(tmp_path / "use")),))
    assert memory.measure_available_memory() > 6_000_000
