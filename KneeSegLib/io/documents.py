"""Documents of text that come from anywhere (JSON, YAML, CSV): one regular file of a bounded size, read whole.

Nothing is opened that is no file, since a pipe may make a reader wait for ever.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from KneeSegLib.io.screening import require_regular_file

MOST_DOCUMENT_BYTES = 64 * 2**20
"""No record, mapping, table or description that is read here comes near this. Not measured."""


class UnreadableDocument(ValueError):
    """A document is none; what is wrong, in words that finish "it ..."."""


def read_document(path: Path, most_bytes: int = MOST_DOCUMENT_BYTES) -> str:
    """Return the text of a file in UTF-8.

    Raises:
        InputError: no regular file is there.
        UnreadableDocument: it is too long, no text, or may not be read.
    """
    found = require_regular_file(path)
    if found.st_size > most_bytes:
        raise UnreadableDocument(f"has {found.st_size / 2**20:.0f} MB")
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UnreadableDocument(f"cannot be read ({error.strerror})") from None
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise UnreadableDocument("is no text in UTF-8") from None


def read_json(path: Path, most_bytes: int = MOST_DOCUMENT_BYTES) -> Any:
    """Return what a JSON file holds, numbers that are none (NaN, infinity) refused.

    Raises:
        InputError: no regular file is there.
        UnreadableDocument: as :func:`read_document`, or it is no JSON.
    """
    text = read_document(path, most_bytes)
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        raise UnreadableDocument(f"is no JSON (line {error.lineno})") from None
    except (ValueError, RecursionError) as error:  # a number without end, lists within lists
        raise UnreadableDocument(f"is no JSON that can be read ({type(error).__name__})") from None


def _refuse_constant(name: str) -> float:
    raise ValueError(name)
