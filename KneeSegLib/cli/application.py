"""All commands as one application, and how a call of it ends."""

from __future__ import annotations

import io
import os
import sys
import traceback
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

from KneeSegLib import __version__
from KneeSegLib.cli import batch, doctor, evaluate, export, pipelines, schema, segment, surfaces
from KneeSegLib.cli.extras import add_extra_commands
from KneeSegLib.cli.lean_monai import import_monai_leanly
from KneeSegLib.cli.options import Session
from KneeSegLib.errors import Cancelled
from KneeSegLib.failures import UNEXPECTED_STATUS, as_known_error, describe_cancel, save_details
from KneeSegLib.io.writing import list_placed

app = typer.Typer(
    name="kneeseg",
    help="From a CT of the leg to labelled bones, surfaces and a report. Not a medical device.",
    add_completion=False,
    rich_markup_mode=None,
)
for command in (
    segment.segment,
    batch.batch,
    evaluate.evaluate,
    surfaces.surfaces,
    pipelines.pipelines,
    doctor.doctor,
    schema.schema,
):
    app.command()(command)
app.add_typer(export.app, name="export")
add_extra_commands(app, {"export": export.app})


@app.callback(invoke_without_command=True)
def _common(
    context: typer.Context,
    debug: Annotated[bool, typer.Option("--debug", help="Show where an unexpected error came from.")] = False,
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.", is_eager=True)] = False,
) -> None:
    context.ensure_object(Session).debug = debug
    if version:
        typer.echo(f"KneeSeg {__version__}")
    elif context.invoked_subcommand is None:
        typer.echo(context.get_help())


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status; every failure has been told in one sentence."""
    _print_any_character()
    if arguments is None:  # this process is the command's
        import_monai_leanly()
    session = Session()
    placed_before = len(list_placed())
    try:
        with session.stop.listening():
            status = app(
                sys.argv[1:] if arguments is None else list(arguments), "kneeseg", standalone_mode=False, obj=session
            )
            if status == Cancelled.exit_status:  # what typer makes of an interrupt
                raise Cancelled
            return status or 0
    except BrokenPipeError:  # as in `kneeseg pipelines | head -1`
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return UNEXPECTED_STATUS
    except BaseException as error:
        return _failed(session, error, list_placed()[placed_before:])
    finally:
        session.close()


def _failed(session: Session, error: BaseException, placed: Sequence[Path]) -> int:
    known = as_known_error(error)
    if known is None and not isinstance(error, Exception):
        raise error  # SystemExit and the like: not a failure of ours
    if session.debug:
        traceback.print_exception(type(error), error, error.__traceback__)
    if isinstance(known, Cancelled):
        sentence, status = describe_cancel(known, placed), known.exit_status
    elif known is not None:
        sentence, status = str(known), known.exit_status
    elif session.debug:
        sentence, status = f"Something unexpected happened ({type(error).__name__}); see above.", UNEXPECTED_STATUS
    else:
        sentence, status = save_details(error), UNEXPECTED_STATUS
    with suppress(Cancelled):  # nobody listens any more
        session.stream.error(sentence, status)
    return status


def _print_any_character() -> None:
    """Keep a terminal or pipe with a small character set from ending a command in mid-table."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
