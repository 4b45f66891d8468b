"""The pictures that the catalogue shows: where they lie, and how large they are."""

from __future__ import annotations

import struct
from pathlib import Path
from urllib.parse import urlsplit

RAW_HOST = "raw.githubusercontent.com"
_PNG = b"\x89PNG\r\n\x1a\n"


def path_in_tree(address: str, scm_url: str, branch: str) -> str | None:
    """Return the path in the repository that a raw address shows, or None if it shows another repository or branch."""
    parts = urlsplit(address)
    owner_and_name = urlsplit(scm_url).path.strip("/").removesuffix(".git")
    prefix = f"/{owner_and_name}/{branch}/"
    if parts.scheme != "https" or parts.netloc != RAW_HOST or not parts.path.startswith(prefix):
        return None
    return parts.path.removeprefix(prefix)


def png_size(path: Path) -> tuple[int, int] | None:
    """Return width and height in pixels, or None if the file is no PNG."""
    head = path.read_bytes()[:24]
    if not head.startswith(_PNG) or len(head) < 24:
        return None
    return struct.unpack(">II", head[16:24])
