"""``kneeseg export``: saved cases in the formats of archives, planning systems and other programs."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from KneeSegLib.cli.options import Overwrite, Progress, require_existing, stream_of
from KneeSegLib.cli.stream import ProgressMode
from KneeSegLib.io.label_meaning import LABELS_HELP

if TYPE_CHECKING:
    from rich.console import Console

CASE_COMMAND = "case"


class ExportName(str, Enum):
    """Formats of saved cases."""

    dicom_seg = "dicom-seg"
    rtstruct = "rtstruct"
    encapsulated_stl = "encapsulated-stl"
    nifti = "nifti"
    nrrd = "nrrd"
    nnunet = "nnunet"


class SegmentsChoice(str, Enum):
    """How a DICOM segmentation holds its voxels."""

    binary = "binary"
    labelmap = "labelmap"


class CaseUnlessNamed(TyperGroup):
    """A group that takes what is no command of its own for the arguments of ``case``."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        named = bool(args) and (args[0] in self.commands or args[0] in ctx.help_option_names)
        return super().parse_args(ctx, args if named or not args else [CASE_COMMAND, *args])


app = typer.Typer(cls=CaseUnlessNamed, no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def _export() -> None:
    """Write saved cases in the formats of others.

    kneeseg export CASE --to FORMAT -o FOLDER

    The options are those of the command case, whose name may be left out: see kneeseg export case --help.
    """


@app.command(CASE_COMMAND)
def case(
    context: typer.Context,
    cases: Annotated[
        list[Path], typer.Argument(metavar="CASE...", help="Result folders, or segmentation files (.seg.nrrd).")
    ],
    to: Annotated[ExportName, typer.Option("--to", help="The format.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the files; is created.")],
    source: Annotated[
        Path | None,
        typer.Option(
            metavar="PLACE",
            help="DICOM, nnunet: folder where the DICOM series lies now that the case was made from; "
            "nnunet, one case: its image file too.",
        ),
    ] = None,
    segments: Annotated[
        SegmentsChoice, typer.Option(help="dicom-seg: a frame of bits for each segment, or one map of label values.")
    ] = SegmentsChoice.binary,
    onto_source: Annotated[
        bool,
        typer.Option(
            "--onto-source", help="dicom-seg: bring labels with other voxels than the images onto those of the images."
        ),
    ] = False,
    anonymise: Annotated[
        bool,
        typer.Option("--anonymise", help="DICOM: leave out who the patient is; a new study, apart from the images."),
    ] = False,
    labels: Annotated[str | None, typer.Option(help=LABELS_HELP)] = None,
    overwrite: Overwrite = False,
    progress: Progress = ProgressMode.bar,
) -> None:
    """Write saved cases, corrected or not, in another format.

    dicom-seg, rtstruct and encapsulated-stl are DICOM objects that refer to the series the case was made from. nifti
    and nrrd are plain label maps with a table of their values, nnunet is a data set to train on.
    """
    stream = stream_of(context)
    for place in cases:
        require_existing(place)
    from KneeSegLib.io.writing import reserve_folder

    context.with_resource(reserve_folder(output, overwrite))
    from KneeSegLib.exporting.export import ExportRequest, export_cases
    from KneeSegLib.io.label_meaning import LabelMeaning

    meaning = LabelMeaning.parse(labels)
    request = ExportRequest(to.value, source, segments.value, onto_source, anonymise, overwrite, meaning)
    written = export_cases(cases, output, request, stream.progress)
    for note in written.notes:
        stream.warning(note)

    def show(console: Console) -> None:
        for name in written.files:
            console.print(str(written.folder / name), soft_wrap=True, markup=False)

    record = {"folder": str(output.resolve()), "format": to.value, "files": list(written.files)}
    stream.result(record, show)
