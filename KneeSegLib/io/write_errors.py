"""Why something could not be written, in a sentence."""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from pathlib import Path

from KneeSegLib.errors import OutputError
from KneeSegLib.io.settings import PROBE_BYTES
from KneeSegLib.no_room import NO_ROOM, explain_no_room

_NO_ACCESS = {errno.EACCES, errno.EPERM, errno.EROFS}
_OF_THE_DISK = {*NO_ROOM, errno.EIO, errno.EROFS}
"""Errors that come from what is written to, also where they name no file."""


def concerns_output(error: OSError, partial: Path, target: Path) -> bool:
    """Whether ``error`` comes from a disk without room or names the output or a folder above it."""
    if error.errno in NO_ROOM or (error.errno in _OF_THE_DISK and error.filename is None):
        return True
    names = (str(name) for name in (error.filename, error.filename2) if name)
    return any(name.startswith((str(partial), str(target))) or name in map(str, target.parents) for name in names)


def explain_write_error(error: OSError, target: Path) -> OutputError:
    """Return the sentence for a user: why ``target`` could not be written, and what to do."""
    if error.errno is not None and error.errno in NO_ROOM:
        reason, advice = explain_no_room(error.errno, _find_existing(target))
        return OutputError(
            f"{reason}, so {target.name} was not written and what was there before is as it was; {advice}."
        )
    if error.errno in _NO_ACCESS:
        return OutputError(
            f"{target.parent} cannot be written to ({error.strerror}); choose a folder that you may write to."
        )
    if error.errno == errno.ENAMETOOLONG:
        return OutputError(f"The name {target.name} is too long to write beside it first; choose a shorter one.")
    return OutputError(f"{target} could not be written ({error.strerror or error}); choose another place.")


def explain_incomplete(partial: Path, target: Path, otherwise: str) -> OutputError:
    """Return the error for a file that a library has not written whole without saying why.

    What stands in the way is asked by writing on.

    Args:
        partial: what was written.
        target: its final name.
        otherwise: the sentence where more can be written.
    """
    try:
        with partial.open("ab") as file:
            file.write(bytes(PROBE_BYTES))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        return explain_write_error(error, target)
    return OutputError(otherwise)


def _find_existing(path: Path) -> Path:
    with suppress(OSError):
        return next(parent for parent in (path, *path.parents) if parent.exists())
    return Path(path.anchor)
