"""Which room a write has run out of: four different things that are easily taken for each other."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

_QUOTA = getattr(errno, "EDQUOT", None)  # Windows has none
NO_ROOM = frozenset({errno.ENOSPC, errno.EFBIG, *([_QUOTA] if _QUOTA is not None else [])})
"""Numbers of the errors that :func:`explain_no_room` knows."""


def explain_no_room(number: int, place: Path | None) -> tuple[str, str]:
    """Return what is used up, as the beginning of a sentence, and what to do about it, as its end.

    Args:
        number: one of ``NO_ROOM``.
        place: an existing file or folder on the file system that was written to, where it is known.
    """
    at = f" at {place}" if place is not None else ""
    if number == errno.EFBIG:
        limit = _find_size_limit()
        if limit is not None:
            return (
                f"A file would be larger than this process may write ({limit / 2**20:.3g} MB, ulimit -f)",
                "raise the limit",
            )
        return f"A file would be larger than the file system{at} can hold", "choose a place on another one"
    if number == _QUOTA:
        return f"Your quota{at} is used up", "remove files of yours there, or choose another place"
    if place is not None and _has_no_inodes(place):
        return (
            f"The file system{at} has no room for one more file, whatever its size (its inodes are used up)",
            "remove files there that nobody needs, or choose another place",
        )
    free = f" ({shutil.disk_usage(place).free / 2**20:.0f} MB free{at})" if place is not None else ""
    return f"The disk is full{free}", "free some space or choose another place"


def _find_size_limit() -> int | None:
    try:
        import resource
    except ImportError:  # Windows
        return None
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)[0]
    return limit if limit >= 0 and limit != resource.RLIM_INFINITY else None


def _has_no_inodes(place: Path) -> bool:
    if not hasattr(os, "statvfs"):
        return False
    counted = os.statvfs(place)
    return counted.f_files > 0 and counted.f_favail == 0
