"""``kneeseg pipelines``: the ways from an image to labels, and which of them this installation has the networks for."""

from __future__ import annotations

from importlib.util import find_spec

from KneeSegLib.cli.console import open_console
from KneeSegLib.errors import ModelError


def pipelines() -> None:
    """List the pipelines and whether their networks are installed."""
    from rich import box
    from rich.table import Table

    from KneeSegLib import TRAINING_STATEMENT
    from KneeSegLib.pipelines.table import NNUNET, PIPELINES

    installed = _installed_networks()
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("Pipeline", "What it does", "Networks", "Available"):
        table.add_column(heading, no_wrap=heading == "Pipeline")
    for pipeline in PIPELINES.values():
        missing = [name for name in pipeline.bundles if name not in installed]
        if pipeline.name == NNUNET and find_spec("nnunetv2") is None:
            missing.append("extra nnunet")
        table.add_row(
            pipeline.name,
            f"{pipeline.label}. {pipeline.description}",
            ", ".join(pipeline.bundles),
            f"no: {', '.join(missing)} missing" if missing else "yes",
        )
    console = open_console()
    console.print(table)
    console.print(TRAINING_STATEMENT, style="dim")


def _installed_networks() -> set[str]:
    from KneeSegLib.bundles import list_bundles

    try:
        return {bundle.name for bundle in list_bundles()}
    except ModelError:  # not even a folder for them
        return set()
