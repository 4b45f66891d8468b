"""``kneeseg segment``: from an image to a result folder."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from KneeSegLib import TRAINING_STATEMENT
from KneeSegLib.cli.choices import (
    EDGE_HELP,
    QUALITY_HELP,
    Device,
    EdgeName,
    ModalityName,
    PipelineName,
    QualityName,
    SideName,
    StageName,
)
from KneeSegLib.cli.opinion_table import show_second_opinion
from KneeSegLib.cli.options import CancelOnStdinClose, KeepDescription, Overwrite, Progress, require_existing, stream_of
from KneeSegLib.cli.stream import ProgressMode, Stream
from KneeSegLib.edges.measurement import EDGE_MEANINGS, MEASURED_EDGE
from KneeSegLib.errors import InputError
from KneeSegLib.mr.low_field.settings import CubeMerging, ViewFusion
from KneeSegLib.pipelines.table import AUTO, CUBE_MERGING_CHOICES, NNUNET, STAGES, VIEW_FUSION_CHOICES
from KneeSegLib.progress import split_progress

if TYPE_CHECKING:
    from rich.console import Console

    from KneeSegLib.case import Case


SHARE_OF_SEGMENTING = 8
SHARE_OF_SAVING = 2


def segment(
    context: typer.Context,
    input: Annotated[Path, typer.Argument(help="DICOM folder, or a DICOM, NRRD, NIfTI or MetaImage file.")],
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Folder for the result; is created.")] = None,
    pipeline: Annotated[PipelineName, typer.Option(help="See `kneeseg pipelines`.")] = AUTO,
    side: Annotated[SideName, typer.Option(help="Which leg; auto takes what is in view.")] = "auto",
    quality: Annotated[QualityName, typer.Option(help=QUALITY_HELP)] = "standard",
    device: Device = "auto",
    series: Annotated[
        str | None, typer.Option(help="Which series of a DICOM folder: its number, UID or description.")
    ] = None,
    modality: Annotated[
        ModalityName, typer.Option(help="What the image is, where its file does not say it or says it wrong.")
    ] = "auto",
    spacing: Annotated[
        str | None,
        typer.Option(
            metavar="X,Y,Z",
            help="Distances of columns, rows and slices in mm, where the file does not say them or says them wrong.",
        ),
    ] = None,
    orientation: Annotated[
        str | None,
        typer.Option(help="Where columns, rows and slices lead, as LPS; likewise."),
    ] = None,
    stop_after: Annotated[StageName, typer.Option(help="MR: the last stage to run, to look at it alone.")] = STAGES[-1],
    nnunet: Annotated[
        Path | None, typer.Option(help="Run this trained nnU-Net v2 folder (pipeline nnunet; extra nnunet).")
    ] = None,
    mapping: Annotated[
        str | None,
        typer.Option(help="nnU-Net: what its labels are, a mapping file or the name of one that comes with KneeSeg."),
    ] = None,
    mirroring: Annotated[
        bool,
        typer.Option(
            help="nnU-Net: look at the image mirrored too, where the model was trained so; 4 or 8 times as long."
        ),
    ] = True,
    trust_checkpoint: Annotated[
        bool, typer.Option("--trust-checkpoint", help="nnU-Net: let checkpoint and plans execute what they like.")
    ] = False,
    second_opinion: Annotated[
        str | None,
        typer.Option(help="Run another pipeline or nnU-Net folder too, and flag structures on which they disagree."),
    ] = None,
    models: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Networks of your own (kneeseg train --bundles), taken before ours."),
    ] = None,
    edge: Annotated[EdgeName | None, typer.Option(help=EDGE_HELP, show_default=False)] = None,
    view_fusion: Annotated[
        ViewFusion, typer.Option(help="Low-field MR: how three views become one.")
    ] = VIEW_FUSION_CHOICES[0],
    cube_merging: Annotated[
        CubeMerging, typer.Option(help="Low-field MR: how overlapping cubes become one.")
    ] = CUBE_MERGING_CHOICES[0],
    closing_mm: Annotated[
        float | None,
        typer.Option(help="Low-field MR: radius of the ball that bones are closed with; 0 for none."),
    ] = None,
    keep_description: KeepDescription = False,
    list_series: Annotated[
        bool, typer.Option("--list-series", help="List the series of a DICOM folder and do nothing else.")
    ] = False,
    overwrite: Overwrite = False,
    progress: Progress = ProgressMode.bar,
    cancel_on_stdin_close: CancelOnStdinClose = False,
) -> None:
    """Label the bones in a scan, in MR cartilage too.

    The result folder holds segmentation.seg.nrrd (opens in 3D Slicer), surfaces/*.stl, report.html and case.json.
    """
    stream = stream_of(context)
    require_existing(input)
    if list_series:
        _show_series(input, stream, keep_description)
        return
    if output is None:
        raise InputError("Say where the result goes: kneeseg segment INPUT -o FOLDER.")
    from KneeSegLib.io.writing import reserve_folder

    context.with_resource(reserve_folder(output, overwrite))
    from KneeSegLib.segmentation import segment as run

    segmenting, saving = split_progress(stream.progress, (SHARE_OF_SEGMENTING, SHARE_OF_SAVING))
    case = run(
        input,
        pipeline=NNUNET if nnunet is not None and pipeline == AUTO else pipeline,
        side=side,
        quality=quality,
        device=device,
        series=series,
        keep_description=keep_description,
        modality=modality,
        spacing=spacing,
        orientation=orientation,
        stop_after=stop_after,
        nnunet=str(nnunet) if nnunet is not None else None,
        mapping=mapping,
        mirroring=mirroring,
        trust_checkpoint=trust_checkpoint,
        second_opinion=second_opinion,
        models=str(models) if models is not None else None,
        edge=edge,
        view_fusion=view_fusion,
        cube_merging=cube_merging,
        closing_mm=closing_mm,
        progress=segmenting,
    )
    case.save(output, overwrite=overwrite, progress=saving)
    from KneeSegLib.report.content import collect_notes

    for sentence in [*collect_notes(case), *case.warnings]:
        stream.warning(sentence)
    stream.result(result_record(case, output), lambda console: show_case(console, case, output))


def result_record(case: Case, folder: Path) -> dict[str, Any]:
    """Return what a calling program wants to know of a saved case; ``case.json`` in the folder has everything."""
    return {
        "folder": str(folder.resolve()),
        "structures": [
            {
                **({"scan": scan.name} if len(case.scans) > 1 else {}),
                "key": found.structure.key,
                "name": found.structure.name,
                "label_value": found.structure.label_value,
                "volume_mm3": round(found.volume_mm3, 3),
                "voxels": found.voxels,
                "touches_border": found.touches_border,
                "quality": found.quality.level if found.quality else None,
                "warnings": found.warnings,
                "edge": dataclasses.asdict(found.edge) if found.edge else None,
            }
            for scan in case.scans
            for found in scan.structures
        ],
        "edge": case.provenance.get("edge"),
    }


def show_case(console: Console, case: Case, folder: Path) -> None:
    """Print what was found and where it lies."""
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    several = len(case.scans) > 1
    if several:
        table.add_column("Scan")
    table.add_column("Structure", no_wrap=True)
    table.add_column("Volume (cm3)", justify="right")
    measured = any(found.edge for scan in case.scans for found in scan.structures)
    if measured:
        table.add_column("Half-maximum (mm)", justify="right")
    table.add_column("Quality")
    table.add_column("Remarks")
    for scan, found in [(part, entry) for part in case.scans for entry in part.structures]:
        remarks = [*([found.extent] if found.extent != "whole" else []), *found.warnings]
        quality = found.quality.name if found.quality else ""
        distance = [found.edge.description if found.edge else ""] if measured else []
        own = [scan.name] if several else []
        volume = f"{found.volume_mm3 / 1000:.1f}"
        table.add_row(*own, found.structure.name, volume, *distance, quality, "; ".join(remarks))
    console.print(table)
    if (edge := case.provenance.get("edge")) is not None:
        console.print(f"Bones end {EDGE_MEANINGS[edge]}.", soft_wrap=True, markup=False)
    if measured:
        console.print(MEASURED_EDGE, style="dim", soft_wrap=True, markup=False)
    if case.second_opinion is not None:
        show_second_opinion(console, case.second_opinion)
    console.print(f"Result: {folder}", soft_wrap=True, markup=False)
    console.print(f"Report: {folder / 'report.html'}", soft_wrap=True, markup=False)
    console.print(case.provenance.get("statement", TRAINING_STATEMENT), style="dim", soft_wrap=True, markup=False)


def _show_series(folder: Path, stream: Stream, keep_description: bool) -> None:
    from KneeSegLib.io.dicom_series import list_series

    found = list_series(folder, keep_description)
    record = {
        "series": [
            {
                "number": series.number,
                **({"uid": series.uid} if keep_description else {}),
                "description": series.description,
                "modality": series.modality,
                "slices": series.slices,
                "size": list(series.size),
                "spacing_mm": list(series.spacing),
            }
            for series in found
        ]
    }

    def show(console: Console) -> None:
        for series in found:
            console.print(str(series), soft_wrap=True, markup=False)
        console.print("Choose one with --series NUMBER.", style="dim")

    stream.result(record, show)
