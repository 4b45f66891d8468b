"""How often the quality flag is on real results that a person accepted by eye, and on those that were not accepted.

    python Testing/benchmarks/real.py DATA_PACK --output work/real         # writes the results
    python Testing/benchmarks/flags_real.py work/real --synthetic work/flags.json

``accepted_by_eye.json`` was written down before limits of flags were changed. With ``--synthetic`` the bones of a run
of ``flags.py`` are added to the real ones: accepted there means a Dice of 0.97 or more, not accepted one below 0.90.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # this checkout's limits, whatever is installed
sys.path.insert(0, str(Path(__file__).resolve().parent))

from flags import RIGHT, WRONG, judged

from KneeSegLib.anatomy import BONES, structure

ACCEPTED = Path(__file__).with_name("accepted_by_eye.json")
BONE, SOFT = "bone", "cartilage, meniscus"


class Seen(NamedTuple):
    """A structure: of which images and kind, whether it was accepted, and whether it is flagged."""

    images: str
    kind: str
    accepted: bool
    flagged: bool


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("results", type=Path, help="folder with a result of each scan, as real.py writes them")
    arguments.add_argument("--synthetic", type=Path, metavar="FILE", help="of flags.py")
    options = arguments.parse_args()
    seen = [*read_real(options.results), *(read_synthetic(options.synthetic) if options.synthetic else ())]
    print("| images | structures | accepted | flagged | not accepted | flagged |\n|" + " --- |" * 6)
    rows = list(dict.fromkeys((one.images, one.kind) for one in seen))
    for images, kind in rows:
        print_row(images, kind, [one for one in seen if (one.images, one.kind) == (images, kind)])
    if options.synthetic:
        print_row("both", BONE, [one for one in seen if one.kind == BONE])


def read_real(folder: Path) -> Iterator[Seen]:
    """Every structure of the list; one that a result lacks is flagged where a warning names it."""
    for scan, structures in json.loads(ACCEPTED.read_text(encoding="utf-8"))["structures"].items():
        case = json.loads((folder / scan / "case.json").read_text(encoding="utf-8"))
        levels = {found["key"]: found["quality"]["level"] for found in case["structures"]}
        for key, judgement in structures.items():
            name = structure(key).name.lower()
            told = levels[key] == "check" if key in levels else any(name in one.lower() for one in case["warnings"])
            kind = BONE if structure(key).tissue.key in BONES else SOFT
            yield Seen("real", kind, judgement["accepted"], told)


def read_synthetic(file: Path) -> Iterator[Seen]:
    """The bones of a run of flags.py that are right or wrong; those between are neither."""
    for run in json.loads(file.read_text(encoding="utf-8")):
        for one in judged(run):
            if not WRONG <= one.dice < RIGHT:
                yield Seen("synthetic", BONE, one.dice >= RIGHT, one.flagged)


def print_row(images: str, kind: str, seen: list[Seen]) -> None:
    """Print how many were accepted and not, and the fraction of each that is flagged."""
    cells = [images, kind]
    for accepted in (True, False):
        flags = [one.flagged for one in seen if one.accepted == accepted]
        cells += [str(len(flags)), f"{sum(flags) / len(flags):.0%}" if flags else "-"]
    print(f"| {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
