"""``kneeseg batch``: many scans in one run."""

from __future__ import annotations

from collections.abc import Container
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from KneeSegLib.cli.choices import (
    EDGE_HELP,
    QUALITY_HELP,
    Device,
    EdgeName,
    ModalityName,
    PipelineName,
    QualityName,
    SideName,
)
from KneeSegLib.cli.options import CancelOnStdinClose, KeepDescription, Progress, stream_of
from KneeSegLib.cli.stream import ProgressMode
from KneeSegLib.errors import Cancelled, InputError, PartialFailure
from KneeSegLib.pipelines.table import AUTO, NNUNET, PIPELINES

if TYPE_CHECKING:
    from rich.console import Console

    from KneeSegLib.batch.summary import BatchSummary


def batch(
    context: typer.Context,
    inputs: Annotated[
        list[str], typer.Argument(help="Folders, DICOM trees, image files, patterns in quotes, or tables (.csv).")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the results; is created or gone on with.")],
    pipeline: Annotated[PipelineName, typer.Option(help="See `kneeseg pipelines`.")] = AUTO,
    side: Annotated[SideName, typer.Option(help="Which leg; auto takes what is in view.")] = "auto",
    quality: Annotated[QualityName, typer.Option(help=QUALITY_HELP)] = "standard",
    device: Device = "auto",
    modality: Annotated[
        ModalityName, typer.Option(help="What images are whose files do not say it; DICOM does.")
    ] = "auto",
    edge: Annotated[EdgeName | None, typer.Option(help=EDGE_HELP, show_default=False)] = None,
    nnunet: Annotated[
        Path | None, typer.Option(help="Run this trained nnU-Net v2 folder (pipeline nnunet; extra nnunet).")
    ] = None,
    mapping: Annotated[str | None, typer.Option(help="nnU-Net: what its labels are, see kneeseg segment.")] = None,
    second_opinion: Annotated[
        str | None, typer.Option(help="Run another pipeline or nnU-Net folder too, see kneeseg segment.")
    ] = None,
    models: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Networks of your own (kneeseg train --bundles), taken before ours."),
    ] = None,
    all_series: Annotated[
        bool, typer.Option("--all-series", help="Segment every series of a DICOM study, not only the largest.")
    ] = False,
    keep_description: KeepDescription = False,
    workers: Annotated[
        int | None,
        typer.Option(min=1, help="Processes on this machine; as many as it has cores and memory for, if not given."),
    ] = None,
    threads: Annotated[int, typer.Option(min=1, help="Threads of each worker; results may depend on it.")] = 1,
    scheduler: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help="Use the workers of this dask scheduler instead, as tcp://host:8786."),
    ] = None,
    progress: Progress = ProgressMode.bar,
    cancel_on_stdin_close: CancelOnStdinClose = False,
) -> None:
    """Segment many scans and tell what to check first.

    The folder holds a case for each scan, tables and a gallery.
    The same command goes on where it was stopped, and tries again what failed. The exit status is 0 where every scan
    was segmented and 7 where some failed; what was segmented is there either way.
    """
    stream = stream_of(context)
    if scheduler is not None and workers is not None:
        raise InputError("The workers of a scheduler are started with it; leave --workers or --scheduler out.")
    from KneeSegLib.batch.cluster import connect_to_scheduler, count_workers, require_dask, start_workers

    require_dask()
    from KneeSegLib.batch.inputs import find_scans
    from KneeSegLib.batch.plan import open_plan
    from KneeSegLib.batch.running import run_batch
    from KneeSegLib.io.label_mapping import shipped_mappings
    from KneeSegLib.io.writing import reserve_folder

    folder = output.expanduser().resolve()
    context.with_resource(reserve_folder(folder, overwrite=True))
    options: dict[str, Any] = {
        "pipeline": NNUNET if nnunet is not None and pipeline == AUTO else pipeline,
        "side": side,
        "quality": quality,
        "device": device,
        "modality": modality,
        "keep_description": keep_description,
        "edge": edge,
        "nnunet": str(nnunet.resolve()) if nnunet is not None else None,
        "mapping": _make_absolute(mapping, shipped_mappings()),
        "second_opinion": _make_absolute(second_opinion, PIPELINES),
        "models": str(models.resolve()) if models is not None else None,
    }
    plan = open_plan(folder, find_scans(inputs, folder, all_series, stream.progress), options)
    wanted = workers or min(count_workers(threads), len(plan.scans))
    connected = connect_to_scheduler(scheduler) if scheduler is not None else start_workers(wanted, threads)
    try:
        with connected as client:
            stream.note(f"Progress of every worker: {client.dashboard_link}")
            summary = run_batch(plan, client, threads, stream.progress)
    except Cancelled:
        raise Cancelled(
            f"Cancelled; the cases that were finished are in {folder}, and the same command goes on from there."
        ) from None
    stream.result(_describe(summary), lambda console: _show(console, summary))
    failed = summary.count("failed")
    if failed:
        raise PartialFailure(
            f"{failed} of {len(plan.scans)} scans could not be segmented; why stands in {folder / 'summary.csv'}, and "
            "the same command tries them again."
        )


def _make_absolute(place: str | None, names: Container[str]) -> str | None:
    """Return the absolute path of what is there, since workers may stand in another folder; a name as it is."""
    if place is None or place in names:
        return place
    path = Path(place).expanduser()
    return str(path.resolve()) if path.exists() else place


def _describe(summary: BatchSummary) -> dict[str, Any]:
    return {
        "folder": str(summary.plan.folder),
        "scans": [
            {
                "name": row.name,
                "source": row.source,
                "series": row.series,
                "state": row.outcome.state,
                "to_check": [entry["key"] for entry in row.flagged],
                "error": row.outcome.error or None,
                "exit_status": row.outcome.exit_status,
            }
            for row in summary.rows()
        ],
    }


def _show(console: Console, summary: BatchSummary) -> None:
    rows = summary.rows()
    for row in rows:
        if row.outcome.state == "failed":
            console.print(f"{row.name}: {row.outcome.error}", soft_wrap=True, markup=False, style="red")
    flagged = sum(bool(row.flagged) for row in rows)
    console.print(f"{summary.count('done')} of {len(rows)} scans segmented, {flagged} of them to be checked.")
    console.print(f"Gallery: {summary.plan.folder / 'index.html'}", soft_wrap=True, markup=False)
