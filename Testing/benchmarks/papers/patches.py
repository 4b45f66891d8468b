"""The number of patches along cartilage against accuracy: the paper took 100 and 30, and more gained nothing.

    python Testing/benchmarks/papers/patches.py --prepared work/subjects_mr --patches 25 50 100 200

Synthetic knees of the group ``test`` by ``mr-knee``, with so many patches on the femur at most, and 0.3 times as many
on the tibia. Prints the mean Dice of both cartilages for each number.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from types import MappingProxyType

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))  # this checkout, whatever is installed

from KneeSegLib.assembly import assemble_case
from KneeSegLib.io.volume import Volume
from KneeSegLib.measurements.comparison import evaluate
from KneeSegLib.measurements.summary import summarize
from KneeSegLib.mr.settings import PLACING, PatchPlacing
from KneeSegLib.pipelines.mr_knee import MrKnee
from KneeSegLib.pipelines.request import Request
from KneeSegLib.pipelines.table import PIPELINES
from KneeSegLib.training.synthesis.mr.cases import MrSeries, synthesize_mr_case
from KneeSegLib.training.synthesis.mr.subjects import read_knees

CARTILAGES = ("femoral_cartilage_right", "tibial_cartilage_right")
TIBIA = 0.3
"""Patches on the tibia for each on the femur."""
APART_MM = 2.0
"""Least distance of patches: so little that the number alone decides."""


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--prepared", type=Path, default=Path("work/subjects_mr"))
    arguments.add_argument("--patches", type=int, nargs="+", default=[25, 50, 100, 200])
    arguments.add_argument("--models", metavar="FOLDER", help="networks of your own, taken before ours")
    arguments.add_argument("--count", type=int, default=6, help="no more than so many knees")
    options = arguments.parse_args()
    torch.set_num_threads(2)
    knees = read_knees(options.prepared, "test")[: options.count]
    cases = [synthesize_mr_case(knee, MrSeries(seed=number)) for number, knee in enumerate(knees)]
    for patches in options.patches:
        agreements = {}
        for number, case in enumerate(cases):
            volume = Volume(case.image, source=case.subject, modality="MR", side="right")
            found = assemble_case(volume, pipeline_with(patches, options.models).segment(volume))
            agreements[str(number)] = evaluate(case.labels, found.labels)
        summary = summarize(agreements)
        row = ", ".join(f"{key} {summary[key].metrics['dice'].mean:.4f}" for key in CARTILAGES)
        print(f"{patches} patches, Dice over {len(cases)} knees: {row}", flush=True)


def pipeline_with(patches: int, models: str | None = None) -> MrKnee:
    """Return the pipeline with so many patches on the femur at most, and networks of a folder before ours."""
    most = MappingProxyType({**PLACING.most, "femur": patches, "tibia": round(TIBIA * patches)})
    pipeline = MrKnee(
        PIPELINES["mr-knee"],
        Request("mr-knee", side="right", device="cpu", models=models),
    )
    pipeline.placing = PatchPlacing(most, apart_mm=APART_MM)
    return pipeline


if __name__ == "__main__":
    main()
