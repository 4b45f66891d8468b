"""Files and folders that appear whole or not at all.

Work is written beside its final name, under a name that begins with ``.partial-``, and renamed when it is complete.
Whatever goes wrong in between (an error, a full disk, a cancel) removes it again and leaves what was there before as
it was.
"""

from __future__ import annotations

import errno
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from KneeSegLib.errors import OutputError

_NO_SPACE = {errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC)}
_NO_ACCESS = {errno.EACCES, errno.EPERM, errno.EROFS}


@contextmanager
def write_whole(path: str | Path, overwrite: bool = True) -> Iterator[Path]:
    """Yield a path to write one file to; it takes the name ``path`` when the block ends without an error.

    The path yielded lies in the same folder and keeps the file's endings, so that writers which choose a format by
    them work.

    Raises:
        OutputError: the folder cannot be written to, the disk is full, or ``path`` exists and ``overwrite`` is false.
    """
    target = _resolve_target(path)
    if target.is_dir():
        raise OutputError(f"{path} is a folder and a file was to be written there; give a file name.")
    if target.exists() and not overwrite:
        raise OutputError(
            f"{path} exists already and is not replaced without being told to; choose another name or --overwrite."
        )
    partial = _name_beside(target, "partial")
    with _remove_on_failure(target, partial):
        yield partial
        if not partial.exists():
            raise OutputError(f"{path} was to be written but nothing was produced; the target is unchanged.")
        os.replace(partial, target)


@contextmanager
def write_folder(target: str | Path, overwrite: bool = False) -> Iterator[Path]:
    """Yield a new empty folder to fill; it takes the name ``target`` when the block ends without an error.

    With ``overwrite`` an existing folder is replaced at that moment and not before. Files and folders directly in it
    that the new one has under no name of its own are kept: nothing is deleted that the new result does not replace.

    Raises:
        OutputError: ``target`` exists and ``overwrite`` is false (raised before the block runs), it is a file, its
            parent cannot be written to, or the disk is full.
    """
    final = _resolve_target(target)
    _require_replaceable(target, final, overwrite)
    partial = _name_beside(final, "partial")
    with _remove_on_failure(final, partial):
        partial.mkdir()
        yield partial
        _move_into_place(partial, final)


def require_writable(target: str | Path, overwrite: bool = False) -> None:
    """Raise what :func:`write_folder` would raise, before long work begins; leaves nothing behind.

    Raises:
        OutputError: as :func:`write_folder`.
    """
    final = _resolve_target(target)
    _require_replaceable(target, final, overwrite)
    trial = _name_beside(final, "partial")
    created = _list_missing_parents(final)
    try:
        trial.mkdir(parents=True)
    except OSError as error:
        raise _explain_os_error(error, final) from error
    finally:
        _remove(trial)
        _remove_empty(created)


def _resolve_target(path: str | Path) -> Path:
    # A link is followed, so that its target is replaced and the link stays.
    return Path(path).expanduser().resolve()


def _name_beside(target: Path, role: str) -> Path:
    return target.parent / f".{role}-{uuid.uuid4().hex[:8]}-{target.name}"


def _require_replaceable(given: str | Path, final: Path, overwrite: bool) -> None:
    if final.exists() and not final.is_dir():
        raise OutputError(f"{given} is a file and a folder was to be written there; choose another name.")
    if final.exists() and not overwrite:
        raise OutputError(
            f"The folder {given} exists already; choose another one or allow replacing it with --overwrite."
        )


@contextmanager
def _remove_on_failure(target: Path, partial: Path) -> Iterator[None]:
    """Make the parent folders; on any failure remove ``partial`` and them, and say what a full disk means."""
    created = _list_missing_parents(target)
    whole = False
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        yield
        whole = True
    except OSError as error:
        if error.errno not in _NO_SPACE and not _is_about(error, partial, target):
            raise
        raise _explain_os_error(error, target) from error
    finally:
        if not whole:
            _remove(partial)
            _remove_empty(created)


def _is_about(error: OSError, partial: Path, target: Path) -> bool:
    names = (str(name) for name in (error.filename, error.filename2) if name)
    return any(name.startswith((str(partial), str(target))) or name in map(str, target.parents) for name in names)


def _explain_os_error(error: OSError, target: Path) -> OutputError:
    if error.errno in _NO_SPACE:
        free_mb = shutil.disk_usage(_find_existing(target)).free / 2**20
        return OutputError(
            f"The disk is full ({free_mb:.0f} MB free at {_find_existing(target)}); nothing was left of {target.name}: "
            "free some space or choose another place."
        )
    if error.errno in _NO_ACCESS:
        return OutputError(
            f"{target.parent} cannot be written to ({error.strerror}); choose a folder that you may write to."
        )
    return OutputError(f"{target} could not be written ({error.strerror or error}); choose another place.")


def _move_into_place(partial: Path, target: Path) -> None:
    if not target.exists():
        os.rename(partial, target)
        return
    replaced = _name_beside(target, "replaced")
    try:
        os.rename(target, replaced)
        os.rename(partial, target)
    except BaseException:  # an interrupt between the two as well
        if not target.exists():
            os.rename(replaced, target)
        raise
    for entry in replaced.iterdir():
        if not (target / entry.name).exists():
            os.rename(entry, target / entry.name)
    shutil.rmtree(replaced)


def _find_existing(path: Path) -> Path:
    return next(parent for parent in (path, *path.parents) if parent.exists())


def _list_missing_parents(path: Path) -> list[Path]:
    """The folders above ``path`` that do not exist yet, deepest first."""
    return [parent for parent in path.parents if not parent.exists()]


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
        return
    with suppress(OSError):  # never made; what stopped the work is what has to be told
        path.unlink()


def _remove_empty(folders: list[Path]) -> None:
    for folder in folders:
        try:
            folder.rmdir()
        except OSError:  # never made, or someone else has put something there
            return
