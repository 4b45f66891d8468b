"""Why something could not be written, in a sentence."""

from __future__ import annotations

import errno
import shutil
from pathlib import Path

from KneeSegLib.errors import OutputError

_NO_SPACE = {errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC)}
_NO_ACCESS = {errno.EACCES, errno.EPERM, errno.EROFS}


def concerns_output(error: OSError, partial: Path, target: Path) -> bool:
    """Whether ``error`` comes from a full disk or names the output or a folder above it."""
    if error.errno in _NO_SPACE:
        return True
    names = (str(name) for name in (error.filename, error.filename2) if name)
    return any(name.startswith((str(partial), str(target))) or name in map(str, target.parents) for name in names)


def explain_write_error(error: OSError, target: Path) -> OutputError:
    """Return the sentence for a user: why ``target`` could not be written, and what to do."""
    if error.errno in _NO_SPACE:
        free_mb = shutil.disk_usage(_find_existing(target)).free / 2**20
        return OutputError(
            f"The disk is full ({free_mb:.0f} MB free at {_find_existing(target)}), so {target.name} was not "
            "written and what was there before is as it was; free some space or choose another place."
        )
    if error.errno in _NO_ACCESS:
        return OutputError(
            f"{target.parent} cannot be written to ({error.strerror}); choose a folder that you may write to."
        )
    return OutputError(f"{target} could not be written ({error.strerror or error}); choose another place.")


def _find_existing(path: Path) -> Path:
    return next(parent for parent in (path, *path.parents) if parent.exists())
