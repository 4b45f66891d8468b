"""Whether the quality flag fires on results that are wrong, and keeps quiet on those that are right.

    python Testing/benchmarks/flags.py --prepared work/people --output work/flags.json
    python Testing/benchmarks/flags.py --judge work/flags.json          # other limits, the same measurements

Scans of subjects whom no network was trained on are rendered, degraded as ``damage.py`` can (noise, motion, metal, lost
slices, wrong values...) and segmented. A structure is flagged when its level is "check", or, where it is missing, when
a warning names it or the same bone of the other side, which lies in its place, is flagged. Dice is measured against the
anatomy that was rendered. A run that refuses a scan in a sentence claims nothing; such runs are counted apart.
Limits are chosen on ``--group validation``, figures are those of ``--group test``.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # this checkout's networks, whatever is installed
sys.path.insert(0, str(Path(__file__).resolve().parent))

from damage import DAMAGES, Scan
from subjects import list_prepared_subjects

import KneeSegLib as ks
from KneeSegLib.anatomy import JOINT_BONES, Structure, structure
from KneeSegLib.ct.settings import LEAST_VOLUME_CM3
from KneeSegLib.errors import KneeSegError
from KneeSegLib.io.strict_json import as_strict_json
from KneeSegLib.measurements.comparison import evaluate
from KneeSegLib.measurements.structures import FoundStructure, measure_structures
from KneeSegLib.pipelines.table import QUALITIES
from KneeSegLib.quality import QualityFeatures, assess_quality
from KneeSegLib.training.synthesis.anatomy_file import Anatomy
from KneeSegLib.training.synthesis.cases import synthesize_case
from KneeSegLib.training.synthesis.subjects import PreparedSubject

WRONG, RIGHT = 0.9, 0.97
MAIN_BONES, MAIN_DICE = ("femur", "tibia"), 0.95


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--prepared", type=Path, default=Path("work/people"))
    arguments.add_argument("--group", choices=("validation", "test"), default="test")
    arguments.add_argument("--joint", choices=tuple(JOINT_BONES), action="append")
    arguments.add_argument("--people", type=int, help="no more than so many of each joint")
    arguments.add_argument("--damage", choices=tuple(DAMAGES), action="append")
    arguments.add_argument("--spacing", type=float, default=1.2, help="mm, in-plane and between slices")
    arguments.add_argument("--quality", choices=tuple(QUALITIES), default="standard")
    arguments.add_argument("--seed", type=int, default=9000)
    arguments.add_argument(
        "--output", type=Path, default=Path("work/flags.json"), help="what exists there is continued"
    )
    arguments.add_argument("--judge", type=Path, metavar="FILE", help="measure nothing, judge what FILE holds")
    options = arguments.parse_args()
    runs = json.loads(options.judge.read_text(encoding="utf-8")) if options.judge else measured(options)
    show(runs)


def measured(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Render, spoil and segment; return one record per run, saved after each."""
    torch.set_num_threads(2)
    runs = json.loads(options.output.read_text(encoding="utf-8")) if options.output.exists() else []
    done = {(run["person"], run["damage"]) for run in runs}
    for joint in options.joint or JOINT_BONES:
        people = list_prepared_subjects(options.prepared, joint, options.group)[: options.people]
        for number, path in enumerate(people):
            wanted = [name for name in options.damage or DAMAGES if (path.stem, name) not in done]
            if not wanted:
                continue
            side = ("right", "left")[number % 2]
            person = PreparedSubject(Anatomy.load(path))
            case = synthesize_case(person, options.spacing, side=side, seed=options.seed + number)
            scan = Scan.of(case.image, case.labels).around_the_joint()
            for name in wanted:
                degraded = DAMAGES[name](scan, np.random.default_rng([options.seed, number]))
                run = {"person": path.stem, "damage": name, **segmented(degraded, joint, side, options.quality)}
                runs.append(as_strict_json(run))
                options.output.write_text(json.dumps(runs, indent=1), encoding="utf-8")
                print(f"{path.stem}, {name}: {summary(runs[-1])}", flush=True)
    return runs


def segmented(scan: Scan, joint: str, side: str, quality: str) -> dict[str, Any]:
    """Dice and quality features of every structure that is there or was found; or why the scan was refused."""
    image, truth = scan.images()
    try:
        case = ks.segment(image, pipeline=f"ct-{joint}", quality=quality, device="cpu", edge="cortex")
    except KneeSegError as error:
        return {"refused": str(error)}
    features = {found.structure.key: dataclasses.asdict(found.quality.features) for found in case.structures}
    agreements = evaluate(truth, case.labels)
    there = {found.structure for found in measure_structures(truth) if found.volume_mm3 / 1000.0 >= least_cm3(found)}
    expected = {bone.key for bone in there if bone.side == side and bone.tissue.key in JOINT_BONES[joint]}
    dice = {key: agreements[key].metrics["dice"] for key in expected | set(features)}
    dice = {key: 0.0 if math.isnan(value) else value for key, value in dice.items()}
    return {"dice": dice, "features": features, "warnings": case.warnings}


def least_cm3(found: FoundStructure) -> float:
    """Return the volume below which nobody has to find a bone at the scan's edge."""
    return LEAST_VOLUME_CM3.get(found.structure.tissue.key, 0.0)


@dataclass(frozen=True)
class Judged:
    """One structure of one run."""

    person: str
    damage: str
    key: str
    dice: float
    reasons: Sequence[str]

    @property
    def flagged(self) -> bool:
        return bool(self.reasons)

    @property
    def is_main(self) -> bool:
        return structure(self.key).tissue.key in MAIN_BONES


def judged(run: dict[str, Any]) -> Iterator[Judged]:
    """Apply this checkout's limits to the features of a run."""
    features = {
        key: QualityFeatures(**{name: math.nan if value is None else value for name, value in values.items()})
        for key, values in run.get("features", {}).items()
    }
    reasons = {key: assess_quality(structure(key), of_it).reasons for key, of_it in features.items()}
    for key, dice in run.get("dice", {}).items():
        if key not in reasons:
            missing = structure(key)
            told = tuple(warning for warning in run["warnings"] if missing.name.lower() in warning.lower())
            reasons[key] = told or reasons.get(other_side(missing), ())
        yield Judged(run["person"], run["damage"], key, dice, reasons[key])


def other_side(named: Structure) -> str:
    """Key of the same bone of the other leg; scans show one leg, so that it lies where this one was expected."""
    return structure(named.tissue.key, "left" if named.side == "right" else "right").key


def summary(run: dict[str, Any]) -> str:
    if "refused" in run:
        return f"refused ({run['refused']})"
    return ", ".join(f"{one.key} {one.dice:.3f}{' flagged' * one.flagged}" for one in judged(run))


def show(runs: Sequence[dict[str, Any]]) -> None:
    """Print the table, then every structure on which the flag is mistaken."""
    print(
        f"\n| damage | runs | refused | Dice < {WRONG} | flagged | Dice > {RIGHT} | flagged "
        f"| main bones < {MAIN_DICE} | flagged |\n|{' --- |' * 9}"
    )
    for damage in [*dict.fromkeys(run["damage"] for run in runs), "all"]:
        chosen = [run for run in runs if damage in (run["damage"], "all")]
        ones = [one for run in chosen for one in judged(run)]
        groups = (
            [one for one in ones if one.dice < WRONG],
            [one for one in ones if one.dice > RIGHT],
            [one for one in ones if one.is_main and one.dice < MAIN_DICE],
        )
        cells = [str(len(chosen)), str(sum("refused" in run for run in chosen))]
        for group in groups:
            cells += [str(len(group)), share(group)]
        print(f"| {damage} | {' | '.join(cells)} |")
    for one in (one for run in runs for one in judged(run)):
        missed = not one.flagged and (one.dice < WRONG or (one.is_main and one.dice < MAIN_DICE))
        if missed or (one.flagged and one.dice > RIGHT):
            print(
                f"{one.person}, {one.damage}, {one.key}: Dice {one.dice:.3f}; {' '.join(one.reasons) or 'not flagged'}"
            )


def share(group: Sequence[Judged]) -> str:
    return f"{np.mean([one.flagged for one in group]):.0%}" if group else "-"


if __name__ == "__main__":
    main()
