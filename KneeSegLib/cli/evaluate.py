"""``kneeseg evaluate``: how well segmentations agree with their references."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from KneeSegLib.cli.options import Overwrite, Progress, stream_of
from KneeSegLib.cli.stream import ProgressMode
from KneeSegLib.errors import InputError, OutputError
from KneeSegLib.io.label_meaning import LABELS_HELP
from KneeSegLib.progress import split_progress

if TYPE_CHECKING:
    import SimpleITK as sitk
    from rich.console import Console

    from KneeSegLib.anatomy import Structure
    from KneeSegLib.report.error_maps import ErrorCase

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
        typer.Option(help=f"Of the reference: {LABELS_HELP}"),
    ] = None,
    prediction_labels: Annotated[
        str | None,
        typer.Option("--prediction-labels", help="The same of the prediction."),
    ] = None,
    within_reference: Annotated[
        bool, typer.Option("--within-reference", help="Judge only inside the box that holds the reference's labels.")
    ] = False,
    json_file: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Write everything to this file as well.")
    ] = None,
    error_maps: Annotated[
        Path | None,
        typer.Option("--error-maps", metavar="FILE", help="Write a page that shows where errors are to this file."),
    ] = None,
    image: Annotated[
        Path | None, typer.Option(help="Scan to draw error maps on, or a folder of scans named like the references.")
    ] = None,
    overwrite: Overwrite = False,
    progress: Progress = ProgressMode.bar,
) -> None:
    """Compare segmentations with references.

    Prints Dice, surface distances and more for each structure; for several cases also mean, deviation, median and IQR.
    Both are label maps (.seg.nrrd, .nrrd, .nii.gz, .mha, DICOM SEG), result folders, or folders of several with the
    same names.

    --error-maps draws false positives green and false negatives red on slices, and on surfaces how far they are off.
    """
    for path in (json_file, error_maps):
        if path is not None and path.exists() and not overwrite:
            raise OutputError(f"{path} exists already; choose another name or replace it with --overwrite.")
    if image is not None and error_maps is None:
        raise InputError("A scan is only drawn on error maps; say where they go with --error-maps FILE.html.")
    from KneeSegLib.io.label_meaning import LabelMeaning
    from KneeSegLib.measurements.comparison import evaluate as compare
    from KneeSegLib.measurements.pair_reading import read_pair
    from KneeSegLib.measurements.pairs import find_images, pairs_of
    from KneeSegLib.measurements.summary import as_json

    stream = stream_of(context)
    meaning, of_predictions = LabelMeaning.parse(labels), LabelMeaning.parse(prediction_labels)
    pairs = pairs_of(reference, prediction)
    images = find_images(image, [pair.case for pair in pairs]) if image is not None else {}
    cases = {}
    drawn: list[ErrorCase] = []
    notes: list[str] = []
    for pair, watch in zip(pairs, split_progress(stream.progress, [1] * len(pairs)), strict=True):
        watch(0.0, f"Reading {pair.case}")
        expected, predicted, remarks = read_pair(pair, meaning, of_predictions)
        notes += remarks
        cases[pair.case] = compare(expected, predicted, within_reference=within_reference, progress=watch)
        if error_maps is not None:
            watch(1.0, f"Drawing {pair.case}")
            structures = frozenset(agreement.structure for agreement in cases[pair.case].values())
            drawn.append(_draw(pair.case, expected, predicted, structures, images.get(pair.case)))

    for note in notes[:MOST_NOTES]:
        stream.warning(note)
    if len(notes) > MOST_NOTES:
        stream.warning(f"{len(notes) - MOST_NOTES} more remarks of these kinds are not shown.")
    record = as_json(cases)
    if json_file is not None:
        _write_json(record, json_file)
    if error_maps is not None:
        _write_error_maps(drawn, error_maps)

    def show(console: Console) -> None:
        from KneeSegLib.cli.agreement_tables import print_case, print_summary

        for case, agreements in cases.items():
            print_case(console, agreements, title=case)
        if len(cases) > 1:
            print_summary(console, cases)

    stream.result(record, show)


def _draw(
    case: str, expected: sitk.Image, predicted: sitk.Image, structures: frozenset[Structure], image: Path | None
) -> ErrorCase:
    from KneeSegLib.io.volume import read_volume
    from KneeSegLib.report.error_maps import draw_error_case
    from KneeSegLib.report.error_slices import JudgedPrediction

    volume = read_volume(image) if image is not None else None
    return draw_error_case(case, expected, [JudgedPrediction("", predicted, structures)], volume)


def _write_error_maps(cases: list[ErrorCase], path: Path) -> None:
    from KneeSegLib.io.writing import write_whole
    from KneeSegLib.report.error_maps import render_error_maps

    with write_whole(path) as unfinished:
        unfinished.write_text(render_error_maps(cases), encoding="utf-8", newline="\n")


def _write_json(record: dict[str, Any], path: Path) -> None:
    import json

    from KneeSegLib.io.writing import write_whole

    with write_whole(path) as unfinished:
        unfinished.write_text(json.dumps(record, indent=2, allow_nan=False) + "\n", encoding="utf-8")
