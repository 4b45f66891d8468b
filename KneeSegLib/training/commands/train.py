"""``kneeseg train``: train one network by its recipe; stop and go on at will."""

from __future__ import annotations

import dataclasses
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from KneeSegLib.cli.choices import Device
from KneeSegLib.cli.options import CancelOnStdinClose, Progress, require_existing, stream_of
from KneeSegLib.cli.stream import ProgressMode, Stream
from KneeSegLib.errors import Cancelled, InputError

if TYPE_CHECKING:
    from rich.console import Console

    from KneeSegLib.bundles import Bundle
    from KneeSegLib.training.own_cases import OwnCases, Wanted
    from KneeSegLib.training.recipe import Recipe


class SideName(str, Enum):
    """Which leg cases show whose labels do not tell."""

    right = "right"
    left = "left"


def train(
    context: typer.Context,
    recipe: Annotated[str, typer.Argument(help="Name of a recipe that ships (ct-knee, ...) or a YAML file.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of the training; a started one is continued.")],
    prepared: Annotated[
        Path | None, typer.Option(help="Folder of anatomy from `kneeseg synthesize --prepare`: synthetic images.")
    ] = None,
    cases: Annotated[
        Path | None,
        typer.Option(help="Folder of your own images with label maps; with --prepared, synthetic ones are mixed in."),
    ] = None,
    layout: Annotated[
        str | None,
        typer.Option(help="Cases: the published collection that they are laid out as, or a YAML file of a layout."),
    ] = None,
    labels: Annotated[
        str | None,
        typer.Option(help='Cases: what labels stand for: a mapping, its file, or "1=femur_right,2=tibia_right".'),
    ] = None,
    side: Annotated[SideName | None, typer.Option(help="Cases: which leg, where labels do not tell.")] = None,
    fold: Annotated[
        str | None,
        typer.Option(metavar="K/N", help="Cases: cross-validation, validated on part K of N."),
    ] = None,
    synthetic: Annotated[
        float | None,
        typer.Option(min=0.0, max=1.0, help="Cases with --prepared: fraction of synthetic samples (default: half)."),
    ] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="Another number of steps than the recipe's.")] = None,
    seed: Annotated[int | None, typer.Option(help="Another seed than the recipe's.")] = None,
    entries: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="ENTRY=VALUE", help="Another entry of the recipe, such as losses.dice=0.5."),
    ] = None,
    bundles: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="When done, write the network here as a bundle of its name.")
    ] = None,
    start: Annotated[
        str | None,
        typer.Option("--from", metavar="BUNDLE", help="Start from weights: a network that ships, or a folder."),
    ] = None,
    device: Device = "auto",
    compiled: Annotated[
        bool,
        typer.Option("--compile", help="Compile first: takes a C++ compiler, about halves the time on a CPU."),
    ] = False,
    workers: Annotated[
        int, typer.Option(min=0, metavar="N", help="Render images in N further processes; beside a GPU all its cores.")
    ] = 0,
    time_limit: Annotated[
        float | None,
        typer.Option(min=1.0, metavar="SECONDS", help="Train for so long instead of a number of steps."),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a bundle that exists.")] = False,
    progress: Progress = ProgressMode.bar,
    cancel_on_stdin_close: CancelOnStdinClose = False,
) -> None:
    """Train a network on synthetic images or cases of yours.

    Run the same command again to continue.

    Cases: kneeseg train ct-knee --cases FOLDER --from ct-knee -o WORK --bundles MODELS, then kneeseg segment --models
    MODELS. docs/own_cases.md says how cases are laid out and labelled.

    On several GPUs: torchrun --nproc-per-node 4 -m KneeSegLib train RECIPE ...
    """
    stream = stream_of(context)
    if prepared is None and cases is None:
        raise InputError("Say what to train on: --prepared FOLDER of prepared anatomy, --cases FOLDER, or both.")
    if cases is None and not (layout is labels is side is fold is synthetic is None):
        raise InputError("The options --layout, --labels, --side, --fold and --synthetic belong to --cases FOLDER.")
    if synthetic and prepared is None:
        raise InputError("Synthetic samples are made of prepared anatomy; give its folder with --prepared.")
    if steps is not None and time_limit is not None:
        raise InputError("A training ends after --steps or by its --time-limit; give one of them.")
    for path in (prepared, cases):
        if path is not None:
            require_existing(path)
    from KneeSegLib.io.writing import reserve_folder
    from KneeSegLib.networks.device import find_device
    from KneeSegLib.training.freed_memory import keep_freed_memory
    from KneeSegLib.training.loop import Running, Training
    from KneeSegLib.training.process_group import is_main_process
    from KneeSegLib.training.recipe_files import read_recipe

    keep_freed_memory()
    chosen = read_recipe(recipe, entries or (), steps=steps, seed=seed)
    beginning = _find_start(start) if start is not None else None
    bundle = bundles / chosen.name if bundles is not None else None
    if is_main_process():
        context.with_resource(reserve_folder(output, overwrite=True))
        if bundle is not None:
            context.with_resource(reserve_folder(bundle, overwrite))
    if cases is not None:
        chosen = _adapt(chosen, fine_tuned=beginning is not None)
        wanted = _understand(layout, labels, side, fold, prepared, synthetic)
        data = _read_cases(chosen, cases, output, wanted, stream)
        data = dataclasses.replace(data, start=beginning)
        for note in (*data.notes, *data.describe_absent(chosen)):
            stream.warning(note)
    else:
        assert prepared is not None
        data = prepared
    stream.progress(0.0, "Reading prepared anatomy" if cases is None else "Building the network")
    first = beginning.path if beginning is not None else None
    running = Running(find_device(device).torch_name, compiled, workers, time_limit)
    training = Training(chosen, data, output, running, first)
    try:
        training.run(lambda message: stream.progress(training.fraction, message))
    except (KeyboardInterrupt, Cancelled):
        whole = f" of {chosen.steps}" if time_limit is None else f", {100 * training.fraction:.0f} % of the time"
        next_run = (
            "goes on from the last checkpoint" if training.can_go_on else "begins anew, no checkpoint was saved yet"
        )
        raise Cancelled(f"Stopped at step {training.step}{whole}; the same command {next_run}.") from None

    if not training.processes.is_main:
        return
    if bundle is not None:
        if time_limit is not None:  # the bundle's recipe is what gives its weights again
            chosen = dataclasses.replace(chosen, steps=training.step)
        from KneeSegLib.training.own_cases.finishing import write_finished_bundle

        write_finished_bundle(chosen, data, output, bundle)

    def show(console: Console) -> None:
        console.print(
            f"{chosen.name}: {training.step} steps, checkpoint, log and curves.svg in {output}",
            soft_wrap=True,
            markup=False,
        )
        if bundle is not None:
            console.print(f"Bundle: {bundle}", soft_wrap=True, markup=False)
            if cases is not None:
                use = f"Use it: kneeseg segment IMAGE -o RESULT --models {bundle.parent}"
                console.print(use, soft_wrap=True, markup=False)

    stream.result({"folder": str(output.resolve()), "recipe": chosen.name, "steps": training.step}, show)


def _find_start(name: str) -> Bundle:
    """The bundle that a path leads to, or the one of that name that ships."""
    from KneeSegLib.bundles import Bundle, list_bundles

    if Path(name).exists():
        return Bundle(Path(name))
    shipped = {bundle.name: bundle for bundle in list_bundles()}
    if name not in shipped:
        raise InputError(
            f"There is no file or folder {name} and no network of that name; give a bundle's folder or one of "
            f"{', '.join(shipped)}."
        )
    return shipped[name]


def _adapt(recipe: Recipe, fine_tuned: bool) -> Recipe:
    """The recipe for own cases: validated more often, and with smaller steps where it goes on from weights."""
    from KneeSegLib.training.own_cases.settings import FINE_TUNING_RATE, VALIDATIONS

    return dataclasses.replace(
        recipe,
        learning_rate=recipe.learning_rate * (FINE_TUNING_RATE if fine_tuned else 1.0),
        validate_every=min(recipe.validate_every, max(1, recipe.steps // VALIDATIONS)),
    )


def _understand(
    layout: str | None,
    labels: str | None,
    side: SideName | None,
    fold: str | None,
    prepared: Path | None,
    synthetic: float | None,
) -> Wanted:
    from KneeSegLib.anatomy import as_side
    from KneeSegLib.training.own_cases import Wanted
    from KneeSegLib.training.own_cases.settings import SYNTHETIC_FRACTION
    from KneeSegLib.training.own_cases.splitting import Folds

    folds = None
    if fold is not None:
        own, slash, count = (part.strip() for part in fold.partition("/"))
        if not (slash and own.isdecimal() and count.isdecimal()):
            raise InputError(f'A fold is given like "1/5", the first of five; "{fold}" is not of that form.')
        folds = Folds(int(count), int(own))
    return Wanted(
        layout,
        labels,
        as_side(side.value) if side is not None else None,
        folds,
        prepared,
        SYNTHETIC_FRACTION if synthetic is None else synthetic,
    )


def _read_cases(recipe: Recipe, cases: Path, output: Path, wanted: Wanted, stream: Stream) -> OwnCases:
    from KneeSegLib.training.own_cases import OwnCases

    return OwnCases.prepare(recipe, cases, output / "cases", wanted, stream.progress)
