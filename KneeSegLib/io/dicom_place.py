"""Where a DICOM series lies, to be found again: nothing where the names of its folders may be the patient's."""

from __future__ import annotations

import re
from pathlib import Path
from unicodedata import normalize

import pydicom

from KneeSegLib.io.dicom_folder import FolderContent
from KneeSegLib.io.dicom_series import Series

_NAMING_TAGS = ["PatientName", "PatientID", "OtherPatientNames", "PatientBirthDate", "AccessionNumber"]
_SHORTEST_PART = 3
"""Shorter words of ASCII letters are part of some word in every path by chance."""


def locate_series(content: FolderContent, series: Series) -> Path | None:
    """Return the file or folder that the user gave, absolute, in which a series is found again by its key.

    None where it is an archive, which is unpacked no more, or where a part of the path repeats what the header calls
    the patient. Names within the folder may be the patient's and are not told.
    """
    given = content.called.expanduser()
    if content.folder not in (given, given.parent):  # the folder of a DICOMDIR
        return None
    place = content.folder.absolute()
    known = _list_words(series.stack[0].path)
    return None if known is None or _repeats(str(place), known) else place


def _repeats(place: str, names: set[str]) -> bool:
    """Return whether a path holds one of the names: two ASCII letters as a word of their own, others as any part.

    One letter of the ASCII is no name; one sign of another script may be.
    """
    text = _normalise(place)
    words = _split(text)
    parts = {name for name in names if len(name) >= _SHORTEST_PART or not name.isascii()}
    short = {name for name in names - parts if len(name) > 1 and name.isalpha()}
    return bool(short & words) or any(name in text for name in parts)


def _list_words(path: Path) -> set[str] | None:
    """Return the words by which a header names the patient; None where it cannot be read."""
    try:
        header = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=_NAMING_TAGS, force=True)
        text = " ".join(str(header.get(keyword) or "") for keyword in _NAMING_TAGS)
    except Exception:  # a damaged header raises anything
        return None
    return _split(_normalise(text))


def _normalise(text: str) -> str:
    """Return a text as it compares: macOS writes the accents of file names as signs of their own."""
    return normalize("NFC", normalize("NFC", text).casefold())


def _split(text: str) -> set[str]:
    return set(re.split(r"[\W_]+", text)) - {""}
