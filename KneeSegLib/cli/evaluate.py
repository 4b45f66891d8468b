"""``kneeseg evaluate``: how well segmentations agree with their references."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from KneeSegLib.cli.options import Overwrite, Progress, stream_of
from KneeSegLib.cli.stream import ProgressMode
from KneeSegLib.errors import OutputError
from KneeSegLib.progress import split_progress

if TYPE_CHECKING:
    from rich.console import Console

MOST_NOTES = 4
"""Remarks on files that are shown; of folders of many cases each would have the same."""


def evaluate(
    context: typer.Context,
    reference: Annotated[
        Path, typer.Argument(help="Label map or result folder that is right, or a folder of several.")
    ],
    prediction: Annotated[Path, typer.Argument(help="Label map or result folder to judge, or a folder of several.")],
    labels: Annotated[
        str | None,
        typer.Option(help='What the values of the reference stand for, if not ours: "5=femur_right,6=tibia_right".'),
    ] = None,
    prediction_labels: Annotated[
        str | None,
        typer.Option("--prediction-labels", help="What the values of the prediction stand for, if not ours."),
    ] = None,
    within_reference: Annotated[
        bool, typer.Option("--within-reference", help="Judge only inside the box that holds the reference's labels.")
    ] = False,
    json_file: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Write everything to this file as well.")
    ] = None,
    overwrite: Overwrite = False,
    progress: Progress = ProgressMode.bar,
) -> None:
    """Compare segmentations with references.

    Prints Dice, surface distances and more for each structure; for several cases also mean, deviation, median and IQR.
    Both are label maps (.seg.nrrd, .nrrd, .nii.gz, .mha), result folders, or folders of several with the same names.
    """
    if json_file is not None and json_file.exists() and not overwrite:
        raise OutputError(f"{json_file} exists already; choose another name or replace it with --overwrite.")
    from KneeSegLib.io.label_maps import parse_labels, read_noted_label_map
    from KneeSegLib.measurements.comparison import evaluate as compare
    from KneeSegLib.measurements.pairs import pairs_of
    from KneeSegLib.measurements.summary import as_json

    stream = stream_of(context)
    table = parse_labels(labels) if labels is not None else None
    prediction_table = parse_labels(prediction_labels) if prediction_labels is not None else None
    pairs = pairs_of(reference, prediction)
    cases = {}
    notes: list[str] = []
    for pair, watch in zip(pairs, split_progress(stream.progress, [1] * len(pairs)), strict=True):
        watch(0.0, f"Reading {pair.case}")
        expected, of_reference = read_noted_label_map(pair.reference, table)
        predicted, of_prediction = read_noted_label_map(pair.prediction, prediction_table, "--prediction-labels")
        notes += [*of_reference, *of_prediction]
        cases[pair.case] = compare(expected, predicted, within_reference=within_reference, progress=watch)

    for note in notes[:MOST_NOTES]:
        stream.warning(note)
    if len(notes) > MOST_NOTES:
        stream.warning(f"{len(notes) - MOST_NOTES} more remarks of these kinds are not shown.")
    record = as_json(cases)
    if json_file is not None:
        _write_json(record, json_file)

    def show(console: Console) -> None:
        from KneeSegLib.cli.agreement_tables import print_case, print_summary

        for case, agreements in cases.items():
            print_case(console, agreements, title=case)
        if len(cases) > 1:
            print_summary(console, cases)

    stream.result(record, show)


def _write_json(record: dict[str, Any], path: Path) -> None:
    import json

    from KneeSegLib.io.writing import write_whole

    with write_whole(path) as unfinished:
        unfinished.write_text(json.dumps(record, indent=2, allow_nan=False) + "\n", encoding="utf-8")
