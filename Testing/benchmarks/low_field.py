"""Accuracy and time of ``mr-low-field`` on subjects that no network was trained on; prints and saves the tables.

    python Testing/benchmarks/low_field.py --prepared work/people_mr --output work/low_field.json

Knees of the group ``test`` as a 0.3 T scanner shows them (synthetic; the recipe's contrasts), isotropic, every second
one a left knee. Labels end where marrow does, or with ``--edge cortex`` where the cortex does; each is compared with a
run of the same edge. ``--case`` names ways to run, as options of :class:`~KneeSegLib.pipelines.request.Request`, whose
rows stand side by side: the paper's ablations (one view or three, how views and cubes become one, closing).
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # this checkout's networks, whatever is installed

from kept_cases import kept

import KneeSegLib as ks
from KneeSegLib.anatomy import BONE_EDGES, SIDES, structure
from KneeSegLib.evaluation.cohorts import Cohort, checksums_of, write_cohorts
from KneeSegLib.evaluation.tables import table_of
from KneeSegLib.measurements.comparison import evaluate
from KneeSegLib.measurements.summary import summarize
from KneeSegLib.pipelines.table import PIPELINES
from KneeSegLib.training.recipe_files import read_recipe
from KneeSegLib.training.synthesis.mr.cases import MrSeries, synthesize_mr_case
from KneeSegLib.training.synthesis.mr.subjects import read_knees

WAYS = {
    "default": {},
    "one-view": {"quality": "fast"},
    "paper": {"quality": "high", "view_fusion": "or", "cube_merging": "or"},
    "majority": {"view_fusion": "majority"},
    "no-closing": {"closing_mm": 0.0},
}
"""Options of a run, by the name of ``--case``."""


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--prepared", type=Path, default=Path("work/people_mr"))
    arguments.add_argument("--output", type=Path, default=Path("work/low_field.json"))
    arguments.add_argument("--models", metavar="FOLDER", help="a network of your own, instead of the shipped one")
    arguments.add_argument("--edge", choices=BONE_EDGES, default=BONE_EDGES[0])
    arguments.add_argument("--spacing", type=float, default=0.5, help="mm, of cubic voxels")
    arguments.add_argument("--case", choices=tuple(WAYS), action="append", help="default: default")
    arguments.add_argument("--count", type=int)
    arguments.add_argument("--seed", type=int, default=9500)
    arguments.add_argument("--keep", type=Path, metavar="FOLDER", help="rendered images are kept there, and used again")
    options = arguments.parse_args()
    torch.set_num_threads(2)
    synthesis = read_recipe("mr-low-field").mr_synthesis
    found: dict[str, dict] = {way: {} for way in options.case or ["default"]}
    for number, person in enumerate(read_knees(options.prepared, "test")[: options.count]):
        side, seed = SIDES[number % 2], options.seed + number
        series = MrSeries(options.spacing, options.spacing, side, seed, synthesis, options.edge)
        name = f"{person.name}_{side}_low_field_{options.edge}_{options.spacing:g}mm_{seed}"
        truth = kept(options.keep, name, person.name, "test", lambda p=person, s=series: synthesize_mr_case(p, s))
        for way, cases in found.items():
            started = time.perf_counter()
            case = ks.segment(
                truth.image,
                pipeline="mr-low-field",
                side=side,
                device="cpu",
                edge=options.edge,
                models=options.models,
                **WAYS[way],
            )
            seconds = time.perf_counter() - started
            agreements = {
                key: value
                for key, value in evaluate(truth.labels, case.labels).items()
                if key.rpartition("_")[0] in ("femur", "tibia", "patella")
            }
            cases[name] = {structure(k.rpartition("_")[0], "right").key: value for k, value in agreements.items()}
            row = "  ".join(f"{key.rpartition('_')[0]} {v.metrics['dice']:.3f}" for key, v in agreements.items())
            print(f"{name}, {way}, {seconds:.0f} s: {row}", flush=True)
    weights = checksums_of(PIPELINES["mr-low-field"].bundles, options.models)
    cohorts = [
        Cohort(
            name=f"low-field knee MR, {way}, edge {options.edge}",
            images="synthetic",
            description=(
                f"Low-field MR at {options.spacing:g} mm of subjects of the group test, which no network was trained "
                f"on, by the renderer of the training images (seed {options.seed}); labels end at the {options.edge}; "
                f"pipeline mr-low-field, {WAYS[way] or 'defaults'}."
            ),
            unit="scans",
            count=len(cases),
            weights=weights,
            summary=summarize(cases),
        )
        for way, cases in found.items()
    ]
    print(f"\n{table_of(cohorts)}")
    write_cohorts(cohorts, options.output)
    print(f"Full figures: {options.output}")


if __name__ == "__main__":
    main()
