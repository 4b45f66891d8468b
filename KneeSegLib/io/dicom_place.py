"""Where a DICOM series lies, to be found again: nothing where the names of its folders may be the patient's."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pydicom

from KneeSegLib.io.dicom_series import Series

_NAMING_TAGS = ["PatientName", "PatientID", "OtherPatientNames", "PatientBirthDate", "AccessionNumber"]
_SHORTEST_WORD = 3
"""Initials and the like are in every path by chance."""


def locate_series(series: Series) -> Path | None:
    """Return the deepest folder that holds all files of a series, absolute, or the file where there is only one.

    None where a part of it repeats what the header calls the patient.
    """
    files = {plane.path.absolute() for plane in series.stack}
    place = Path(os.path.commonpath([path.parent for path in files])) if len(files) > 1 else files.pop()
    known = _list_words(series.stack[0].path)
    return None if known is None or any(word in str(place).casefold() for word in known) else place


def _list_words(path: Path) -> set[str] | None:
    """Return the words by which a header names the patient; None where it cannot be read."""
    try:
        header = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=_NAMING_TAGS, force=True)
        text = " ".join(str(header.get(keyword) or "") for keyword in _NAMING_TAGS)
    except Exception:  # a damaged header raises anything
        return None
    return {word for word in re.split(r"[\W_]+", text.casefold()) if len(word) >= _SHORTEST_WORD}
