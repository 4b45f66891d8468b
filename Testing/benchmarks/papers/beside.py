"""Ours beside what the papers printed, where our texts of them hold a value; nothing is measured anew.

    python Testing/benchmarks/papers/beside.py docs/measured/*.json work/held_out*.json work/vnet.json

Ours are read from the JSON of the benchmarks (``held_out.py``, ``held_out_mr.py``, ``papers/vnet.py``); where none of
the files holds a figure it says "not measured". What the papers compared within themselves is trained by::

    kneeseg train as-published-ct-femur-vnet --set volume.input=image ...      # image instead of gradient
    kneeseg train as-published-mr-knee-slices --set mr.boundary_gain=0 ...     # no distance-weighted loss
    kneeseg train as-published-ct-knee-resnet --set encoder=plain ...          # no ResNet50V2
    python Testing/benchmarks/papers/patches.py                                # number of patches along cartilage
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))  # this checkout, whatever is installed

from published import PAPERS, Figure, Paper

from KneeSegLib.evaluation.cohorts import Cohort, read_cohorts
from KneeSegLib.measurements.metrics import METRICS

METRIC = {metric.key: metric for metric in METRICS}


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("measured", type=Path, nargs="*", help="JSON files of benchmarks")
    cohorts = [cohort for path in arguments.parse_args().measured for cohort in read_cohorts(path)]
    for paper in PAPERS:
        print(f"\n{describe_paper(paper, cohorts)}")


def describe_paper(paper: Paper, cohorts: Sequence[Cohort]) -> str:
    """Return a paper's figures with ours beside them, as a table in Markdown."""
    lines = [f"## {paper.title}", "", f"Not the same data: {paper.data}", ""]
    if paper.figures:
        lines += ["| | metric | published, real | ours |", "| --- | --- | --- | --- |"]
        lines += [
            f"| {figure.of} | {METRIC[figure.metric].title} | {figure.published} | {find_ours(figure, cohorts)} |"
            for figure in paper.figures
        ]
        lines.append("")
    return "\n".join([*lines, f"Time, as published: {paper.times}"])


def find_ours(figure: Figure, cohorts: Sequence[Cohort]) -> str:
    """Return our mean ± SD for a published figure, and on what; the last cohort that holds it counts.

    A cohort of just that name goes before those with more to their name ("knee" before "knee, second simulator").
    """
    named = [cohort for cohort in cohorts if cohort.name.startswith(f"{figure.cohort}, ")]
    for cohort in reversed([*named, *(cohort for cohort in cohorts if cohort.name == figure.cohort)]):
        summary = cohort.summary.get(figure.structure)
        if summary is not None and figure.metric in summary.metrics:
            spread, digits = summary.metrics[figure.metric], METRIC[figure.metric].digits
            return f"{spread.mean:.{digits}f} ± {spread.sd:.{digits}f} ({cohort.images}, {spread.count} {cohort.unit})"
    return "not measured"


if __name__ == "__main__":
    main()
