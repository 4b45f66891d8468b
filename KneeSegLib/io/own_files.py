"""The user's own files in a result folder, which outlive the result."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator, Set
from contextlib import suppress
from pathlib import Path

from KneeSegLib.errors import OutputError
from KneeSegLib.io.placing import partial_name


def keep_own_files(old: Path, new: Path, superseded: Set[Path]) -> set[Path]:
    """Give ``new`` what ``old`` holds at any depth and ``new`` does not, without taking it out of ``old``.

    Files are linked, and copied where the file system has no links; folders get the permissions that they had.

    Args:
        superseded: files below ``old`` that belong to the old result and are left out.

    Returns:
        The files in ``new`` that were given, relative to it.

    Raises:
        OutputError: a folder would take the place of a file, or a file that of a folder or of a link to one.
    """
    return {path.relative_to(new) for path in _keep(old, new, superseded)}


def _keep(old: Path, new: Path, superseded: Set[Path]) -> Iterator[Path]:
    for entry in sorted(old.iterdir()):
        kept = new / entry.name
        is_folder = _is_real_folder(entry)
        if os.path.lexists(kept) and is_folder != _is_real_folder(kept):
            raise OutputError(
                f"{entry} is {'a folder' if is_folder else 'no folder'} and the new result has "
                f"{'a file' if is_folder else 'a folder'} of that name, so nothing was replaced; move it elsewhere."
            )
        if is_folder:
            is_ours = not kept.exists() and any(entry.iterdir())
            kept.mkdir(exist_ok=True)
            yield from _keep(entry, kept, superseded)
            if is_ours:
                with suppress(OSError):  # holds own files
                    kept.rmdir()
        elif entry not in superseded and not os.path.lexists(kept):
            _link_or_copy(entry, kept)
            yield kept
    with suppress(OSError):  # file systems without permissions
        shutil.copymode(old, new)


def keep_late_changes(old: Path, new: Path, given: Set[Path]) -> None:
    """Give ``new`` those of its ``given`` files again that have been replaced in ``old`` since."""
    for name in sorted(given):
        if os.path.lexists(old / name) and _is_changed(old / name, new / name):
            again = partial_name(new / name)
            _link_or_copy(old / name, again)
            os.replace(again, new / name)


def remove_folder(folder: Path) -> None:
    """Remove a folder with all that is in it, read-only folders too.

    Raises:
        OSError: something could not be removed.
    """
    for parent, names, _ in os.walk(folder):
        for inner in (Path(parent, name) for name in names):
            if not inner.is_symlink():
                with suppress(OSError):
                    inner.chmod(inner.stat().st_mode | stat.S_IRWXU)
    shutil.rmtree(folder)


def _is_changed(path: Path, given: Path) -> bool:
    now, then = path.lstat(), given.lstat()
    return not os.path.samestat(now, then) and (now.st_size, now.st_mtime_ns) != (then.st_size, then.st_mtime_ns)


def _is_real_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def _link_or_copy(source: Path, target: Path) -> None:
    if source.is_symlink():
        os.symlink(os.readlink(source), target)
        return
    try:
        os.link(source, target)
    except OSError:  # no links on this file system, or not to files of others
        shutil.copy2(source, target)
