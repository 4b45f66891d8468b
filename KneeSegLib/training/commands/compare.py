"""``kneeseg compare``: systems beside each other on cases with references."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from KneeSegLib.cli.choices import EdgeName
from KneeSegLib.cli.options import Progress, stream_of
from KneeSegLib.cli.stream import ProgressMode

if TYPE_CHECKING:
    from rich.console import Console

    from KneeSegLib.evaluation.compare.files import Results
    from KneeSegLib.evaluation.compare.systems import System


SHOWN_METRICS = ("dice", "assd_mm", "hd95_mm", "nsd_1mm")


def compare(
    context: typer.Context,
    cases: Annotated[
        Path, typer.Argument(help="Folder of images/ and references labels/, as `kneeseg synthesize` writes it.")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the comparison; one that exists goes on.")],
    system: Annotated[
        list[str] | None,
        typer.Option(
            metavar="[NAME=]PIPELINE|FOLDER[,KEY=VALUE]...",
            help="What to compare, once for each: a pipeline with options of `kneeseg segment`, or a folder of label "
            "maps with labels=MAPPING. edge=CONVENTION says where it draws the edge.",
        ),
    ] = None,
    labels: Annotated[
        str | None,
        typer.Option(help='What the references\' values stand for: "5=femur_right,...", or a label mapping.'),
    ] = None,
    edge: Annotated[EdgeName | None, typer.Option(help="Where the references draw the edge of a bone.")] = None,
    progress: Progress = ProgressMode.bar,
) -> None:
    """Compare systems on the same cases.

    The output holds compare.html (one page with tables, tests, box plots, Bland-Altman plots and error maps),
    compare.csv, compare.json and, in runs/, each result. Every run of a pipeline is a process of its own, so that time
    and peak memory are its own. A run that is done is not done again by a later call with the same output; one that
    fails is listed, and the comparison goes on.

    kneeseg compare cases -o comparison --system fast=ct-knee,quality=fast --system theirs=predictions --edge cortex
    """
    stream = stream_of(context)
    from KneeSegLib.evaluation.compare.systems import parse_systems

    systems = parse_systems(system or [])
    for entry in systems:
        check_segment_options(entry)
    from KneeSegLib.evaluation.compare.cases import find_cases
    from KneeSegLib.io.label_meaning import LabelMeaning

    found, meaning = find_cases(cases), LabelMeaning.parse(labels)
    from KneeSegLib.evaluation.compare.comparing import PAGE_NAME
    from KneeSegLib.evaluation.compare.comparing import compare as run
    from KneeSegLib.evaluation.compare.files import describe_results
    from KneeSegLib.evaluation.compare.remarks import list_remarks
    from KneeSegLib.evaluation.compare.running import Comparison
    from KneeSegLib.io.strict_json import as_strict_json
    from KneeSegLib.io.writing import reserve_folder

    context.with_resource(reserve_folder(output, overwrite=True))
    results = run(Comparison(found, systems, output, meaning, edge or ""), stream.progress)
    for sentence in list_remarks(results):
        stream.warning(sentence)

    def show(console: Console) -> None:
        _show(console, results)
        console.print(f"Page: {output / PAGE_NAME}", soft_wrap=True, markup=False)

    stream.result({"folder": str(output.resolve()), **as_strict_json(describe_results(results))}, show)


def check_segment_options(system: System) -> None:
    """Raise unless ``kneeseg segment`` would take the options of a pipeline; a folder has none.

    Raises:
        InputError: it knows no such option, or not such a value.
    """
    if system.pipeline is None:
        return
    from KneeSegLib.cli.options import Session
    from KneeSegLib.cli.segment import segment
    from KneeSegLib.errors import InputError
    from KneeSegLib.evaluation.compare.process import list_options
    from KneeSegLib.failures import as_known_error

    alone = typer.Typer(add_completion=False)
    alone.command()(segment)
    try:
        typer.main.get_command(alone).make_context("segment", ["IMAGE", *list_options(system)], obj=Session())
    except Exception as error:
        known = as_known_error(error)
        if known is None:
            raise
        complaint = str(known).removesuffix(" See the command's --help.")
        raise InputError(
            f"The system {system.name} cannot be run. {complaint} Its options are those of kneeseg segment --help."
        ) from error


def _show(console: Console, results: Results) -> None:
    """Print the means; the page has everything else."""
    from rich import box
    from rich.table import Table

    from KneeSegLib.evaluation.compare.page import format_number
    from KneeSegLib.measurements.metrics import METRICS

    shown = [metric for metric in METRICS if metric.key in SHOWN_METRICS]
    for entry in results.figures:
        if entry.part != "whole" and not entry.is_own_part:
            continue
        where = "" if entry.part == "whole" else f" at the {entry.part}"
        table = Table(title=f"{entry.tissue.name.capitalize()}{where}, means", title_justify="left",
                      title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)  # fmt: skip
        table.add_column("System", overflow="fold")
        for heading in ("Found in", *(metric.title for metric in shown)):
            table.add_column(heading, justify="right", no_wrap=True)
        for system in filter(lambda system: system.expected, entry.systems):
            values = [format_number(system.spreads[metric.key].mean, metric.digits) for metric in shown]
            table.add_row(system.system, f"{system.found} of {system.expected}", *values)
        console.print(table)
