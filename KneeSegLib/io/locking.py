"""One run at a time writes a result: a lock file beside it, which the system frees whatever ends the run."""

from __future__ import annotations

import errno
import os
import platform
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from KneeSegLib.errors import OutputError
from KneeSegLib.io.settings import LOCK_ATTEMPTS

_LOCK = ".lock-"
_BEYOND_THE_TEXT = 2**30
"""Windows lets nobody read what is locked; this byte holds no text."""

_descriptors: set[int] = set()


class _Held(threading.local):
    """The locks of a thread: whether other runs are certainly kept out, by target."""

    def __init__(self) -> None:
        self.alone: dict[Path, bool] = {}


_held = _Held()


class _Busy(Exception):
    """Another run has the lock."""


@contextmanager
def hold_lock(target: Path) -> Iterator[bool]:
    """Let no other run write ``target`` while the block runs; makes the folders above it.

    Within a block of the same thread for the same target it does nothing more. Processes that are forked in the block
    do not keep the lock.

    Yields:
        Whether other runs are kept out: some file systems know no locks.

    Raises:
        OutputError: another run holds the lock.
        OSError: the folder of ``target`` cannot be made or written to.
    """
    if target in _held.alone:
        yield _held.alone[target]
        return
    path = target.with_name(_LOCK + target.name)
    try:
        descriptor, alone = _lock(path)
    except _Busy:
        raise OutputError(
            f"{_name_holder(path)} is writing to {target}; wait until it has ended, or choose another name."
        ) from None
    _descriptors.add(descriptor)
    _held.alone[target] = alone
    try:
        yield alone
    finally:
        _held.alone.pop(target, None)  # a forked process has none
        _free(path, descriptor)


def holds_lock(target: Path) -> bool:
    """Whether this thread is in a block of :func:`hold_lock` for ``target``."""
    return target in _held.alone


def _lock(path: Path) -> tuple[int, bool]:
    """Return an open lock file, and whether it is locked: not where the file system knows no locks."""
    for _ in range(LOCK_ATTEMPTS):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = _open(path)
        except FileNotFoundError:  # another run has just removed the folder that it made
            continue
        try:
            alone = _try_lock(descriptor)
            if _is_at(path, descriptor):
                _write_holder(descriptor)
                return descriptor, alone
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)  # the run that had it has removed it meanwhile, so that it keeps nobody out
    raise _Busy


def _open(path: Path) -> int:
    more = getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NOINHERIT", 0)
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | more, 0o666)
    except PermissionError:
        if not path.is_file():
            raise
        return os.open(path, os.O_RDONLY | more)  # left by a run of another user that was killed


def _try_lock(descriptor: int) -> bool:
    """Lock a file; false where the file system cannot.

    Raises:
        _Busy: another one has locked it.
    """
    if sys.platform == "win32":
        import msvcrt

        os.lseek(descriptor, _BEYOND_THE_TEXT, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError as error:
            if error.errno in (errno.EACCES, errno.EDEADLK):
                raise _Busy from error
            return False
        return True
    import fcntl

    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise _Busy from error
    except OSError:
        return False
    return True


def _is_at(path: Path, descriptor: int) -> bool:
    with suppress(OSError):
        return os.path.samestat(os.stat(path, follow_symlinks=False), os.fstat(descriptor))
    return False


def _write_holder(descriptor: int) -> None:
    with suppress(OSError):  # on a full disk it does without
        os.truncate(descriptor, 0)
        os.lseek(descriptor, 0, os.SEEK_SET)
        os.write(descriptor, f"{os.getpid()} {platform.node()}\n".encode("utf-8", "replace"))


def _name_holder(path: Path) -> str:
    try:
        process, _, machine = path.read_text(encoding="utf-8").strip().partition(" ")
    except (OSError, ValueError):  # it has ended just now
        return "Another run"
    if not process.isdecimal():
        return "Another run"
    where = "this machine" if machine == platform.node() else machine.encode("ascii", "replace").decode()
    return f"Another run (process {process} on {where})"


def _free(path: Path, descriptor: int) -> None:
    if descriptor not in _descriptors:  # of the process that this one was forked from
        return
    _descriptors.discard(descriptor)
    if os.name == "nt":  # removes no open files; a run that has opened it meanwhile keeps it from being removed
        os.close(descriptor)
        with suppress(OSError):
            path.unlink()
        return
    if _is_at(path, descriptor):
        with suppress(OSError):
            path.unlink()
    os.close(descriptor)


def _leave_locks_to_the_parent() -> None:
    """Close what a forked process has of its parent's locks; they would outlive a parent that is killed."""
    for descriptor in _descriptors:
        with suppress(OSError):
            os.close(descriptor)
    _descriptors.clear()
    _held.alone.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_leave_locks_to_the_parent)
