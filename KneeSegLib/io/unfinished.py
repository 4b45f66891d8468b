"""A folder that is being written, from its first file to its place."""

from __future__ import annotations

import logging
from collections.abc import Set
from contextlib import suppress
from pathlib import Path

from KneeSegLib.errors import OutputError
from KneeSegLib.io.flushing import flush_to_disk
from KneeSegLib.io.journal import Journal, show
from KneeSegLib.io.own_files import keep_late_changes, keep_own_files, remove_folder
from KneeSegLib.io.placing import exchange, partial_name, place_new


class UnfinishedFolder:
    """The folder ``path`` that is to take the name ``target``.

    Args:
        noted: keep a journal, so that the next run knows what this one has left when it was killed.
    """

    def __init__(self, target: Path, noted: bool) -> None:
        self.path = partial_name(target)
        self._journal = Journal(self.path) if noted else None
        self._inode: int | None = None
        self._superseded: Set[Path] = frozenset()
        self._given: Set[Path] = frozenset()
        self._has_exchanged = False

    def make(self) -> None:
        """Make it, empty."""
        self.path.mkdir()
        self._inode = self.path.stat().st_ino
        if self._journal is not None:
            self._journal.begin(self._inode)

    def flush(self) -> None:
        """Wait until it is on the disk; inside another unfinished folder, that one does it."""
        if self._journal is not None:
            flush_to_disk(self.path)

    def take_own_files(self, old: Path, superseded: Set[Path]) -> None:
        """Take over the user's files from the folder that will be replaced; see :func:`keep_own_files`."""
        self._superseded = superseded
        self._given = keep_own_files(old, self.path, superseded)
        self.flush()

    def place(self, target: Path, overwrite: bool) -> None:
        """Take the name ``target`` in one step.

        Raises:
            OutputError: something has that name and ``overwrite`` is false.
        """
        try:
            place_new(self.path, target)
            return
        except FileExistsError as error:
            if not overwrite:
                raise explain_appearance(target) from error
            if not target.is_dir():
                raise
        if self._journal is not None:
            self._journal.note_exchange(target, self._superseded)
        exchange(self.path, target)
        self._has_exchanged = True

    def tidy_up(self, target: Path) -> None:
        """Give ``target`` what was put into the old folder meanwhile, and remove that; never fails."""
        try:
            if self._has_exchanged:
                self._remove_old(target)
        except Exception as error:
            logging.getLogger(__name__).warning(
                "%s is written; what was there before could not be removed (%s) and stays in %s until the next run.",
                target,
                error,
                self.path,
            )
        else:
            self._end_journal()

    def discard(self) -> None:
        """Remove it, unless it has been exchanged and the old folder has its name."""
        with suppress(OSError):  # was never made
            if self._inode is None:
                self.path.rmdir()
            elif self.path.stat().st_ino == self._inode:
                remove_folder(self.path)
                self._end_journal()

    def _remove_old(self, target: Path) -> None:
        try:
            keep_late_changes(self.path, target, self._given)
            keep_own_files(self.path, target, {self.path / path.relative_to(target) for path in self._superseded})
        except OutputError:
            show(self.path, target)
        else:
            remove_folder(self.path)

    def _end_journal(self) -> None:
        if self._journal is not None:
            self._journal.end()


def explain_appearance(target: Path) -> OutputError:
    """Return the error for something that has taken the name ``target`` while it was not looked at."""
    return OutputError(
        f"{target} has appeared while this run worked and was left as it is, so this run's result was not kept; run "
        "again with another name or with --overwrite."
    )
