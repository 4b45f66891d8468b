"""What is opened is a regular file, and one that lies where a header may send a reader."""

from __future__ import annotations

import os
import stat
from pathlib import Path, PureWindowsPath

from KneeSegLib.errors import InputError
from KneeSegLib.io.image_formats import shown_name

_KINDS = (
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
    (stat.S_ISDIR, "a folder"),
)


def require_regular_file(path: Path) -> os.stat_result:
    """Return what the system says of a file, links followed; opening a pipe or a device may take for ever.

    Raises:
        InputError: it is not there (any more), may not be looked at, or is no regular file.
    """
    name = shown_name(path)
    try:
        found = os.stat(path)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or "no file can have that name"
        raise InputError(f"{name} cannot be opened ({why}); check that it is still there and may be read.") from None
    if not stat.S_ISREG(found.st_mode):
        kind = next((words for is_kind, words in _KINDS if is_kind(found.st_mode)), "something else")
        raise InputError(f"{name} is {kind}, expected a regular file; copy what it holds into one.")
    return found


def find_data_file(header: Path, named: str) -> Path:
    """Return the file with the voxels that a header names: one regular file in the header's own folder.

    Raises:
        InputError: several files, a pattern of names, a file elsewhere, or none that is there.
    """
    name = shown_name(header)
    folder = header.parent
    path = folder / named
    advice = "save the image as one file, .nrrd or .mha"
    windows = PureWindowsPath(named)
    if not named or "\0" in named or named.split()[0].upper() == "LIST" or not _is_there(path):
        what = "a list or pattern of files" if "%" in named or named.upper().startswith("LIST") else "a file"
        raise InputError(
            f"{name} says that its voxels are in {what} ({_shorten(named)}) that is not there as one file beside it; "
            f"{advice}."
        )
    if "%" in named or windows.drive or ".." in windows.parts or not _lies_below(path, folder):
        raise InputError(
            f"{name} says that its voxels are in {_shorten(named)}, and only a file in its own folder is opened; "
            f"{advice}."
        )
    require_regular_file(path)
    return path


def _is_there(path: Path) -> bool:
    try:
        return os.path.lexists(path)
    except (OSError, ValueError):
        return False


def _lies_below(path: Path, folder: Path) -> bool:
    try:
        return path.resolve().is_relative_to(folder.resolve())
    except (OSError, RuntimeError, ValueError):  # links that run in a circle
        return False


def _shorten(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:60] + "...")
