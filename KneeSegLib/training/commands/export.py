"""``kneeseg export``: what KneeSeg has, in the formats of others."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from KneeSegLib.cli.options import Overwrite, Progress, stream_of
from KneeSegLib.cli.stream import ProgressMode

if TYPE_CHECKING:
    from rich.console import Console

app = typer.Typer(help="Write what KneeSeg has in the formats of others.", no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def _export() -> None:
    """Keep ``bundle`` a command of its own while it is the only one."""


@app.command()
def bundle(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="Of the network, for example ct-knee; see kneeseg pipelines.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of the bundle; is created.")],
    overwrite: Overwrite = False,
    progress: Progress = ProgressMode.bar,
) -> None:
    """Write a network as a standard MONAI bundle that runs without KneeSeg, from NIfTI files to label maps.

    KneeSeg does not read it back. How to run it and what it takes stands in its docs/README.md.
    """
    stream = stream_of(context)
    from KneeSegLib.bundles import find_bundle
    from KneeSegLib.training.monai_bundle import export_monai_bundle

    stream.progress(0.0, f"Writing {name}")
    folder = export_monai_bundle(find_bundle(name), output, overwrite)
    stream.progress(1.0, "Written")

    def show(console: Console) -> None:
        console.print(f"{folder}  (how to run it: docs/README.md)", soft_wrap=True, markup=False)

    stream.result({"folder": str(folder), "bundle": name}, show)
