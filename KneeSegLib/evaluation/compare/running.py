"""Every case with every system, one run after the other; a run that fails is told and the next one begins."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from KneeSegLib.errors import Cancelled, InputError, KneeSegError
from KneeSegLib.evaluation.compare.agreement import PartAgreement, measure_parts
from KneeSegLib.evaluation.compare.cases import ReferenceCase
from KneeSegLib.evaluation.compare.process import Cost, run_pipeline
from KneeSegLib.evaluation.compare.records import (
    RunRecord,
    fingerprint_measuring,
    fingerprint_run,
    now,
    read_record,
    run_folder,
    write_record,
)
from KneeSegLib.evaluation.compare.systems import System
from KneeSegLib.io.label_maps import find_segmentation_file
from KneeSegLib.io.label_meaning import LabelMeaning
from KneeSegLib.measurements.pair_reading import find_only_side
from KneeSegLib.measurements.pairs import list_label_maps
from KneeSegLib.progress import Progress, narrow_progress

if TYPE_CHECKING:
    import SimpleITK as sitk


@dataclass(frozen=True)
class Comparison:
    """What is to be compared.

    Attributes:
        output: the folder that everything goes to.
        meaning: what the values of the references stand for.
        edge: the convention of the edge that the references follow; empty where nobody said it.
    """

    cases: Sequence[ReferenceCase]
    systems: Sequence[System]
    output: Path
    meaning: LabelMeaning = field(default_factory=LabelMeaning)
    edge: str = ""


@dataclass(frozen=True)
class Run:
    """One case with one system.

    Attributes:
        failure: why it came to no figures, in a sentence; empty where it did.
        reused: it was made, or of a prediction from elsewhere measured, by an earlier call; ``date`` says when.
        prediction: the label map.
    """

    system: System
    case: str
    failure: str = ""
    reused: bool = False
    date: str = ""
    prediction: Path | None = None
    cost: Cost | None = None
    measured: list[PartAgreement] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def run_all(comparison: Comparison, progress: Progress) -> list[Run]:
    """Run and measure every case with every system, the systems of a case one after the other.

    Raises:
        InputError: a system is for none of the cases.
        OutputError: a record cannot be written.
        Cancelled: raised by ``progress``; what is done is kept, and the next call goes on from there.
    """
    for system in comparison.systems:
        if not any(system.is_for(case.name) for case in comparison.cases):
            raise InputError(
                f"The system {system.name} is for cases called {system.cases!r}, and there is none; they are called "
                f"{comparison.cases[0].name!r} and so on."
            )
    planned = [(case, system) for case in comparison.cases for system in comparison.systems if system.is_for(case.name)]
    runs = []
    for case, system in planned:
        part = narrow_progress(progress, len(runs) / len(planned), (len(runs) + 1) / len(planned))
        runs.append(_run(comparison, case, system, _prefix(part, f"{case.name}, {system.name}: ")))
    return runs


def read_reference(comparison: Comparison, case: ReferenceCase) -> tuple[sitk.Image, list[str]]:
    """Return the reference of a case with KneeSeg's own label values, and notes on its file."""
    return comparison.meaning.read(case.reference, None, "--labels")


def read_prediction(run: Run, reference: sitk.Image) -> tuple[sitk.Image, list[str]]:
    """Return the label map of a run, likewise; a side that its labels do not tell is the reference's."""
    if run.prediction is None:
        raise InputError(f"The run of {run.case} with {run.system.name} has no label map.")
    return run.system.meaning.read(run.prediction, find_only_side(reference), "labels=")


def _run(comparison: Comparison, case: ReferenceCase, system: System, progress: Progress) -> Run:
    progress(0.0, "beginning")
    run = Run(system, case.name)
    kept = read_record(comparison.output, system, case.name)
    try:
        run, made_from = _predict(comparison, case, run, kept, progress)
        return _measure(comparison, case, run, made_from, kept)
    except Cancelled:
        raise
    except KneeSegError as error:
        return replace(run, failure=str(error))


def _predict(
    comparison: Comparison, case: ReferenceCase, run: Run, kept: RunRecord | None, progress: Progress
) -> tuple[Run, dict[str, object] | None]:
    """Find or make the label map; return the run with it, and what it was made from."""
    if run.system.folder is not None:
        predictions = list_label_maps(run.system.folder)
        if case.name not in predictions:
            raise InputError(f"{run.system.folder} has no prediction called {case.name}.")
        return replace(run, prediction=predictions[case.name]), None
    if case.image is None:
        raise InputError(f"The case {case.name} has no image of its name, which a pipeline needs.")
    folder = run_folder(comparison.output, run.system, case.name)
    made_from = fingerprint_run(run.system, case.image)
    if kept is not None and kept.made_from == made_from and kept.cost is not None and folder.is_dir():
        return replace(run, prediction=folder, cost=kept.cost, reused=True, date=kept.date), made_from
    cost = run_pipeline(run.system, case.image, folder, narrow_progress(progress, 0.0, 0.9))
    return replace(run, prediction=folder, cost=cost), made_from


def _measure(
    comparison: Comparison, case: ReferenceCase, run: Run, made_from: dict[str, object] | None, kept: RunRecord | None
) -> Run:
    if run.prediction is None:
        return run
    files = find_segmentation_file(case.reference), find_segmentation_file(run.prediction)
    measured_from = fingerprint_measuring(*files, (comparison.meaning.text, run.system.meaning.text))
    is_new = run.system.pipeline is not None and not run.reused
    if kept is not None and kept.measured_from == measured_from and not is_new:
        return replace(run, measured=kept.measured, notes=kept.notes, reused=True, date=kept.date)
    reference, of_reference = read_reference(comparison, case)
    prediction, of_prediction = read_prediction(run, reference)
    measured = measure_parts(reference, prediction)
    done = replace(run, measured=measured, notes=[*of_reference, *of_prediction], date=run.date or now())
    record = RunRecord(made_from, run.cost, measured_from, measured, done.date, done.notes)
    write_record(comparison.output, run.system, case.name, record)
    return done


def _prefix(progress: Progress, before: str) -> Progress:
    return lambda fraction, message: progress(fraction, before + message)
