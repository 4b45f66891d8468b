"""Files and folders that appear whole or not at all.

Work is written beside its final name, under a name that begins with ``.partial-``, and renamed when it is complete.
Whatever goes wrong in between (an error, a full disk, a cancel) removes it again and leaves what was there before as
it was. A run that was killed is tidied up by the next one. :func:`list_placed` knows what has taken its name.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Set
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from KneeSegLib.errors import OutputError
from KneeSegLib.io.flushing import flush_entry, flush_to_disk
from KneeSegLib.io.journal import finish_interrupted_runs, list_left_over
from KneeSegLib.io.locking import hold_lock, holds_lock
from KneeSegLib.io.placing import PARTIAL, partial_name, place_new, postpone_signals
from KneeSegLib.io.unfinished import UnfinishedFolder, explain_appearance
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
    partial, nested = partial_name(target), _is_within_unfinished(target)
    with _remove_on_failure(target, partial, lambda: _remove_file(partial)), ExitStack() as stack:
        if not nested:
            _remove_left_over(target, stack)
        yield partial
        if not partial.exists():
            raise OutputError(f"{path} was to be written but nothing was produced; the target is unchanged.")
        if not nested:  # what is written inside an unfinished folder is put on the disk with it
            flush_to_disk(partial)
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
    new = UnfinishedFolder(final, noted=not _is_within_unfinished(final))
    with reserve_folder(target, overwrite), _remove_on_failure(final, new.path, new.discard):
        new.make()
        yield new.path
        new.flush()
        if overwrite and final.is_dir():
            new.take_own_files(final, list_superseded(final))
        with postpone_signals():
            new.place(final, overwrite)
            _note_placed(final)
            new.tidy_up(final)


@contextmanager
def reserve_folder(target: str | Path, overwrite: bool = False) -> Iterator[None]:
    """Keep other runs from writing ``target`` while the block runs, and know before long work that it can be written.

    What runs that were killed have left beside it is completed or undone first. A :func:`write_folder` of the same
    thread within the block goes on from there; of itself it does the same.

    Raises:
        OutputError: another run writes there, or what :func:`write_folder` raises before its block runs.
    """
    final = _resolve_target(target)
    _require_nameable(final)
    if _is_within_unfinished(final):
        _require_replaceable(target, final, overwrite)
        yield
        return
    is_reserved, created = holds_lock(final), _list_missing_parents(final)
    with ExitStack() as stack:
        stack.callback(_remove_empty, created)
        try:
            alone = stack.enter_context(hold_lock(final))
        except OSError as error:
            raise explain_write_error(error, final) from error
        if not is_reserved:
            finish_interrupted_runs(final, alone)
        if not is_reserved and not alone:
            logging.getLogger(__name__).warning(
                "The file system of %s knows no locks, so that another run into %s is noticed only when it has "
                "written it; no result is mixed with another.",
                final.parent,
                final.name,
            )
        _require_replaceable(target, final, overwrite)
        yield


def _resolve_target(path: str | Path) -> Path:
    # A link is followed, so that its target is replaced and the link stays.
    return Path(path).expanduser().resolve()


def _require_nameable(final: Path) -> None:
    shown = str(final).encode("utf-8", "replace").decode("utf-8")
    if shown != str(final):
        raise OutputError(
            f"The path {shown} holds bytes that are no UTF-8; surfaces cannot be written there. Choose another place."
        )
    if not final.name:
        raise OutputError(f"{final} is no folder that a result can replace; choose one within it.")


def _require_replaceable(given: str | Path, final: Path, overwrite: bool) -> None:
    if final.exists() and not final.is_dir():
        raise OutputError(f"{given} is a file and a folder was to be written there; choose another name.")
    if final.exists() and not overwrite:
        raise OutputError(
            f"The folder {given} exists already; choose another one or allow replacing it with --overwrite."
        )


@contextmanager
def _remove_on_failure(target: Path, partial: Path, discard: Callable[[], None]) -> Iterator[None]:
    """Make the parent folders; on any failure discard ``partial`` and remove them, and say what a full disk means."""
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
            discard()
            _remove_empty(created)


def _place_file(partial: Path, target: Path, overwrite: bool) -> None:
    if overwrite:
        os.replace(partial, target)
        return
    try:
        place_new(partial, target)
    except FileExistsError:
        raise explain_appearance(target) from None


def _note_placed(target: Path) -> None:
    if not _is_within_unfinished(target):
        flush_entry(target.parent)
        _placed.append(target)


def _is_within_unfinished(path: Path) -> bool:
    return any(parent.name.startswith(PARTIAL) for parent in path.parents)


def _list_missing_parents(path: Path) -> list[Path]:
    """The folders above ``path`` that do not exist yet, deepest first."""
    return [parent for parent in path.parents if not parent.exists()]


def _remove_file(path: Path) -> None:
    with suppress(OSError):  # never made; what stopped the work is what has to be told
        path.unlink()


def _remove_left_over(target: Path, stack: ExitStack) -> None:
    """Remove what killed runs have written of the file ``target``, unless another run is at work on it.

    The lock is held until ``stack`` is closed, so that another run does not take this one for killed.
    """
    with suppress(OSError, OutputError):
        alone = stack.enter_context(hold_lock(target))
        for path in list_left_over(target) if alone else ():
            if path.is_file():
                path.unlink()


def _remove_empty(folders: list[Path]) -> None:
    for folder in folders:
        try:
            folder.rmdir()
        except OSError:  # never made, or someone else has put something there
            return
