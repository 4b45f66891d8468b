"""Checkpoints as torch writes them are zip files with a checksum for each part, which torch itself does not look at."""

from __future__ import annotations

import zipfile
from pathlib import Path

from KneeSegLib.errors import InputError
from KneeSegLib.io.screening import require_regular_file


def is_zip(path: Path) -> bool:
    """Return whether a checkpoint begins like a zip file, as all do since torch 1.6.

    Raises:
        InputError: it is no regular file, or cannot be opened.
    """
    require_regular_file(path)
    try:
        with path.open("rb") as file:
            return file.read(2) == b"PK"
    except OSError as error:
        raise InputError(f"{path} cannot be opened ({error.strerror}); ask for the right to read it.") from None


def describe_damage(path: Path) -> str:
    """Return what is wrong with a checkpoint before anything in it is read; nothing where it is whole.

    Raises:
        InputError: it is no regular file.
    """
    require_regular_file(path)
    try:
        with zipfile.ZipFile(path) as archive:
            if any(part.compress_type != zipfile.ZIP_STORED or part.flag_bits & 1 for part in archive.infolist()):
                return "its parts are packed, and torch packs none"
            damaged = archive.testzip()
    except (zipfile.BadZipFile, OSError, ValueError, EOFError, NotImplementedError, RuntimeError):
        return "it is cut short, damaged or none"
    return f"the checksum of its part {damaged[-40:]!r} is another one" if damaged else ""


def require_sound_checkpoint(path: Path, advice: str) -> None:
    """Raise unless the checkpoint at ``path`` is whole.

    Raises:
        InputError: it is not; ``advice`` ends the sentence.
    """
    damage = describe_damage(path)
    if damage:
        raise InputError(f"The checkpoint {path.name} cannot be read ({damage}); {advice}.")
