"""What a failed run tells the person who started it: one sentence and an exit status."""

from __future__ import annotations

import errno
import os
import platform
import tempfile
import traceback
from collections.abc import Sequence
from pathlib import Path

from KneeSegLib import __version__
from KneeSegLib.errors import Cancelled, InputError, KneeSegError, OutputError, ResourceError
from KneeSegLib.no_room import NO_ROOM, explain_no_room

UNEXPECTED_STATUS = 1

_NOTHING_WRITTEN = "nothing was written"
_PACKAGE = Path(__file__).parent

_NOT_ALLOWED = {errno.EACCES, errno.EPERM, errno.EROFS}
_OUT_OF_MEMORY = ("out of memory", "failed to allocate", "can't allocate", "bad_alloc", "not enough memory")


def as_known_error(error: BaseException) -> KneeSegError | None:
    """Return ``error`` as one that a person can act on, or None if nobody expected it."""
    if isinstance(error, KneeSegError):
        return error
    if isinstance(error, KeyboardInterrupt) or isinstance(error.__cause__, KeyboardInterrupt):  # older typers wrap it
        return Cancelled()
    if isinstance(error, OSError):
        return _of_the_system(error)
    if isinstance(error, MemoryError) or _is_out_of_memory(error):
        return ResourceError(_explain_used_up_memory())
    if isinstance(error, ModuleNotFoundError) and not (error.name or "").startswith("KneeSegLib"):
        return ResourceError(f"The Python package {error.name} is missing; install KneeSeg with all its dependencies.")
    format_message = getattr(error, "format_message", None)
    if format_message is not None:  # a wrong option, as typer and click say it
        complaint = format_message().strip()
        return InputError(f"{complaint}{'' if complaint.endswith(('.', '?')) else '.'} See the command's --help.")
    return None


def tell_what_is_written(error: KneeSegError, placed: Sequence[Path]) -> str:
    """Return the sentence of a run that had written ``placed`` when it failed or was cancelled."""
    if not placed:
        return str(error)
    return str(error).replace(_NOTHING_WRITTEN, f"{placed[-1]} had been written before and is complete")


def save_details(error: BaseException) -> str:
    """Write to a temporary file where the error came from, and return the sentence that says so.

    The file is made to be sent to us. What the error itself says is in neither, since it may quote a patient's data.
    """
    frames = traceback.extract_tb(error.__traceback__)
    place = f" in {Path(frames[-1].filename).name}, line {frames[-1].lineno}" if frames else ""
    summary = f"{type(error).__name__}{place}"
    text = _describe_chain(error)
    try:
        descriptor, path = tempfile.mkstemp(prefix="kneeseg-", suffix=".log", text=True)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(f"KneeSeg {__version__}, Python {platform.python_version()}, {platform.platform()}\n\n{text}")
    except OSError:
        return f"Something unexpected happened ({summary}); run the command again as kneeseg --debug ... to see where."
    return f"Something unexpected happened ({summary}); the details are in {path}, please report them."


def _describe_chain(error: BaseException) -> str:
    """Return the tracebacks of an error and of those that it came from, the first one first, without what they say."""
    earlier = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    before = f"{_describe_chain(earlier)}\nThis led to:\n\n" if earlier is not None else ""
    frames = "".join(traceback.format_tb(error.__traceback__))
    return f"{before}{frames}{type(error).__module__}.{type(error).__qualname__}\n"


def _of_the_system(error: OSError) -> KneeSegError | None:
    where = f" at {error.filename}" if error.filename else ""
    if error.errno is not None and error.errno in NO_ROOM:
        place = next((path for path in _with_parents(error.filename) if path.exists()), None)
        reason, advice = explain_no_room(error.errno, place)
        return OutputError(f"{reason}, so {error.filename or 'a file'} could not be written; {advice}.")
    if error.errno in _NOT_ALLOWED:
        return OutputError(f"Access was refused{where}; choose another place or ask for the right to use it.")
    if isinstance(error, FileNotFoundError):
        if not error.filename or _PACKAGE in _with_parents(error.filename):
            return None  # a file of KneeSeg's own, or no file at all: nobody has taken away an input
        return InputError(
            "A file that was being read is not there any more; check that nothing takes files away during the run."
        )
    if error.errno is not None and not isinstance(error, (ConnectionError, ChildProcessError)):
        return ResourceError(
            f"The system could not do what a file needs ({error.strerror}); check disk, network and path, and try "
            "again."
        )
    return None


def _with_parents(name: object) -> list[Path]:
    if not isinstance(name, (str, bytes, os.PathLike)):
        return []
    path = Path(os.fsdecode(name))
    return [path, *path.parents]


def _explain_used_up_memory() -> str:
    from KneeSegLib.memory import find_own_limit

    limit = find_own_limit()
    if limit is not None:
        return (
            f"The memory that this process may take was used up ({limit / 2**30:.1f} GB, ulimit); raise the limit or "
            "crop the scan and try again."
        )
    return "The memory of this machine was used up; close other programs or crop the scan and try again."


def _is_out_of_memory(error: BaseException) -> bool:
    return isinstance(error, RuntimeError) and any(sign in str(error).lower() for sign in _OUT_OF_MEMORY)
