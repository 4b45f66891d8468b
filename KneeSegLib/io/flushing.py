"""What was written reaches the disk before it takes its name: a machine that loses power keeps the old or the new."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path


def flush_to_disk(path: Path) -> None:
    """Wait until a file, or every file and folder below ``path``, is on the disk.

    Files with several names are left out: they are the user's own, linked and not written.

    Raises:
        OSError: the disk is full or broken; what some file systems tell only here.
    """
    if not path.is_dir():
        _flush_file(path)
        return
    for parent, _, files in os.walk(path, topdown=False):
        for name in files:
            _flush_file(Path(parent, name))
        flush_entry(Path(parent))


def flush_entry(folder: Path) -> None:
    """Wait until the names in ``folder`` are on the disk, as far as the system offers it for folders."""
    if os.name == "nt":  # cannot open folders
        return
    with suppress(OSError):  # file systems that cannot; names are then as safe as they were
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _flush_file(path: Path) -> None:
    if path.is_symlink() or not path.is_file() or path.stat().st_nlink > 1:
        return
    try:
        descriptor = os.open(path, os.O_RDWR if os.name == "nt" else os.O_RDONLY)
    except PermissionError:  # a copy of a file of the user that nobody may read
        return
    try:
        os.fsync(descriptor)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error
    finally:
        os.close(descriptor)
