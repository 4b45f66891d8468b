"""What a run has under way beside its result, written down so that the next run can tell the new from the old.

A run that is killed leaves hidden folders. ``.journal-TOKEN-NAME`` tells of ``.partial-TOKEN-NAME`` which folder was
the new one and, from the moment before the exchange, which was the old one and which of its files gave way. A folder
is known by its inode: all these are neighbours on one file system.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from KneeSegLib.errors import OutputError
from KneeSegLib.io.flushing import flush_entry
from KneeSegLib.io.own_files import keep_own_files, remove_folder
from KneeSegLib.io.placing import PARTIAL, REPLACED, TOKEN_LENGTH

_JOURNAL = ".journal-"
_logger = logging.getLogger(__name__)


class Journal:
    """The journal of one new folder ``partial``."""

    def __init__(self, partial: Path) -> None:
        self.path = _beside(partial, _JOURNAL)

    def begin(self, inode: int) -> None:
        """Note the new folder, which is empty."""
        self._append({"new": inode})

    def note_exchange(self, target: Path, superseded: Collection[Path]) -> None:
        """Note, before it is done, that ``target`` becomes the old folder, in which ``superseded`` give way."""
        names = sorted(str(path.relative_to(target)) for path in superseded)
        self._append({"old": target.stat().st_ino, "superseded": names})
        flush_entry(self.path.parent)

    def end(self) -> None:
        """Forget the run; nothing of it is left beside its result."""
        with suppress(OSError):  # the next run finds that it tells of nothing
            self.path.unlink()

    def _append(self, entry: Mapping[str, Any]) -> None:
        with self.path.open("a", encoding="ascii") as file:
            file.write(json.dumps(entry) + "\n")
            file.flush()
            os.fsync(file.fileno())


def finish_interrupted_runs(target: Path, alone: bool) -> None:
    """Complete or undo what killed runs have left beside ``target``; nothing that may be the user's is deleted.

    Args:
        alone: whether no other run can be at work on ``target``; if not, only its name is given back to it.
    """
    if not target.parent.is_dir():
        return
    tokens = {_token_of(path, target.name) for path in list_left_over(target)}
    for token in sorted(tokens):
        partial = target.with_name(f"{PARTIAL}{token}-{target.name}")
        with suppress(OSError):  # not allowed to look or to rename: what follows says so
            _finish(partial, target, alone)


def _finish(partial: Path, target: Path, alone: bool) -> None:
    journal, replaced = Journal(partial), _beside(partial, REPLACED)
    if replaced.is_dir() and not target.exists():  # killed between two renames
        os.rename(replaced, target)
    if not alone:
        return
    noted = _read(journal.path)
    for folder in (partial, replaced):
        if not folder.is_dir():
            continue
        inode = folder.stat().st_ino
        if inode == noted.new and (noted.old is None or target.exists()):
            remove_folder(folder)
        elif noted.old == inode and target.is_dir() and target.stat().st_ino == noted.new:
            _finish_exchange(folder, target, noted.superseded)
        elif any(folder.iterdir()):
            show(folder, target)
        else:
            folder.rmdir()
    journal.end()
    flush_entry(target.parent)


def _finish_exchange(old: Path, target: Path, superseded: Collection[str]) -> None:
    try:
        keep_own_files(old, target, {old / name for name in superseded})
    except (OSError, OutputError):
        show(old, target)
    else:
        remove_folder(old)


def show(folder: Path, target: Path) -> None:
    """Give a hidden folder beside ``target``, whose files may be the user's, a name that he sees."""
    visible = target.with_name(f"{target.name}-recovered-{_token_of(folder, target.name)}")
    os.rename(folder, visible)
    _logger.warning("%s holds what was beside %s or in it before; take from it what you need.", visible, target.name)


def list_left_over(target: Path) -> Iterator[Path]:
    """Yield the hidden neighbours of ``target`` that runs have made on their way to it."""
    for path in target.parent.iterdir():
        if path.name.startswith((PARTIAL, REPLACED, _JOURNAL)) and _token_of(path, target.name):
            yield path


def _token_of(path: Path, name: str) -> str:
    """The token in the name of a hidden neighbour of what is called ``name``; empty for that of another one."""
    _, _, rest = path.name.partition("-")
    token, _, its_name = rest.partition("-")
    return token if len(token) == TOKEN_LENGTH and its_name == name else ""


def _beside(partial: Path, prefix: str) -> Path:
    return partial.with_name(prefix + partial.name.removeprefix(PARTIAL))


@dataclass(frozen=True)
class _Noted:
    new: int | None = None
    old: int | None = None
    superseded: Sequence[str] = ()


def _read(path: Path) -> _Noted:
    """Return what a journal notes, up to a line that was not written whole."""
    noted: dict[str, Any] = {}
    with suppress(OSError, ValueError):
        for line in path.read_text(encoding="ascii").splitlines():
            entry = json.loads(line)
            if isinstance(entry, dict):
                noted |= entry
    new, old, names = (noted.get(key) for key in ("new", "old", "superseded"))
    return _Noted(
        new if isinstance(new, int) else None,
        old if isinstance(old, int) else None,
        [name for name in names if isinstance(name, str)] if isinstance(names, list) else (),
    )
