"""``make faults``: signals and errors at every call of the system, kills at random moments, races, whole runs.

Prints what was tried and what went wrong, and ends with 1 if anything did.
"""

from __future__ import annotations

import argparse
import os
import random
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from KneeSegLib.io.writing import reserve_folder
from Testing.faults.acts import ERRORS, SIGNALS, use_two_renames
from Testing.faults.checks import find_faults
from Testing.faults.runs import NEW, OLD, Act, prepare, read_all, segment_with, start, warm_up
from Testing.faults.whole_runs import kill_whole_runs

RANDOM_KILLS = 200
RACES = 16
RUNS_OF_A_RACE = 16

Tried = Iterator[list[str]]
"""What went wrong, of each attempt."""


def meet_at_every_call(folder: Path, act: Act, two_renames: bool) -> Tried:
    """Let one run after the other meet a fault at its next call, until one ends before it comes to it."""
    call = 0
    while True:
        call += 1
        out = prepare(folder / "run")
        ended = segment_with(out, act, call, use_two_renames if two_renames else None)
        if ended.calls < call:
            shutil.rmtree(folder / "run")
            return
        yield [f"call {call}: {fault}" for fault in find_faults(out, ended, two_renames)]
        shutil.rmtree(folder / "run")


def kill_at_random_moments(folder: Path, generator: random.Random) -> Tried:
    """Send signals to runs at moments drawn evenly from the time that one takes."""
    started = time.monotonic()
    segment_with(prepare(folder / "first"))
    longest = time.monotonic() - started
    for _ in range(RANDOM_KILLS):
        out = prepare(folder / "run")
        running = start(out)
        time.sleep(generator.uniform(0.0, longest))
        name = generator.choice(sorted(SIGNALS))
        with suppress(ProcessLookupError):
            os.kill(running.process, getattr(signal, name))
        faults = find_faults(out, running.wait())
        yield [f"{name}: {fault}" for fault in faults]
        shutil.rmtree(folder / "run")


def race(folder: Path) -> Tried:
    """Begin several runs at once; the one that writes waits until the others have ended."""
    for number in range(RACES):
        out = prepare(folder / f"race{number}")
        (begin, begun), (end, ended) = os.pipe(), os.pipe()

        def wait_for_the_others(begin: int = begin, begun: int = begun, ended: int = ended) -> None:
            os.close(begun)
            os.close(ended)
            os.read(begin, 1)

        def hold(end: int = end) -> None:
            select.select([end], [], [], 60)

        # The writer is at this call in the middle of its files.
        runs = [start(out, hold, 20, wait_for_the_others) for _ in range(RUNS_OF_A_RACE)]
        os.close(begun)
        finished, left = [], list(runs)
        while left and len(finished) < RUNS_OF_A_RACE - 1:
            for run in list(left):
                if has_ended(run.process):
                    finished.append(run.wait())
                    left.remove(run)
            time.sleep(0.01)
        os.close(ended)
        finished += [run.wait() for run in left]
        for descriptor in (begin, end):
            os.close(descriptor)
        faults = find_faults(out, finished[-1])
        refused = [one for one in finished if one.status == 5 and "is writing to" in one.said]
        if len(refused) != RUNS_OF_A_RACE - 1 or finished[-1].status != 0 or read_all(out) != NEW:
            faults.append(f"{len(refused)} were refused: {[(one.status, one.said) for one in finished]}")
        yield faults


def has_ended(process: int) -> bool:
    """Whether a child has ended, without taking its status away."""
    return os.waitid(os.P_PID, process, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def kill_by_strace(folder: Path) -> Tried:
    """Kill runs before each ``write`` and each rename as the kernel sees them, those of libraries too."""
    if shutil.which("strace") is None or subprocess.run(["strace", "true"], capture_output=True).returncode != 0:
        print("  strace is missing or not allowed; left out")
        return
    code = "from pathlib import Path; import sys; from Testing.faults.runs import *; "
    code += "FakeCase().save(Path(sys.argv[1]), True, lambda *a: None)"
    for calls in ("write", "renameat2", "fsync", "flock", "unlink,unlinkat,rmdir", "linkat,link", "mkdir"):
        number = 0
        while True:
            number += 1
            out = prepare(folder / "run")
            inject = ["-e", f"trace={calls}", "-e", f"inject={calls}:signal=SIGKILL:when={number}"]
            command = ["strace", "-f", "-qq", "-o", os.devnull, *inject, sys.executable, "-c", code, str(out)]
            status = subprocess.run(command, capture_output=True).returncode
            found = read_all(out)
            killed = status != 0
            faults = [] if killed or found == NEW else [f"{calls} {number}: succeeded and wrote nothing"]
            with reserve_folder(out, overwrite=True):
                pass
            after = read_all(out)
            if found not in (OLD, NEW) or after not in (OLD, NEW) or len(os.listdir(out.parent)) != 2:
                faults.append(f"{calls} {number}: {found}, then {after} in {os.listdir(out.parent)}")
            shutil.rmtree(folder / "run")
            if not killed:
                break
            yield faults


def run(name: str, attempts: Tried) -> int:
    """Count attempts and what went wrong, print both, and return how many attempts went wrong."""
    tried, wrong = 0, 0
    for faults in attempts:
        tried += 1
        wrong += bool(faults)
        for fault in faults:
            print(f"  {name}: {fault}")
    print(f"{name}: {tried} tried, {wrong} went wrong", flush=True)
    return wrong


def main() -> int:
    """Run the campaign."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0, help="of the random moments")
    parser.add_argument("--scan", type=Path, help="an image to kill whole runs of `kneeseg segment` on")
    options = parser.parse_args()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell lets what it runs in the background ignore it
    warm_up()
    wrong = 0
    with tempfile.TemporaryDirectory(prefix="kneeseg-faults-") as name:
        folder = Path(name)
        for act_name, act in SIGNALS.items():
            for two, way in ((False, "one step"), (True, "two renames")):
                wrong += run(f"{act_name} at every call, {way}", meet_at_every_call(folder / act_name, act, two))
        wrong += run(
            "signals at random moments", kill_at_random_moments(folder / "random", random.Random(options.seed))
        )
        wrong += run(f"races of {RUNS_OF_A_RACE}", race(folder / "races"))
        wrong += run("kills at system calls (strace)", kill_by_strace(folder / "strace"))
        for act_name, act in ERRORS.items():
            wrong += run(f"{act_name} at every call", meet_at_every_call(folder / act_name, act, two_renames=False))
        if options.scan is not None:
            wrong += run("kills of whole runs", kill_whole_runs(options.scan, folder / "whole"))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
