"""``python -m Testing.fuzz --seconds 3600``: mutants of every format, each in a process of its own that may crash.

What fails is kept in ``Testing/fuzz/kept/FORMAT/``, which the tests read from then on.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from Testing.fuzz.campaign import run
from Testing.fuzz.doors import DOORS, change

KEPT = Path(__file__).parent / "kept"


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=120.0, help="of the whole campaign")
    parser.add_argument(
        "--seed", type=int, default=None, help="of the first mutant; another one each time if not given"
    )
    parser.add_argument("--format", choices=DOORS, action="append", help="only these")
    parser.add_argument("--alone", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--until", type=float, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    names = arguments.format or list(DOORS)
    seed = arguments.seed if arguments.seed is not None else time.time_ns() % 10**12
    if arguments.alone is not None:
        found = run(names[0], seed, arguments.until, arguments.alone / "seed")
        (arguments.alone / "found.json").write_text(json.dumps([entry[:2] for entry in found]), encoding="utf-8")
        return 0
    print(f"The seed of the first mutant of each format is {seed}.", flush=True)
    failures = sum(_campaign(name, seed, arguments.seconds / len(names)) for name in names)
    print(f"{failures} mutants failed" + (f"; they are in {KEPT}" if failures else ""))
    return 1 if failures else 0


def _campaign(name: str, seed: int, seconds: float) -> int:
    failures, end = 0, time.time() + seconds
    while time.time() < end:
        with tempfile.TemporaryDirectory(prefix="fuzz-") as home:
            command = [sys.executable, "-m", "Testing.fuzz", "--format", name, "--alone", home]
            command += ["--seed", str(seed), "--until", str(end)]
            ended = subprocess.run(command, capture_output=True, encoding="utf-8", errors="replace")
            note, result = Path(home, "seed"), Path(home, "found.json")
            last = int(note.read_text(encoding="utf-8")) if note.exists() else seed
            found = json.loads(result.read_text(encoding="utf-8")) if result.exists() else []
            if ended.returncode != 0:
                found.append((last, f"the process ended with {ended.returncode}: {ended.stderr[-300:]}"))
        for number, finding in found:
            _keep(name, number)
            print(f"{name} {number}: {finding}", flush=True)
        failures += len(found)
        print(f"{name}: {last - seed + 1} mutants, {len(found)} failed", flush=True)
        if ended.returncode == 0:
            break
        seed = last + 1  # go on after the one that ended the process
    return failures


def _keep(name: str, seed: int) -> None:
    with tempfile.TemporaryDirectory(prefix="fuzz-") as home:
        DOORS[name].write(Path(home))
        content = change(Path(home), DOORS[name], seed)
    folder = KEPT / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{seed}.bin").write_bytes(content)


if __name__ == "__main__":
    sys.exit(main())
