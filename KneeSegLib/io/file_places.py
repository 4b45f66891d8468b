"""How a file out of a folder of images is named in messages: by its place, since its name may hold the patient's."""

from __future__ import annotations

import os
from pathlib import Path


def describe_place(path: Path) -> str:
    """Return ``"file 12 of 240"``: where a file stands among those of its own folder that are shown, by name.

    Names that begin with a dot are not counted; capitals go before small letters.
    """
    try:
        names = sorted(entry.name for entry in os.scandir(path.parent) if _counts(entry))
        return f"file {names.index(path.name) + 1} of {len(names)}"
    except (OSError, ValueError):  # it was taken away
        return "a file that is not there any more"


def _counts(entry: os.DirEntry[str]) -> bool:
    return not entry.name.startswith(".") and not entry.is_dir()
