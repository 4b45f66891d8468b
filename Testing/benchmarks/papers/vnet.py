"""Femora by V-Net on subjects whom it was not trained on, with and without arteries full of contrast beside them.

    python Testing/benchmarks/papers/vnet.py --prepared work/subjects --output work/vnet.json

Knees of the group ``test`` (``--joint body``: whole legs, both of them, which takes minutes for each), every second
knee a left one, each rendered twice with the same seed: without such arteries and with them. Scored on the scan's own
grid; the paper scores on its coarse one. ``--pipeline ct-knee`` measures the same images with the slice networks.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parents[3]))  # this checkout, whatever is installed

from subjects import list_prepared_subjects

import KneeSegLib as ks
from KneeSegLib.bundles.own import find_own_or_shipped
from KneeSegLib.evaluation.cohorts import Cohort, checksums_of, write_cohorts
from KneeSegLib.evaluation.tables import table_of
from KneeSegLib.measurements.comparison import Agreement, evaluate
from KneeSegLib.measurements.summary import summarize
from KneeSegLib.pipelines.table import FEMUR_VNET_BUNDLE, PIPELINES
from KneeSegLib.training.synthesis.anatomy_file import Anatomy
from KneeSegLib.training.synthesis.cases import synthesize_case
from KneeSegLib.training.synthesis.settings import CtSynthesis
from KneeSegLib.training.synthesis.subjects import PreparedSubject

ARTERIES = {"without arteries": 0.0, "with arteries": 1.0}


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--prepared", type=Path, default=Path("work/subjects"))
    arguments.add_argument("--output", type=Path, default=Path("work/vnet.json"))
    arguments.add_argument("--pipeline", choices=("ct-femur-vnet", "ct-knee", "ct-leg"), default="ct-femur-vnet")
    arguments.add_argument("--models", metavar="FOLDER", help="networks of your own, taken before ours")
    arguments.add_argument("--joint", choices=("knee", "body"), default="knee")
    arguments.add_argument("--spacing", type=float, default=1.0, help="mm, in-plane and between slices")
    arguments.add_argument("--seed", type=int, default=8000)
    options = arguments.parse_args()
    torch.set_num_threads(2)
    cohorts = [measure(name, options) for name in ARTERIES]
    print(f"\n{table_of(cohorts)}")
    write_cohorts(cohorts, options.output)


def measure(name: str, options: argparse.Namespace) -> Cohort:
    """Return the figures of all femora of a joint, every leg called a right one."""
    cases: dict[str, dict[str, Agreement]] = {}
    synthesis = CtSynthesis()
    synthesis = replace(synthesis, soft=replace(synthesis.soft, angiography_probability=ARTERIES[name]))
    for number, path in enumerate(list_prepared_subjects(options.prepared, options.joint, "test")):
        side = "right" if options.joint == "body" or number % 2 == 0 else "left"
        subject = PreparedSubject(Anatomy.load(path))
        case = synthesize_case(subject, options.spacing, side=side, seed=options.seed + number, synthesis=synthesis)
        found = ks.segment(case.image, pipeline=options.pipeline, device="cpu", edge="cortex", models=options.models)
        for key, agreement in evaluate(case.labels, found.labels).items():
            if key.startswith("femur") and agreement.presence != "prediction only":
                cases[f"{path.stem} {key}"] = {"femur_right": agreement}
                print(f"{path.stem}, {key}, {name}: Dice {agreement.metrics['dice']:.4f}", flush=True)
    system = options.pipeline
    if system == FEMUR_VNET_BUNDLE:
        bundle, _ = find_own_or_shipped(FEMUR_VNET_BUNDLE, options.models)
        system = f"{system}, {bundle.spec.require_volume().input}"
    return Cohort(
        name=f"{system}, {options.joint}, {name}",
        images="synthetic",
        description=(
            f"CT at {options.spacing:g} mm of subjects of the group test, which no network was trained on, by the "
            f"renderer of the training images, {name} full of contrast (seed {options.seed}); pipeline "
            f"{options.pipeline}."
        ),
        unit="femora",
        count=len(cases),
        weights=checksums_of(PIPELINES[options.pipeline].bundles, options.models),
        summary=summarize(cases),
    )


if __name__ == "__main__":
    main()
