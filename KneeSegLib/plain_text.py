"""Text from outside as a terminal may show it: names and headers of files can hold what it would obey."""

from __future__ import annotations

import re
from typing import Any

_OBEYED = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"  # control characters, C0 and C1, but for tab and new line
    "\u200e\u200f\u202a-\u202e\u2066-\u2069"  # those that turn the direction of writing
    "\u2028\u2029\ud800-\udfff]"  # other ends of lines, and halves of characters
)
_INSTEAD = "\N{REPLACEMENT CHARACTER}"
_ENDLESS = re.compile(r"[^\s/\\]{256,}")
"""Longer than the name of any file: a damaged or hostile value that a sentence quotes."""

_SHOWN = 60


def make_printable(text: str) -> str:
    """Return a text of any origin with a sign in the place of each character that a terminal obeys."""
    return _OBEYED.sub(_INSTEAD, text)


def make_one_line(text: str) -> str:
    """Return a printable text without ends of lines, which could pass a file's name off as another message.

    Of words without end the beginning is shown.
    """
    line = re.sub(r"\s*\n\s*", " ", text.strip())
    return make_printable(_ENDLESS.sub(lambda found: f"{found[0][:_SHOWN]}...", line))


def shorten(value: Any) -> str:
    """Return a value of any origin as a sentence quotes it: its beginning, where it is long."""
    try:
        text = repr(value)
    except ValueError:  # Python writes no number of thousands of digits
        return "a number without end"
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
