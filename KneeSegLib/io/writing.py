"""Files and folders that appear whole or not at all.

Work is written beside its final name, under a name that begins with ``.partial-``, and renamed when it is complete.
Whatever goes wrong in between (an error, a full disk, a cancel) removes it again and leaves what was there before as
it was. :func:`list_placed` knows what has taken its name.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Set
from contextlib import contextmanager, suppress
from pathlib import Path

from KneeSegLib.errors import OutputError
from KneeSegLib.io.flushing import flush_entry, flush_to_disk
from KneeSegLib.io.placing import (
    exchange,
    keep_own_files,
    partial_name,
    place_new,
    postpone_signals,
    undo_interrupted_exchange,
)
from KneeSegLib.io.write_errors import concerns_output, explain_write_error

_placed: list[Path] = []


def list_placed() -> list[Path]:
    """Return the files and folders that have been written by this process, in order; not those inside another one."""
    return list(_placed)


def _no_files(folder: Path) -> Set[Path]:
    return frozenset()


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
    partial = partial_name(target)
    with _remove_on_failure(target, partial):
        yield partial
        if not partial.exists():
            raise OutputError(f"{path} was to be written but nothing was produced; the target is unchanged.")
        _put_on_disk(partial)
        with postpone_signals():
            _place_file(partial, target, overwrite)
            _note_placed(target)


@contextmanager
def write_folder(
    target: str | Path, overwrite: bool = False, list_superseded: Callable[[Path], Set[Path]] = _no_files
) -> Iterator[Path]:
    """Yield a new empty folder to fill; it takes the name ``target`` when the block ends without an error.

    With ``overwrite`` an existing folder is replaced at that moment and not before, in one step. Files in it, at any
    depth, that the new one has under no name of its own are kept.

    Args:
        list_superseded: is given the folder to be replaced and returns the files below it that are certainly of an
            earlier result; those are not kept.

    Raises:
        OutputError: ``target`` exists and ``overwrite`` is false (raised before the block runs, and after it where
            another program has made it meanwhile), it is a file, its parent cannot be written to, or the disk is full.
    """
    final = _resolve_target(target)
    undo_interrupted_exchange(final)
    _require_replaceable(target, final, overwrite)
    partial = partial_name(final)
    with _remove_on_failure(final, partial):
        partial.mkdir()
        yield partial
        superseded = list_superseded(final) if overwrite and final.is_dir() else frozenset()
        if final.is_dir() and overwrite:
            keep_own_files(final, partial, superseded)
        _put_on_disk(partial)
        with postpone_signals():
            _place_folder(partial, final, overwrite, superseded)
            _note_placed(final)


def require_writable(target: str | Path, overwrite: bool = False) -> None:
    """Raise what :func:`write_folder` would raise, before long work begins; leaves nothing behind.

    Raises:
        OutputError: as :func:`write_folder`.
    """
    final = _resolve_target(target)
    undo_interrupted_exchange(final)
    _require_replaceable(target, final, overwrite)
    trial = partial_name(final)
    created = _list_missing_parents(final)
    try:
        trial.mkdir(parents=True)
    except OSError as error:
        raise explain_write_error(error, final) from error
    finally:
        _remove(trial)
        _remove_empty(created)


def _resolve_target(path: str | Path) -> Path:
    # A link is followed, so that its target is replaced and the link stays.
    return Path(path).expanduser().resolve()


def _require_replaceable(given: str | Path, final: Path, overwrite: bool) -> None:
    shown = str(final).encode("utf-8", "replace").decode("utf-8")
    if shown != str(final):
        raise OutputError(
            f"The path {shown} holds bytes that are no UTF-8; surfaces cannot be written there. Choose another place."
        )
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
        if not concerns_output(error, partial, target):
            raise
        raise explain_write_error(error, target) from error
    finally:
        if not whole:
            _remove(partial)
            _remove_empty(created)


def _put_on_disk(partial: Path) -> None:
    """Have what was written on the disk before it takes its name; inside an unfinished folder, that folder does it."""
    if not _is_within_unfinished(partial):
        flush_to_disk(partial)


def _place_file(partial: Path, target: Path, overwrite: bool) -> None:
    if overwrite:
        os.replace(partial, target)
        return
    try:
        place_new(partial, target)
    except FileExistsError:
        raise _appeared(target) from None


def _place_folder(partial: Path, target: Path, overwrite: bool, superseded: Set[Path]) -> None:
    try:
        place_new(partial, target)
        return
    except FileExistsError:
        if not overwrite:
            raise _appeared(target) from None
    exchange(partial, target)
    # What has been put into the old folder since it was searched, which from here on has the other name.
    try:
        keep_own_files(partial, target, {partial / path.relative_to(target) for path in superseded})
    except (OSError, OutputError):  # stays, under a name that can be seen
        os.rename(partial, target.with_name(f"{target.name}-replaced-{partial.name[9:17]}"))
        return
    _remove(partial)


def _appeared(target: Path) -> OutputError:
    return OutputError(
        f"{target} has appeared while this run worked and was left as it is, so this run's result was not kept; run "
        "again with another name or with --overwrite."
    )


def _note_placed(target: Path) -> None:
    if not _is_within_unfinished(target):
        flush_entry(target.parent)
        _placed.append(target)


def _is_within_unfinished(path: Path) -> bool:
    return any(parent.name.startswith(".partial-") for parent in path.parents)


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
