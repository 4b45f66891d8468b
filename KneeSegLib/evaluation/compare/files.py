"""The figures of a comparison as CSV, a row for each structure of each run, and as JSON with everything."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from KneeSegLib import __version__
from KneeSegLib.case_record import describe_software
from KneeSegLib.evaluation.compare.costs import SystemCost, summarize_costs
from KneeSegLib.evaluation.compare.running import Comparison, Run
from KneeSegLib.evaluation.compare.statistics import PairedTest, StructureFigures, compare_systems, summarize_runs
from KneeSegLib.io.strict_json import as_strict_json
from KneeSegLib.measurements.metrics import METRICS

COMPARISON_FORMAT = "KneeSeg comparison"
COMPARISON_FORMAT_VERSION = 1
"""Raised when a field changes its meaning or disappears; new fields do not raise it."""

STATEMENT = (
    "Networks that ship with KneeSeg were trained on synthetic images of real anatomy only. Research software, not a "
    "medical device."
)

_COLUMNS = ("case", "system", "failure", "reused", "structure", "side", "part", "presence", "reference_mm3",
            "prediction_mm3", *(metric.key for metric in METRICS), "seconds", "processor_seconds",
            "peak_memory_mib")  # fmt: skip


@dataclass(frozen=True)
class Results:
    """Everything that came out of a comparison."""

    comparison: Comparison
    runs: Sequence[Run]
    date: str
    figures: list[StructureFigures] = field(init=False)
    tests: list[PairedTest] = field(init=False)
    costs: list[SystemCost] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "figures", summarize_runs(self.runs))
        object.__setattr__(self, "tests", compare_systems(self.figures))
        object.__setattr__(self, "costs", summarize_costs(self.comparison.systems, self.runs))


def write_csv(results: Results) -> str:
    """Return the figures as CSV; what is undefined is ``NaN``, what was not recorded is empty."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for run in results.runs:
        cost = run.cost
        took = [
            f"{cost.seconds:.2f}", f"{cost.processor_seconds:.2f}", f"{cost.peak_memory_bytes / 2**20:.0f}"
        ] if cost else ["", "", ""]  # fmt: skip
        start = [run.case, run.system.name, run.failure, "yes" if run.reused else "no"]
        if run.failure:
            writer.writerow([*start, *[""] * (len(_COLUMNS) - len(start) - len(took)), *took])
        for entry in run.measured:
            found = entry.agreement
            values = [_number(found.metrics[metric.key]) for metric in METRICS]
            writer.writerow(
                [*start, found.structure.tissue.key, found.structure.side, entry.part, found.presence,
                 f"{found.reference_mm3:.3f}", f"{found.prediction_mm3:.3f}", *values, *took]
            )  # fmt: skip
    return text.getvalue()


def write_json(results: Results) -> str:
    """Return everything as strict JSON; what is undefined is null."""
    return json.dumps(as_strict_json(describe_results(results)), indent=1, allow_nan=False) + "\n"


def describe_results(results: Results) -> dict[str, Any]:
    """Return the record of a comparison."""
    comparison = results.comparison
    return {
        "format": COMPARISON_FORMAT,
        "format_version": COMPARISON_FORMAT_VERSION,
        "statement": STATEMENT,
        "date": results.date,
        "version": __version__,
        "software": describe_software(),
        "definitions": {metric.key: metric.definition for metric in METRICS},
        "undefined": "null: the structure is missing in the reference or in the prediction",
        "reference_edge": comparison.edge or None,
        "cases": [case.name for case in comparison.cases],
        "systems": [_describe_cost(cost) for cost in results.costs],
        "runs": [_describe_run(run) for run in results.runs],
        "summary": [
            {
                "part": entry.part,
                "structure": entry.tissue.key,
                "system": system.system,
                "expected": system.expected,
                "found": system.found,
                "failed": system.failed,
                "added": system.added,
                "metrics": system.spreads,
            }
            for entry in results.figures
            for system in entry.systems
            if system.expected
        ],
        "tests": {
            "test": "Wilcoxon signed-rank, two-sided, paired by case; corrected by Holm over all tests of a metric",
            "pairs": results.tests,
        },
    }


def _describe_cost(cost: SystemCost) -> dict[str, Any]:
    system = cost.system
    return {
        "name": system.name,
        "pipeline": system.pipeline,
        "options": dict(system.options),
        "folder": system.folder,
        "labels": system.meaning.text or None,
        "edge": system.own_edge or None,
        "cases": system.cases,
        "runs": cost.runs,
        "failed": cost.failed,
        "reused": cost.reused,
        "device": cost.device or None,
        "seconds": cost.seconds,
        "processor_seconds": cost.processor_seconds,
        "peak_memory_mib": cost.peak_memory_mib,
        "training_seconds": cost.training_seconds,
    }


def _describe_run(run: Run) -> dict[str, Any]:
    return {
        "case": run.case,
        "system": run.system.name,
        "failure": run.failure or None,
        "reused": run.reused,
        "date": run.date or None,
        "cost": run.cost,
        "notes": run.notes,
        "structures": [entry.as_record() for entry in run.measured],
    }


def _number(value: float) -> str:
    return "NaN" if value != value else f"{value:.6g}"
