"""``kneeseg train``: train one network by its recipe; stop and go on at will."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from KneeSegLib.cli.options import CancelOnStdinClose, Progress, require_existing, stream_of
from KneeSegLib.cli.segment import AUTOMATIC_DEVICE, Device
from KneeSegLib.cli.stream import ProgressMode
from KneeSegLib.errors import Cancelled

if TYPE_CHECKING:
    from rich.console import Console


def train(
    context: typer.Context,
    recipe: Annotated[str, typer.Argument(help="Name of a recipe that ships (ct-knee, ...) or a YAML file.")],
    prepared: Annotated[Path, typer.Option(help="Folder of anatomy from `kneeseg synthesize --prepare`.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of the training; a started one is continued.")],
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
        Path | None, typer.Option("--from", metavar="BUNDLE", help="Start from the weights of this bundle.")
    ] = None,
    device: Device = AUTOMATIC_DEVICE,
    compiled: Annotated[
        bool,
        typer.Option("--compile", help="Compile first: takes a C++ compiler, about halves the time on a CPU."),
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a bundle that exists.")] = False,
    progress: Progress = ProgressMode.bar,
    cancel_on_stdin_close: CancelOnStdinClose = False,
) -> None:
    """Train a network on synthetic images; run again to continue.

    On several GPUs: torchrun --nproc-per-node 4 -m KneeSegLib train RECIPE ...
    """
    stream = stream_of(context)
    require_existing(prepared)
    if start is not None:
        require_existing(start)
    from KneeSegLib.io.writing import require_writable
    from KneeSegLib.networks.device import find_device
    from KneeSegLib.training.loop import Training
    from KneeSegLib.training.recipe_files import read_recipe

    chosen = read_recipe(recipe, entries or (), steps=steps, seed=seed)
    bundle = bundles / chosen.name if bundles is not None else None
    if bundle is not None:
        require_writable(bundle, overwrite)
    stream.progress(0.0, "Reading prepared anatomy")
    training = Training(chosen, prepared, output, find_device(device.value).torch_name, compiled, start)
    try:
        training.run(lambda message: stream.progress(training.step / chosen.steps, message))
    except (KeyboardInterrupt, Cancelled):
        raise Cancelled(
            f"Stopped at step {training.step} of {chosen.steps}; the same command goes on from the last checkpoint."
        ) from None

    if not training.processes.is_main:
        return
    if bundle is not None:
        from KneeSegLib.training.export import export_bundle

        export_bundle(chosen, output, prepared, bundle)

    def show(console: Console) -> None:
        console.print(
            f"{chosen.name}: {training.step} steps, checkpoint and log in {output}", soft_wrap=True, markup=False
        )
        if bundle is not None:
            console.print(f"Bundle: {bundle}", soft_wrap=True, markup=False)

    stream.result({"folder": str(output.resolve()), "recipe": chosen.name, "steps": training.step}, show)
