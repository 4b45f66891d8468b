"""Headers that are lines of text: read whole, each field once, and nothing in them that a terminal would obey."""

from __future__ import annotations

import re
from pathlib import Path

from KneeSegLib.io.screening.image_header import damaged
from KneeSegLib.io.screening.settings import MOST_HEADER_BYTES

_NO_TEXT = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


def read_header_bytes(path: Path) -> bytes:
    """Return the first bytes of a file, as many as a header may have."""
    with open(path, "rb") as file:
        return file.read(MOST_HEADER_BYTES)


def split_lines(header: bytes, longest: int, path: Path) -> list[str]:
    """Return the lines of a header.

    Raises:
        InputError: it holds what is no text, or a line that is too long for those who read it next.
    """
    control = _NO_TEXT.search(header)
    if control is not None:
        raise damaged(path, f"its header holds the byte {control[0][0]}, which is no text")
    lines = [line.removesuffix(b"\r") for line in header.split(b"\n")]
    if any(len(line) > longest for line in lines):
        raise damaged(path, f"its header has a line of more than {longest} characters")
    return [line.decode("utf-8", "replace") for line in lines]


def add_field(fields: dict[str, str], key: str, value: str, path: Path) -> None:
    """Add a field; of two of one name readers take the one or the other.

    Raises:
        InputError: it was there already.
    """
    if key in fields:
        raise damaged(path, f"its header has the field {key[:40]!r} twice")
    fields[key] = value
