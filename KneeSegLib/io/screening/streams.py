"""Checksums of compressed voxels, which the readers of images do not look at: a bit that flipped is another image.

Where the voxels that were read are, byte for byte, what the stream holds, their checksum has to be that at its end;
this takes a thousandth of a second for a megabyte. Where they are not (turned, scaled, other byte order), the stream is
unpacked once more, in pieces.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Protocol

import numpy as np

from KneeSegLib.errors import InputError
from KneeSegLib.io.image_formats import shown_name
from KneeSegLib.io.screening.image_header import ImageHeader, Voxels, cut_short
from KneeSegLib.io.screening.settings import BLOCK_BYTES, SLACK_BYTES

if TYPE_CHECKING:
    import SimpleITK as sitk

_GZIP = b"\x1f\x8b"


class _Unpacker(Protocol):
    @property
    def unconsumed_tail(self) -> bytes: ...
    @property
    def unused_data(self) -> bytes: ...
    @property
    def eof(self) -> bool: ...
    def decompress(self, data: bytes, max_length: int = ..., /) -> bytes: ...


def require_checksum(header: ImageHeader, image: sitk.Image) -> None:
    """Raise unless the voxels of ``image``, read from the file of ``header``, are those that were compressed.

    Raises:
        InputError: the checksum is another one, or the stream does not unpack or holds too little; or voxels are no
            numbers, and the reader would not tell.
    """
    if header.voxels.packing in ("gzip", "zlib"):
        import SimpleITK as sitk

        if _has_checksum(header.voxels, sitk.GetArrayViewFromImage(image)):
            return
        require_sound_stream(header)
    if header.replaces_nan:
        _require_numbers(header)


def _require_numbers(header: ImageHeader) -> None:
    """Raise where voxels, as they are stored, are no numbers."""
    left, count, rest = header.value_bytes, 0, b""
    for block in _stored_blocks(header.voxels):
        content = (rest + block)[:left]
        whole = len(content) - len(content) % header.value_type.itemsize
        values = np.frombuffer(content[:whole], header.value_type)
        count += values.size - np.count_nonzero(np.isfinite(values))
        left, rest = left - whole, content[whole:]
        if not left:
            break
    if count:
        raise InputError(
            f"{shown_name(header.path)} holds {count} voxels that are not numbers (NaN or infinite), expected numbers "
            "alone; replace them, in a CT by -1024, in a label map by 0, before giving it."
        )


def _stored_blocks(voxels: Voxels) -> Iterator[bytes]:
    """Yield the voxels as they are stored, unpacked, without what comes before them."""
    if voxels.packing == "none":
        with open(voxels.path, "rb") as file:
            file.seek(voxels.start)
            while block := file.read(BLOCK_BYTES):
                yield block
        return
    before = len(voxels.before)
    for block in _unpack(voxels):
        if len(block) > before:
            yield block[before:]
        before = max(before - len(block), 0)


def require_sound_stream(header: ImageHeader) -> None:
    """Unpack the voxels, keeping nothing, and raise unless they are as many as the header says and unharmed.

    Raises:
        InputError: the checksum is another one, or the stream does not unpack or holds too little or too much.
    """
    voxels = header.voxels
    expected = len(voxels.before) + header.value_bytes
    found = 0
    try:
        for block in _unpack(voxels):
            found += len(block)
            if found > expected + SLACK_BYTES:
                raise InputError(
                    f"{shown_name(header.path)} holds more than the {header.value_bytes} bytes of image that its "
                    "header promises; copy or export it again."
                )
    except EOFError:
        raise cut_short(header.path, expected, found) from None
    except zlib.error as error:
        raise InputError(
            f"{shown_name(header.path)} is damaged: its compressed voxels are not those that were written ({error}); "
            "copy or export it again."
        ) from None
    if found < expected:
        raise cut_short(header.path, expected, found)


def _has_checksum(voxels: Voxels, values: np.ndarray) -> bool:
    """Return whether the checksum at the end of the stream is that of ``values``."""
    content = values.reshape(-1).data.cast("B")
    with open(voxels.path, "rb") as file:
        file.seek(voxels.start + max(voxels.stored_bytes - 8, 0))
        tail = file.read(8)
    if len(tail) < 8:
        return False
    if voxels.packing == "gzip":
        checksum, length = struct.unpack("<2I", tail)
        whole = len(voxels.before) + content.nbytes
        return length == whole % 2**32 and checksum == zlib.crc32(content, zlib.crc32(voxels.before))
    return struct.unpack(">I", tail[4:])[0] == zlib.adler32(content)


def _unpack(voxels: Voxels) -> Iterator[bytes]:
    """Yield what the stream holds; streams of gzip may follow each other, and zeros after them."""
    left = voxels.stored_bytes
    with open(voxels.path, "rb") as file:
        file.seek(voxels.start)
        content = b""

        def more() -> bytes:
            nonlocal left
            block = file.read(min(BLOCK_BYTES, left))
            left -= len(block)
            return block

        while True:
            unpacker: _Unpacker = zlib.decompressobj(wbits=47)  # gzip or zlib, as it begins
            while not unpacker.eof:
                content = content or more()
                if not content:
                    raise EOFError("they end too early")
                yield unpacker.decompress(content, BLOCK_BYTES)
                content = unpacker.unconsumed_tail
            content = (unpacker.unused_data or more()).lstrip(b"\0")
            while not content and left:
                content = more().lstrip(b"\0")
            if len(content) < 2:
                content += more()
            if not content.startswith(_GZIP):
                return
