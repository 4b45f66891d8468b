"""A finished file or folder takes its name in one step, so that a kill at any moment leaves the old or the new whole.

Linux and macOS can exchange two names, and rename only where nothing has the new name yet. Elsewhere, and on file
systems that know neither, two renames do it; a run that was killed between them is undone by the next one
(:mod:`~KneeSegLib.io.journal`).
"""

from __future__ import annotations

import ctypes
import errno
import os
import signal
import sys
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

PARTIAL, REPLACED = ".partial-", ".replaced-"
TOKEN_LENGTH = 8
"""Between these beginnings of hidden names and the final name stands a token: letters and digits of one run."""

_EXCHANGE, _NO_REPLACE = "exchange", "no-replace"
_LINUX_FLAGS = {_NO_REPLACE: 1, _EXCHANGE: 2}
_MACOS_FLAGS = {_EXCHANGE: 2, _NO_REPLACE: 4}
_LINUX_CURRENT_FOLDER = -100
_NOT_KNOWN = {errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP}
"""Errors of a kernel or file system that cannot do this kind of rename."""


def partial_name(target: Path) -> Path:
    """Return a hidden name in the folder of ``target`` that nothing has, with the same endings."""
    return target.parent / f"{PARTIAL}{uuid.uuid4().hex[:TOKEN_LENGTH]}-{target.name}"


def place_new(partial: Path, target: Path) -> None:
    """Rename ``partial`` to ``target``; of several runs that do so at once, exactly one succeeds.

    Raises:
        FileExistsError: something has that name.
    """
    if _rename_specially(_NO_REPLACE, partial, target):
        return
    if sys.platform == "win32":  # never replaces
        os.rename(partial, target)
    elif partial.is_dir():
        target.mkdir()
        try:
            os.rename(partial, target)  # takes the place of an empty folder, and of no other
        except BaseException as error:
            with suppress(OSError):
                target.rmdir()
            if isinstance(error, OSError) and error.errno == errno.ENOTEMPTY:
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target)) from error
            raise
    else:
        os.link(partial, target)
        partial.unlink()


def exchange(partial: Path, target: Path) -> None:
    """Let the folders ``partial`` and ``target`` change names."""
    if _rename_specially(_EXCHANGE, partial, target):
        return
    replaced = _replaced_name(partial)
    try:
        os.rename(target, replaced)
        os.rename(partial, target)
    except BaseException:
        if not target.exists() and replaced.exists():
            os.rename(replaced, target)
        raise
    os.rename(replaced, partial)


def _replaced_name(partial: Path) -> Path:
    return partial.with_name(REPLACED + partial.name.removeprefix(PARTIAL))


@contextmanager
def postpone_signals() -> Iterator[None]:
    """Let the block end before a signal that ends programs is heard; for what is short and must be whole."""
    if threading.current_thread() is not threading.main_thread():  # signals interrupt the main thread only
        yield
        return
    numbers = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK") if hasattr(signal, name)]
    left_alone = (None, signal.SIG_IGN)  # None: installed by other code than Python's, which cannot be put back
    before = {number: handler for number in numbers if (handler := signal.getsignal(number)) not in left_alone}
    heard: list[int] = []

    def remember(number: int, frame: FrameType | None) -> None:
        heard.append(number)

    for number in before:
        signal.signal(number, remember)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for number in heard[:1]:
            signal.raise_signal(number)


def _rename_specially(kind: str, source: Path, target: Path) -> bool:
    """Rename in a way that Python's ``os`` does not offer; false where the system or the file system cannot.

    Raises:
        OSError: the system can, and it failed.
    """
    old, new = os.fsencode(source), os.fsencode(target)
    if sys.platform == "linux":
        function = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
        arguments = (_LINUX_CURRENT_FOLDER, old, _LINUX_CURRENT_FOLDER, new, _LINUX_FLAGS[kind])
    elif sys.platform == "darwin":
        function = getattr(ctypes.CDLL(None, use_errno=True), "renamex_np", None)
        arguments = (old, new, _MACOS_FLAGS[kind])
    else:
        return False
    if function is None:  # an old C library
        return False
    if function(*arguments) == 0:
        return True
    number = ctypes.get_errno()
    if number in _NOT_KNOWN:
        return False
    raise OSError(number, os.strerror(number), str(source), None, str(target))
