"""All commands as one application, and how a call of it ends."""

from __future__ import annotations

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
from KneeSegLib.cli.standard_streams import BROKEN_PIPE_STATUS, abandon_broken_streams, prepare_streams
from KneeSegLib.errors import Cancelled
from KneeSegLib.failures import UNEXPECTED_STATUS, as_known_error, save_details, tell_what_is_written
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
    prepare_streams()
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
            session.close()
            sys.stdout.flush()
            return status or 0
    except BaseException as error:
        if _is_broken_pipe(error):  # whoever read has had enough, and need not be told
            return BROKEN_PIPE_STATUS
        return _failed(session, error, list_placed()[placed_before:])
    finally:
        session.close()
        abandon_broken_streams()


def _is_broken_pipe(error: BaseException) -> bool:
    # Typer turns it into an exit of status 1.
    return isinstance(error, BrokenPipeError) or (
        isinstance(error, SystemExit) and isinstance(error.__context__, BrokenPipeError)
    )


def _failed(session: Session, error: BaseException, placed: Sequence[Path]) -> int:
    known = as_known_error(error)
    if known is None and not isinstance(error, Exception):
        raise error  # SystemExit and the like: not a failure of ours
    if session.stop.is_requested and (known is None or isinstance(error, ImportError)):
        known = Cancelled()  # an import that was interrupted fails in whatever way
    if session.debug:
        traceback.print_exception(type(error), error, error.__traceback__)
    if known is not None:
        sentence, status = tell_what_is_written(known, placed), known.exit_status
    elif session.debug:
        sentence, status = f"Something unexpected happened ({type(error).__name__}); see above.", UNEXPECTED_STATUS
    else:
        sentence, status = save_details(error), UNEXPECTED_STATUS
    with suppress(Cancelled, OSError):  # nobody listens any more
        session.stream.error(sentence, status)
    return status
