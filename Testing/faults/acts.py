"""What happens to a run at a chosen call."""

from __future__ import annotations

import errno
import os
import signal
from collections.abc import Mapping
from functools import partial

from KneeSegLib.io import placing
from Testing.faults.runs import Act


def send(number: int) -> None:
    """Send this process a signal."""
    os.kill(os.getpid(), number)


def fail(number: int) -> None:
    """Let the call fail."""
    raise OSError(number, os.strerror(number))


def use_two_renames() -> None:
    """Have none of the renames that only some systems know."""
    placing._rename_specially = lambda *arguments: False


SIGNALS: Mapping[str, Act] = {
    name: partial(send, getattr(signal, name)) for name in ("SIGKILL", "SIGTERM", "SIGINT") if hasattr(signal, name)
}
ERRORS: Mapping[str, Act] = {
    name: partial(fail, getattr(errno, name)) for name in ("ENOSPC", "EDQUOT", "EFBIG", "EIO", "EACCES", "EROFS")
}
