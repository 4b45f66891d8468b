"""``kneeseg synthesize``: anatomy prepared for synthesis, and whole synthetic scans with their truth."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from KneeSegLib.anatomy import BoneEdge
from KneeSegLib.cli.options import Overwrite, Progress, require_existing, stream_of
from KneeSegLib.cli.stream import ProgressMode, Stream
from KneeSegLib.errors import InputError
from KneeSegLib.progress import report_each

if TYPE_CHECKING:
    from rich.console import Console

    from KneeSegLib.training.synthesis.cases import SyntheticCase


class JointName(str, Enum):
    """What prepared anatomy shows."""

    knee = "knee"
    ankle = "ankle"
    hip = "hip"
    body = "body"
    mr_knee = "mr-knee"


class GroupName(str, Enum):
    """Subjects that are trained on, those that a training is validated on, and those that it never sees."""

    train = "train"
    validation = "validation"
    test = "test"


class SideName(str, Enum):
    """Which leg a joint belongs to."""

    right = "right"
    left = "left"


def synthesize(
    context: typer.Context,
    source: Annotated[Path, typer.Argument(help="Prepared anatomy, file or folder; with --prepare the data pack.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for what is made.")],
    prepare: Annotated[
        bool, typer.Option("--prepare", help="Prepare anatomy from the data pack instead; files that exist are kept.")
    ] = False,
    joint: Annotated[
        JointName | None, typer.Option(help="Only this joint (default: all of CT; mr-knee is prepared by itself).")
    ] = None,
    group: Annotated[GroupName | None, typer.Option(help="Only subjects of this group (default: all).")] = None,
    count: Annotated[int | None, typer.Option(min=1, help="No more than so many cases (of each joint).")] = None,
    spacing: Annotated[float, typer.Option(min=0.2, max=5.0, help="Voxel spacing within a slice, mm.")] = 0.8,
    slice_spacing: Annotated[
        float | None, typer.Option(min=0.2, max=10.0, help="Distance of slices, mm; a multiple of the spacing.")
    ] = None,
    side: Annotated[SideName, typer.Option(help="Which leg.")] = SideName.right,
    seed: Annotated[int, typer.Option(help="The same seed gives the same images.")] = 0,
    recipe: Annotated[
        str | None, typer.Option(help="Of MR: images as this training recipe makes them (mr-low-field, ...).")
    ] = None,
    edge: Annotated[BoneEdge, typer.Option(help="Of MR: where bones end in the labels.")] = "cortex",
    overwrite: Overwrite = False,
    progress: Progress = ProgressMode.bar,
) -> None:
    """Render synthetic CT and knee MR of real anatomy.

    MR is rendered of knees that were prepared for it.

    The output holds images/NAME.nrrd and the labels they were made from, labels/NAME.nrrd. `kneeseg evaluate
    OUTPUT/labels RESULTS` compares these with results of the same names.

    With --prepare it holds anatomy to render from, JOINT_GROUP_PERSON.npz, and for CT a picture of each, .png; the
    options for side and spacing have no meaning then. Knees for MR need a folder of their own.
    """
    stream = stream_of(context)
    require_existing(source)
    from KneeSegLib.training.freed_memory import keep_freed_memory

    keep_freed_memory()
    if prepare:
        _prepare(source, output, joint, group, count, seed, stream)
    else:
        files = _chosen(source, joint, group, count)
        _require_mr(files, recipe, edge)

        def make(path: Path) -> SyntheticCase:
            if _is_mr(path):
                return _mr_case(path, recipe, edge, spacing, slice_spacing, side, seed)
            return _ct_case(path, spacing, slice_spacing, side, seed)

        _render(files, output, make, side, overwrite, stream)


def _prepare(
    source: Path,
    output: Path,
    joint: JointName | None,
    group: GroupName | None,
    count: int | None,
    seed: int,
    stream: Stream,
) -> None:
    wanted_group = group.value if group else None
    if joint is JointName.mr_knee:
        from KneeSegLib.training.synthesis.mr.prepare import prepare_mr_knees

        paths = prepare_mr_knees(source, output, wanted_group, count, seed, stream.progress)
    else:
        from KneeSegLib.training.synthesis.prepare import JOINTS, Selection, prepare_subjects

        joints = [joint.value] if joint else JOINTS
        selection = Selection(joints, wanted_group, count, seed)
        paths = prepare_subjects(source, output, selection, stream.progress)

    def show(console: Console) -> None:
        console.print(f"{len(paths)} prepared cases in {output}", soft_wrap=True, markup=False)

    stream.result({"folder": str(output.resolve()), "files": [path.name for path in paths]}, show)


def _chosen(source: Path, joint: JointName | None, group: GroupName | None, count: int | None) -> list[Path]:
    """Return the prepared files that the options mean; their names begin with joint and group."""
    if source.is_file():
        return [source]
    wanted_joint, wanted_group = joint.value if joint else "*", group.value if group else "*"
    per_joint: dict[str, list[Path]] = {}
    for path in sorted(source.rglob(f"{wanted_joint}_{wanted_group}_*.npz")):
        found_joint, found_group, _ = path.name.split("_", 2)
        if found_group in GroupName.__members__:
            per_joint.setdefault(found_joint, []).append(path)
    chosen = [path for paths in per_joint.values() for path in paths[:count]]
    if not chosen:
        raise InputError(
            f"{source} holds no such prepared anatomy; make it with kneeseg synthesize DATA -o FOLDER --prepare."
        )
    return chosen


def _render(
    files: list[Path],
    output: Path,
    make: Callable[[Path], SyntheticCase],
    side: SideName,
    overwrite: bool,
    stream: Stream,
) -> None:
    from KneeSegLib.io.image_files import write_image
    from KneeSegLib.io.writing import write_folder

    records: list[dict[str, Any]] = []
    with write_folder(output, overwrite=overwrite) as unfinished:
        for folder in ("images", "labels"):
            (unfinished / folder).mkdir()
        for path in report_each(files, stream.progress, "Synthetic scans"):
            case = make(path)
            write_image(case.image, unfinished / "images" / f"{path.stem}.nrrd")
            write_image(case.labels, unfinished / "labels" / f"{path.stem}.nrrd")
            records.append({"case": path.stem, "subject": case.subject, "group": case.group, "side": side.value})

    def show(console: Console) -> None:
        for record in records:
            console.print(f"{record['case']}  ({record['group']})", markup=False)
        console.print(f"Images and labels: {output}", soft_wrap=True, markup=False)

    stream.result({"folder": str(output.resolve()), "cases": records}, show)


def _is_mr(path: Path) -> bool:
    return path.name.startswith(JointName.mr_knee.value)


def _require_mr(files: list[Path], recipe: str | None, edge: BoneEdge) -> None:
    """Raise unless every file is of MR, where an option is of MR alone."""
    if (recipe is not None or edge != "cortex") and not all(map(_is_mr, files)):
        raise InputError(
            "--recipe or --edge was given, which are of MR alone, and some of the anatomy is prepared for CT; "
            f"add --joint {JointName.mr_knee.value}."
        )


def _mr_case(
    path: Path,
    recipe: str | None,
    edge: BoneEdge,
    spacing_mm: float,
    slices_mm: float | None,
    side: SideName,
    seed: int,
) -> SyntheticCase:
    """The MR of one prepared knee."""
    from KneeSegLib.training.recipe_files import read_recipe
    from KneeSegLib.training.synthesis.mr.cases import MrSeries, synthesize_mr_case
    from KneeSegLib.training.synthesis.mr.settings import SLICE_SPACING_MM, MrSynthesis
    from KneeSegLib.training.synthesis.mr.subjects import read_knee_file

    synthesis = MrSynthesis() if recipe is None else read_recipe(recipe).synthesis
    if not isinstance(synthesis, MrSynthesis):
        raise InputError(f"The recipe {recipe} makes images of CT, and {path.name} is prepared for MR; name one of MR.")
    series = MrSeries(spacing_mm, slices_mm or SLICE_SPACING_MM, side.value, seed, synthesis, edge)
    return synthesize_mr_case(read_knee_file(path), series)


def _ct_case(path: Path, spacing_mm: float, slices_mm: float | None, side: SideName, seed: int) -> SyntheticCase:
    """The CT of one prepared subject."""
    from KneeSegLib.training.synthesis.anatomy_file import Anatomy
    from KneeSegLib.training.synthesis.cases import synthesize_case
    from KneeSegLib.training.synthesis.subjects import PreparedSubject

    return synthesize_case(PreparedSubject(Anatomy.load(path)), spacing_mm, slices_mm, side.value, seed)
