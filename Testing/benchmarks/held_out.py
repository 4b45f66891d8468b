"""Accuracy on people whom no network was trained on: renders each, segments it, prints and saves the table.

    python Testing/benchmarks/held_out.py --prepared work/people --output work/held_out.json

People are those of the group ``test`` among the prepared ones (``kneeseg synthesize --prepare``); every second one is
rendered as a left leg. The images come from the same renderer as the training images: this measures how well the
networks learned what they were taught, on new anatomy, and not how well they do on real scans. ``--simulator other``
renders the same people in another way, which no network has seen.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # this checkout's networks, whatever is installed

import other_simulator
from figures_table import show_figures
from kept_cases import kept
from people import prepared_people

import KneeSegLib as ks
from KneeSegLib.anatomy import structure
from KneeSegLib.errors import KneeSegError
from KneeSegLib.io.strict_json import as_strict_json
from KneeSegLib.measurements.comparison import evaluate
from KneeSegLib.pipelines import QUALITIES
from KneeSegLib.training.synthesis.anatomy_file import Anatomy
from KneeSegLib.training.synthesis.cases import SyntheticCase, synthesize_case
from KneeSegLib.training.synthesis.placement import PreparedPerson

SHOWN = ("dice", "assd_mm", "hd95_mm", "nsd_1mm")


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--prepared", type=Path, default=Path("work/people"))
    arguments.add_argument("--output", type=Path, default=Path("work/held_out.json"))
    arguments.add_argument("--simulator", choices=("own", "other"), default="own")
    arguments.add_argument("--group", choices=("test", "validation"), default="test")
    arguments.add_argument("--quality", choices=tuple(QUALITIES), default="standard")
    arguments.add_argument("--joint", choices=("hip", "knee", "ankle"), action="append")
    arguments.add_argument("--spacing", type=float, default=0.7, help="mm, in-plane and between slices")
    arguments.add_argument("--seed", type=int, default=8000)
    arguments.add_argument("--keep", type=Path, metavar="FOLDER", help="rendered images are kept there, and used again")
    options = arguments.parse_args()
    torch.set_num_threads(2)
    results = {}
    for joint in options.joint or ("hip", "knee", "ankle"):
        results[joint] = measured(joint, options)
    options.output.write_text(json.dumps(as_strict_json(results), indent=1), encoding="utf-8")
    print(f"\nFull figures: {options.output}")


def measured(joint: str, options: argparse.Namespace) -> dict:
    """Figures of one joint's pipeline over its people, sides pooled by calling every leg a right one.

    Distances and overlaps are means over the people in whom a structure was found at all; the table says how many.
    """
    cases = {}
    people = prepared_people(options.prepared, joint, options.group)
    for number, path in enumerate(people):
        side = ("right", "left")[number % 2]
        truth = rendered(path, side, options.seed + number, options)
        started = time.perf_counter()
        try:
            found = ks.segment(truth.image, pipeline=f"ct-{joint}", quality=options.quality, device="cpu")
        except KneeSegError as error:
            print(f"{path.stem} ({side}): {error}")
            continue
        seconds = time.perf_counter() - started
        agreements = evaluate(truth.labels, found.labels)
        cases[path.stem] = {_as_right(key): value for key, value in agreements.items()}
        row = "  ".join(f"{k} {v.metrics['dice']:.4f}/{v.metrics['assd_mm']:.2f}" for k, v in agreements.items())
        print(f"{path.stem} ({side}, {seconds:.0f} s): {row}", flush=True)
    return show_figures(joint, cases, len(people), SHOWN)


def rendered(path: Path, side: str, seed: int, options: argparse.Namespace) -> SyntheticCase:
    """A case of a prepared person by the simulator that was asked for."""

    def make() -> SyntheticCase:
        simulate = synthesize_case if options.simulator == "own" else other_simulator.simulate
        return simulate(PreparedPerson(Anatomy.load(path)), options.spacing, side=side, seed=seed)

    name = f"{path.stem}_{side}_{options.simulator}_{options.spacing:g}mm_{seed}"
    return kept(options.keep, name, path.stem, options.group, make)


def _as_right(key: str) -> str:
    bone, _, side = key.rpartition("_")
    return structure(bone, "right").key if side == "left" else key


if __name__ == "__main__":
    main()
