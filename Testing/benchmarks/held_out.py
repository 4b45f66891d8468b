"""Accuracy on subjects that no network was trained on: renders each, segments it, prints and saves the table.

    python Testing/benchmarks/held_out.py --prepared work/people --output work/held_out.json

People are those of the group ``test`` among the prepared ones (``kneeseg synthesize --prepare``); every second one is
rendered as a left leg. The images come from the same renderer as the training images: this measures how well the
networks learned what they were taught, on new anatomy, and not how well they do on real scans. ``--simulator other``
renders the same subjects in another way, which no network has seen. ``--disease osteoarthritis`` gives the same ones
severe osteoarthritis of the knee: tissue, noise and scanner stay those of the healthy images, so that pairs compare.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # this checkout's networks, whatever is installed

import other_simulator
from kept_cases import kept
from subjects import list_prepared_subjects

import KneeSegLib as ks
from KneeSegLib.anatomy import structure
from KneeSegLib.errors import KneeSegError
from KneeSegLib.evaluation.cohorts import Cohort, checksums_of, write_cohorts
from KneeSegLib.evaluation.tables import table_of
from KneeSegLib.measurements.comparison import Agreement, evaluate
from KneeSegLib.measurements.summary import summarize
from KneeSegLib.pipelines.table import PIPELINES, QUALITIES
from KneeSegLib.training.synthesis.anatomy_file import COARSE, Anatomy
from KneeSegLib.training.synthesis.cases import SyntheticCase, synthesize_case
from KneeSegLib.training.synthesis.osteoarthritis.settings import Osteoarthritis
from KneeSegLib.training.synthesis.settings import CtSynthesis
from KneeSegLib.training.synthesis.subjects import PreparedSubject

DISEASES = {
    "none": CtSynthesis(),
    "osteoarthritis": CtSynthesis(osteoarthritis=Osteoarthritis(probability=1.0)),
}
SEEDS_OF_IMAGE = 100
SIMULATORS = {"own": "the renderer of the training images", "other": "a second simulator"}


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--prepared", type=Path, default=Path("work/people"))
    arguments.add_argument("--output", type=Path, default=Path("work/held_out.json"))
    arguments.add_argument("--simulator", choices=tuple(SIMULATORS), default="own")
    arguments.add_argument("--group", choices=("test", "validation"), default="test")
    arguments.add_argument("--models", metavar="FOLDER", help="networks of your own, taken before ours")
    arguments.add_argument("--quality", choices=tuple(QUALITIES), default="standard")
    arguments.add_argument("--joint", choices=("hip", "knee", "ankle"), action="append")
    arguments.add_argument("--spacing", type=float, default=0.7, help="mm, in-plane and between slices")
    arguments.add_argument("--seed", type=int, default=8000)
    arguments.add_argument("--disease", choices=tuple(DISEASES), default="none", help="of knees")
    arguments.add_argument("--height", type=float, help="mm of the leg around the middle of its prepared box")
    arguments.add_argument("--images", type=int, default=1, help="of each person")
    arguments.add_argument("--keep", type=Path, metavar="FOLDER", help="rendered images are kept there, and used again")
    options = arguments.parse_args()
    if options.disease != "none" and (options.simulator == "other" or options.joint != ["knee"]):
        arguments.error("--disease is of knees by the own simulator: give --joint knee as well, and no --simulator.")
    torch.set_num_threads(2)
    cohorts = [measured(joint, options) for joint in options.joint or ("hip", "knee", "ankle")]
    write_cohorts(cohorts, options.output)
    print(f"\nFull figures: {options.output}")


def measured(joint: str, options: argparse.Namespace) -> Cohort:
    """Figures of one joint's pipeline over its subjects, sides pooled by calling every leg a right one.

    Distances and overlaps are means over the subjects in which a structure was found at all; the table says how many.
    """
    cases: dict[str, dict[str, Agreement]] = {}
    subjects = list_prepared_subjects(options.prepared, joint, options.group)
    flagged: dict[str, list[float]] = {}
    silent: dict[str, list[float]] = {}
    for image, (number, path) in product(range(options.images), enumerate(subjects)):
        side = ("right", "left")[(number + image) % 2]
        truth = rendered(path, side, options.seed + SEEDS_OF_IMAGE * image + number, options)
        started = time.perf_counter()
        try:
            found = ks.segment(
                truth.image,
                pipeline=f"ct-{joint}",
                quality=options.quality,
                device="cpu",
                edge="cortex",
                models=options.models,
            )
        except KneeSegError as error:
            print(f"{path.stem} ({side}): {error}")
            continue
        seconds = time.perf_counter() - started
        agreements = evaluate(truth.labels, found.labels)
        cases[f"{path.stem}-{image}"] = {_as_right(key): value for key, value in agreements.items()}
        for one in found.structures:
            told = flagged if one.quality.level == "check" else silent
            told.setdefault(_as_right(one.structure.key), []).append(agreements[one.structure.key].metrics["dice"])
        row = "  ".join(f"{k} {v.metrics['dice']:.4f}/{v.metrics['assd_mm']:.2f}" for k, v in agreements.items())
        print(f"{path.stem} ({side}, {seconds:.0f} s): {row}", flush=True)
    for name, told in (("flagged", flagged), ("not flagged", silent)):
        print(f"{name}: " + "; ".join(f"{key} {np.round(sorted(dice), 3)}" for key, dice in told.items()))
    cohort = Cohort(
        name=", ".join([joint, *([f"severe {options.disease}"] if options.disease != "none" else []),
                        *(["second simulator"] if options.simulator == "other" else []),
                        *([f"quality {options.quality}"] if options.quality != "standard" else [])]),
        images="synthetic",
        description=describe(joint, options),
        unit="subjects" if options.images == 1 else "images",
        count=len(subjects) * options.images,
        weights=checksums_of(
            (*PIPELINES[f"ct-{joint}"].bundles, *QUALITIES[options.quality].bundles), options.models
        ),
        summary=summarize(cases),
    )  # fmt: skip
    print(f"\n{table_of([cohort])}", flush=True)
    return cohort


def describe(joint: str, options: argparse.Namespace) -> str:
    """What was measured, and on what."""
    height = f", {options.height:g} mm high," if options.height else ""
    disease = ", with severe osteoarthritis" if options.disease == "osteoarthritis" else ""
    return (
        f"CT at {options.spacing:g} mm{height} of subjects of the group {options.group}, which no network was trained "
        f"on, by {SIMULATORS[options.simulator]}{disease}, every second one a left leg (seed {options.seed}); pipeline "
        f"ct-{joint}, quality {options.quality}."
    )


def rendered(path: Path, side: str, seed: int, options: argparse.Namespace) -> SyntheticCase:
    """A case of a prepared person by the simulator that was asked for."""

    def make() -> SyntheticCase:
        subject = PreparedSubject(cut_to(Anatomy.load(path), options.height))
        if options.simulator == "other":
            return other_simulator.simulate(subject, options.spacing, side=side, seed=seed)
        return synthesize_case(subject, options.spacing, side=side, seed=seed, synthesis=DISEASES[options.disease])

    disease = "" if options.disease == "none" else f"_{options.disease}"
    height = f"_{options.height:g}mm-high" if options.height else ""
    name = f"{path.stem}_{side}_{options.simulator}{disease}{height}_{options.spacing:g}mm_{seed}"
    return kept(options.keep, name, path.stem, options.group, make)


def cut_to(anatomy: Anatomy, height_mm: float | None) -> Anatomy:
    """So much of a subject's height, around the middle."""
    blocks = len(anatomy.far)
    spare = blocks - round(height_mm / (COARSE * anatomy.spacing_mm[0])) if height_mm else 0
    if spare <= 0:
        return anatomy
    first, last = spare // 2, blocks - (spare - spare // 2)
    fine, coarse = slice(COARSE * first, COARSE * last), slice(first, last)
    return replace(
        anatomy, nearest=anatomy.nearest[fine], sdf=anatomy.sdf[fine], cortex=anatomy.cortex[coarse],
        far=anatomy.far[coarse],
    )  # fmt: skip


def _as_right(key: str) -> str:
    bone, _, side = key.rpartition("_")
    return structure(bone, "right").key if side == "left" else key


if __name__ == "__main__":
    main()
