"""Which cases the page shows, and where each system is wrong in them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from KneeSegLib.anatomy import STRUCTURES, Structure
from KneeSegLib.errors import InputError, ResourceError
from KneeSegLib.evaluation.compare.agreement import WHOLE
from KneeSegLib.evaluation.compare.running import Comparison, Run, read_prediction, read_reference
from KneeSegLib.evaluation.settings import MOST_CASES_SHOWN
from KneeSegLib.io.volume import read_volume
from KneeSegLib.measurements.comparison import check_same_grid
from KneeSegLib.progress import Progress, report_each
from KneeSegLib.report.error_maps import ErrorCase, draw_error_case
from KneeSegLib.report.error_slices import JudgedPrediction

if TYPE_CHECKING:
    from pathlib import Path

    import SimpleITK as sitk

    from KneeSegLib.io.volume import Volume


def draw_error_cases(comparison: Comparison, runs: Sequence[Run], progress: Progress) -> list[ErrorCase]:
    """Draw the error maps of the worst case of each system, as many as :data:`MOST_CASES_SHOWN` allows."""
    judged = {name: _find_judged(name, runs) for name in dict.fromkeys(run.system.name for run in runs)}
    worst = find_worst_cases(runs, judged)
    drawn = []
    for name in report_each(list(worst), progress, "Error maps"):
        case = next(case for case in comparison.cases if case.name == name)
        reference, _ = read_reference(comparison, case)
        predictions = [
            JudgedPrediction(run.system.name, read_prediction(run, reference)[0], judged[run.system.name])
            for run in runs
            if run.case == name and not run.failure
        ]
        title = f"{name}: the worst case of {' and '.join(worst[name])}"
        drawn.append(draw_error_case(title, reference, predictions, _read_image(case.image, reference)))
    return drawn


def find_worst_cases(runs: Sequence[Run], judged: dict[str, frozenset[Structure]]) -> dict[str, list[str]]:
    """Return cases, at most :data:`MOST_CASES_SHOWN`, and the systems of which each is the one with the lowest Dice.

    The Dice is the mean over the structures that the system is judged by; one that it missed counts 0 here.
    """
    worst: dict[str, list[str]] = {}
    for name, structures in judged.items():
        means = {
            run.case: float(np.mean(found))
            for run in runs
            if run.system.name == name and (found := _dices(run, structures))
        }
        if means:
            worst.setdefault(min(means, key=lambda case: means[case]), []).append(name)
    return dict(list(worst.items())[:MOST_CASES_SHOWN])


def _find_judged(name: str, runs: Sequence[Run]) -> frozenset[Structure]:
    """Return what a system is judged by: tissues that it labels and that the references have, in any of the cases."""
    found, expected = set(), set()
    for run in runs:
        for entry in run.measured:
            tissue = entry.agreement.structure.tissue
            if entry.agreement.presence != "prediction only":
                expected.add(tissue)
            if entry.agreement.presence != "reference only" and run.system.name == name:
                found.add(tissue)
    return frozenset(entry for entry in STRUCTURES if entry.tissue in found & expected)


def _dices(run: Run, structures: frozenset[Structure]) -> list[float]:
    agreements = [entry.agreement for entry in run.measured if entry.part == WHOLE]
    values = [
        agreement.metrics["dice"]
        for agreement in agreements
        if agreement.structure in structures and agreement.presence != "prediction only"
    ]
    return [0.0 if math.isnan(value) else value for value in values]


def _read_image(path: Path | None, reference: sitk.Image) -> Volume | None:
    """The image of a case, to draw on; None where there is none, it cannot be read, or its voxels are others."""
    try:
        volume = read_volume(path) if path is not None else None
        if volume is not None:
            check_same_grid(reference, volume.image, "image")
        return volume
    except (InputError, ResourceError):
        return None
