"""``kneeseg schema``: what programs can rely on in what KneeSeg writes for them."""

from __future__ import annotations

from enum import Enum
from typing import Annotated

import typer


class SchemaName(str, Enum):
    """What there is a schema of."""

    case = "case"
    progress = "progress"
    doctor = "doctor"


def schema(
    name: Annotated[
        SchemaName, typer.Argument(help="case (case.json), progress (--progress json) or doctor (--json).")
    ],
) -> None:
    """Print the JSON schema of what programs are given.

    Its $id has the version of the format.
    """
    from KneeSegLib.schemas import format_schema

    typer.echo(format_schema(name.value), nl=False)
