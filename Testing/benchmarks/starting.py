"""Processor seconds that a command takes before it does any work; goal for help: half a second.

    python Testing/benchmarks/starting.py

The fastest of some runs counts; processor time, not time, so that it holds on a busy machine too.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
from pathlib import Path

COMMANDS = (("--help",), ("segment", "--help"), ("pipelines",), ("segment", "nowhere", "-o", "out"))
ROOT = Path(__file__).resolve().parents[2]  # this checkout's package, whatever is installed


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--runs", type=int, default=5, help="the fastest counts")
    runs = arguments.parse_args().runs
    for command in COMMANDS:
        print(f"{min(processor_seconds(command) for _ in range(runs)):5.2f} s  kneeseg {' '.join(command)}")


def processor_seconds(command: tuple[str, ...]) -> float:
    """User and system time of one run."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-m", "KneeSegLib", *command], cwd=ROOT, capture_output=True, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


if __name__ == "__main__":
    main()
