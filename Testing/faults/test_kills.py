"""A few of the faults of `make faults`, which tries every call: signals and errors while a result is written."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from Testing.faults.acts import ERRORS, SIGNALS, use_two_renames
from Testing.faults.checks import find_faults
from Testing.faults.runs import NEW, prepare, read_all, segment_with, warm_up

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="runs are forked")


@pytest.fixture(autouse=True, scope="module")
def everything_is_imported() -> None:
    warm_up()


EVERY = 9
"""Every call takes minutes."""


def meet_at_calls(folder: Path, act, first: int, two: bool = False) -> list:
    """Let runs meet a fault at every so many of their calls; return how they ended."""
    seen, call = [], first
    while True:
        out = prepare(folder / str(call))
        ended = segment_with(out, act, call, use_two_renames if two else None)
        assert find_faults(out, ended, two) == [], call
        seen.append((ended.status, read_all(out)["case.json"], ended.said))
        if ended.calls < call:
            return seen
        call += EVERY


@pytest.mark.parametrize("two", [False, True], ids=["one step", "two renames"])
@pytest.mark.parametrize(("name", "first"), [("SIGKILL", 1), ("SIGTERM", 4), ("SIGINT", 7)])
def test_signal_leaves_the_old_or_the_new_and_a_true_sentence(tmp_path, name, first, two):
    seen = meet_at_calls(tmp_path, SIGNALS[name], first, two)
    assert {content for _, content, _ in seen} == {"old", "new"}
    killed = {-signal.SIGKILL} if name == "SIGKILL" else {130}
    assert {status for status, _, _ in seen} == {0, *killed}


@pytest.mark.parametrize(("name", "first"), [("ENOSPC", 2), ("EDQUOT", 5), ("EIO", 8), ("EACCES", 3)])
def test_error_of_the_system_leaves_the_old_or_the_new_and_a_true_sentence(tmp_path, name, first):
    seen = meet_at_calls(tmp_path, ERRORS[name], first)
    assert {status for status, _, _ in seen} == {0, 5}


def test_clock_that_jumps_disturbs_nothing(tmp_path):
    def jump() -> None:
        import time

        clock, years = time.time, iter([0, 10, -10] * 10_000)
        time.time = lambda: clock() + 3.15e7 * next(years)

    out = prepare(tmp_path)
    ended = segment_with(out, prepare_child=jump)
    assert (ended.status, read_all(out)) == (0, NEW) and find_faults(out, ended) == []


def test_faults_are_found(tmp_path):
    out = prepare(tmp_path)
    ended = segment_with(out)
    (out / "surfaces" / "implant.stl").unlink()
    (tmp_path / ".partial-x").mkdir()
    assert len(find_faults(out, ended)) == 4
