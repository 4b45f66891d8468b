"""``kneeseg shape-model``: statistical shape models of the bones of the knee, from label maps."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from KneeSegLib.cli.options import CancelOnStdinClose, Overwrite, Progress, require_existing, stream_of
from KneeSegLib.cli.stream import ProgressMode
from KneeSegLib.errors import OutputError
from KneeSegLib.io.label_meaning import LABELS_HELP
from KneeSegLib.progress import split_progress

if TYPE_CHECKING:
    from rich.console import Console

app = typer.Typer(help="Build a shape model of a bone, or show one.", rich_markup_mode=None)


class BoneName(str, Enum):
    """The bones that a shape model can be made of."""

    femur = "femur"
    tibia = "tibia"
    patella = "patella"


FEMUR_AND_TIBIA = [BoneName.femur, BoneName.tibia]


class ModeFormat(str, Enum):
    """File formats of the modes."""

    vtp = "vtp"
    ply = "ply"


@app.command()
def build(
    context: typer.Context,
    label_maps: Annotated[
        list[Path], typer.Argument(metavar="LABELS", help="Label maps or result folders, three at least.")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="MODEL", help="File for the model.")],
    bone: Annotated[
        list[BoneName], typer.Option("--bone", help="Which bone; give it again for several.")
    ] = FEMUR_AND_TIBIA,
    labels: Annotated[str | None, typer.Option(help=LABELS_HELP)] = None,
    source: Annotated[
        list[str] | None,
        typer.Option("--source", metavar="NAME (LICENCE)", help="Where the label maps are from; again for several."),
    ] = None,
    points: Annotated[int, typer.Option(min=50, max=20000, help="Points on each bone.")] = 2000,
    spacing: Annotated[float, typer.Option(min=0.4, max=5.0, help="Voxel edge for registration, mm.")] = 1.0,
    overwrite: Overwrite = False,
    progress: Progress = ProgressMode.bar,
    cancel_on_stdin_close: CancelOnStdinClose = False,
) -> None:
    """Build a shape model from label maps.

    The case most like the others is the reference; points on its surface are carried to every other case by an affine
    and a diffeomorphic registration. Cases that cannot be registered are told and left out. Left knees are mirrored.
    """
    if output.exists() and not overwrite:
        raise OutputError(f"{output} exists already; choose another name or replace it with --overwrite.")
    for path in label_maps:
        require_existing(path)
    from KneeSegLib.io.label_meaning import LabelMeaning
    from KneeSegLib.shape.model_file import write_shape_models
    from KneeSegLib.training.shape_models.build import build as build_model
    from KneeSegLib.training.shape_models.build import require_enough
    from KneeSegLib.training.shape_models.cases import read_cases
    from KneeSegLib.training.shape_models.tables import build_as_json, print_build, print_model

    stream = stream_of(context)
    bones = list(dict.fromkeys(name.value for name in bone))
    reading, *building = split_progress(stream.progress, (1, *[4] * len(bones)))
    cases = read_cases(label_maps, bones, spacing, LabelMeaning.parse(labels), reading)
    for name in bones:  # before an hour is spent on the first one
        require_enough(name, cases[name])
    builds = [
        build_model(name, cases[name], source or (), points, progress=watch) for name, watch in zip(bones, building)
    ]
    if not source:
        stream.warning("No source is named (--source), so the model does not say whose data and licence it stands on.")
    write_shape_models({made.model.bone: made.model for made in builds}, output, overwrite)

    def show(console: Console) -> None:
        for made in builds:
            print_build(console, made)
            print_model(console, made.model)
        console.print(f"Model: {output}", soft_wrap=True, markup=False)

    records = [build_as_json(made) for made in builds]
    stream.result({"model": str(output.resolve()), "bones": records}, show)


@app.command()
def show(
    context: typer.Context,
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="File from `kneeseg shape-model build`.")],
    modes_folder: Annotated[
        Path | None, typer.Option("--modes", metavar="FOLDER", help="Write mean and modes (+-2 SD) as surfaces here.")
    ] = None,
    count: Annotated[int, typer.Option(min=1, help="So many modes.")] = 3,
    format: Annotated[ModeFormat, typer.Option(help="File format of the surfaces.")] = ModeFormat.vtp,
    overwrite: Overwrite = False,
    progress: Progress = ProgressMode.bar,
) -> None:
    """Print what a shape model is made of and how good it is, and write its modes as surfaces."""
    from KneeSegLib.shape.model_file import read_shape_models
    from KneeSegLib.training.shape_models.tables import model_as_json, print_model

    stream = stream_of(context)
    models = read_shape_models(model)
    record: dict[str, Any] = {"bones": [model_as_json(entry) for entry in models.values()]}
    if modes_folder is not None:
        from KneeSegLib.io.writing import write_folder
        from KneeSegLib.training.shape_models.modes import write_modes

        with write_folder(modes_folder, overwrite=overwrite) as unfinished:
            written = [
                path.name for entry in models.values() for path in write_modes(entry, unfinished, count, format.value)
            ]
        record.update(folder=str(modes_folder.resolve()), surfaces=written)

    def show_models(console: Console) -> None:
        for entry in models.values():
            print_model(console, entry)
        if modes_folder is not None:
            console.print(f"{len(record['surfaces'])} surfaces: {modes_folder}", soft_wrap=True, markup=False)

    stream.result(record, show_models)
