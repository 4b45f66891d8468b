"""Standard input, output and error as a shell may hand them over: closed, full, or with nobody at the other end."""

from __future__ import annotations

import io
import os
import sys
from contextlib import suppress

BROKEN_PIPE_STATUS = 141
"""What a shell shows of ``cat`` whose reader has ended (128 + SIGPIPE), as in ``kneeseg pipelines | head -1``."""


def prepare_streams() -> None:
    """Open those that are closed on nothing, and let any character be printed.

    The next file that is opened would take the number of a closed one, and what libraries print would go into it.
    """
    for number, (name, flags) in enumerate((("stdin", os.O_RDONLY), ("stdout", os.O_WRONLY), ("stderr", os.O_WRONLY))):
        with suppress(OSError):
            os.fstat(number)
            continue
        os.dup2(os.open(os.devnull, flags), number)
        setattr(sys, name, os.fdopen(number, "r" if number == 0 else "w", encoding="utf-8", closefd=False))
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def abandon_broken_streams() -> None:
    """Send to nothing what can no longer be written, so that Python does not complain of it when it ends."""
    for number, stream in ((1, sys.stdout), (2, sys.stderr)):
        try:
            stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), number)
