"""Memory that is freed stays with the process while images are rendered.

Rendering takes and frees arrays of hundreds of megabytes all the time. The GNU C library gives such arrays back to the
system at once, and the system has to clear every page of them before it hands them out again.
"""

from __future__ import annotations

import ctypes
import logging
import platform

_log = logging.getLogger(__name__)

_TRIM_THRESHOLD, _MMAP_MAX = -1, -4
"""Parameters of ``mallopt``: how much may lie free at the end of the heap, and how many arrays may lie outside it."""

KEPT_BYTES = 2**31 - 1
"""The most that ``mallopt`` takes; a rendering holds about 1.5 GB."""


def keep_freed_memory() -> bool:
    """Keep freed memory for what this process and those that it forks take next; return whether the system can.

    Only the GNU C library, and so Linux, is told; others need it less.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    done = bool(mallopt(_MMAP_MAX, 0)) and bool(mallopt(_TRIM_THRESHOLD, KEPT_BYTES))
    if not done:
        _log.info("Freed memory goes back to the system: the C library refused the setting.")
    return done
