"""DICOM that is deflated as a whole, which pydicom inflates in one piece however large that gets."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

from KneeSegLib.io.screening.settings import BLOCK_BYTES

_DEFLATED = b"1.2.840.10008.1.2.1.99"
_META = struct.Struct("<HH2sHI")  # group, element, UL, 4, bytes of the other elements of the group
_META_AT = 132


def inflates_beyond(path: Path, most_bytes: int) -> bool:
    """Return whether a file is deflated DICOM that takes more memory than ``most_bytes``, up to where it is damaged."""
    try:
        return _inflate(path, most_bytes)
    except (struct.error, zlib.error):  # what reads it next says so
        return False


def _inflate(path: Path, most_bytes: int) -> bool:
    with open(path, "rb") as file:
        start = file.read(1024)
        if _DEFLATED not in start:
            return False
        _, _, _, _, length = _META.unpack_from(start, _META_AT)
        file.seek(_META_AT + _META.size + length)
        inflate, inflated = zlib.decompressobj(-zlib.MAX_WBITS), 0
        while not inflate.eof:
            packed = inflate.unconsumed_tail or file.read(BLOCK_BYTES)
            if not packed:
                return False
            inflated += len(inflate.decompress(packed, BLOCK_BYTES))
            if inflated > most_bytes:
                return True
    return False
