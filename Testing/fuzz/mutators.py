"""Changes of a file, drawn at random from a seed: what disks, transfers, editors and attackers do to one."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable
from typing import Any

NUMBERS = ("-1", "0", "nan", "inf", "-inf", "1e300", "1e-300", "4294967296", "99999999999999999999", "1,5", "0x10", "")
WORDS = (
    "",
    "..",
    "../../x",
    "/etc/hostname",
    "\x1b[2J",
    "a\nb",
    "%s%n",
    "LIST",
    "LOCAL",
    "\u202e",
    "x" * 5000,
    "http://x/y",
)
VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 2**70, 1.5, float("nan"), float("inf"), "", "..", "nan", [], {}, [[]], [None]),
    *([-1, 0, 1], {"_target_": "os.system"}, "x" * 3000, "\x1b[2J", "/etc/passwd", "http://127.0.0.1:9/x"),
)

Mutator = Callable[[bytes, random.Random], bytes]


def flip_bit(content: bytes, draw: random.Random) -> bytes:
    """Return the content with one bit turned, as memory and disks do it."""
    changed = bytearray(content)
    if changed:
        changed[draw.randrange(len(changed))] ^= 1 << draw.randrange(8)
    return bytes(changed)


def flip_bit_at_the_start(content: bytes, draw: random.Random) -> bytes:
    """Return the content with one bit of its first 400 bytes turned, where headers are."""
    return flip_bit(content[:400], draw) + content[400:]


def cut(content: bytes, draw: random.Random) -> bytes:
    """Return the beginning of the content."""
    return content[: draw.randrange(len(content) + 1)]


def overwrite(content: bytes, draw: random.Random) -> bytes:
    """Return the content with some bytes replaced by others: random, zero or all ones."""
    start = draw.randrange(len(content) + 1)
    length = draw.choice((1, 2, 4, 8, 64))
    filling = draw.choice((draw.randbytes(length), b"\0" * length, b"\xff" * length))
    return content[:start] + filling + content[start + length :]


def remove(content: bytes, draw: random.Random) -> bytes:
    """Return the content without a piece of it."""
    start = draw.randrange(len(content) + 1)
    return content[:start] + content[start + draw.choice((1, 4, 50, 400)) :]


def repeat(content: bytes, draw: random.Random) -> bytes:
    """Return the content with a piece of it twice."""
    start = draw.randrange(len(content) + 1)
    return content[:start] + content[start : start + draw.choice((1, 4, 50, 400))] + content[start:]


def replace_number(content: bytes, draw: random.Random) -> bytes:
    """Return text in which one number is another, or none."""
    found = list(re.finditer(rb"-?\d+\.?\d*(?:e[-+]?\d+)?", content[:20_000]))
    if not found:
        return flip_bit(content, draw)
    chosen = draw.choice(found)
    return content[: chosen.start()] + draw.choice(NUMBERS).encode() + content[chosen.end() :]


def replace_word(content: bytes, draw: random.Random) -> bytes:
    """Return text in which one word is another."""
    found = list(re.finditer(rb"[A-Za-z_./-]{2,}", content[:20_000]))
    if not found:
        return flip_bit(content, draw)
    chosen = draw.choice(found)
    return content[: chosen.start()] + draw.choice(WORDS).encode("utf-8") + content[chosen.end() :]


def drop_line(content: bytes, draw: random.Random) -> bytes:
    """Return text without one of its lines."""
    lines = content.split(b"\n")
    del lines[draw.randrange(len(lines))]
    return b"\n".join(lines)


def replace_value(content: bytes, draw: random.Random) -> bytes:
    """Return JSON in which one value, at any depth, is of another type or size, or gone."""
    try:
        document = json.loads(content)
    except ValueError:
        return flip_bit(content, draw)
    places = list(_places(document))
    if not places:
        return json.dumps(draw.choice(VALUES)).encode()
    table, key = draw.choice(places)
    if draw.random() < 0.2:
        del table[key]
    else:
        table[key] = draw.choice(VALUES)
    return json.dumps(document).encode()


def _places(document: Any) -> Any:
    entries = (
        document.items() if isinstance(document, dict) else enumerate(document) if isinstance(document, list) else ()
    )
    for key, value in entries:
        yield document, key
        yield from _places(value)


BINARY: tuple[Mutator, ...] = (flip_bit, flip_bit, flip_bit_at_the_start, cut, overwrite, remove, repeat)
TEXT: tuple[Mutator, ...] = (replace_number, replace_number, replace_word, drop_line, flip_bit, cut, repeat, overwrite)
HEADED: tuple[Mutator, ...] = (*BINARY, replace_number, replace_number, replace_word, drop_line)
JSON: tuple[Mutator, ...] = (replace_value, replace_value, replace_value, replace_value, *TEXT)
