"""What an image file is by its contents, whatever its name, and how to hand it to readers that go by names."""

from __future__ import annotations

import os
import shutil
import struct
import tempfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from KneeSegLib.errors import InputError

Format = Literal["NIfTI", "NRRD", "MetaImage"]

HEADER_BYTES = 1 << 16
"""More than any header of a MetaImage or NIfTI file, and than the fields of an NRRD that matter here."""

_GZIP = b"\x1f\x8b"
_ARCHIVES = (b"PK\x03\x04", b"7z\xbc\xaf\x27\x1c", b"Rar!", b"BZh", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd")
_ARCHIVE_ENDINGS = (".zip", ".tar", ".tgz", ".tar.gz", ".dcm.gz", ".7z", ".rar")
_PACKED_ENDINGS = (*(ending for ending in _ARCHIVE_ENDINGS if ending.count(".") == 1), ".gz", ".bz2", ".xz", ".zst")
_ENDINGS: dict[Format, tuple[str, ...]] = {
    "NIfTI": (".nii", ".nii.gz", ".hdr", ".img", ".hdr.gz", ".img.gz"),
    "NRRD": (".nrrd", ".nhdr"),
    "MetaImage": (".mha", ".mhd"),
}


def shown_name(path: Path) -> str:
    """Return the file's name for messages and results; bytes of it that are no UTF-8 become a question mark."""
    return path.name.encode("utf-8", "replace").decode("utf-8")


def is_image_name(name: str) -> bool:
    """Return whether a file's name ends as those of volumes do that are no DICOM."""
    return image_ending(Path(name)) != ""


def image_ending(path: Path) -> str:
    """Return the ending of a volume's file that is no DICOM, in small letters; empty for another file."""
    return _find_ending(path, [ending for endings in _ENDINGS.values() for ending in endings])


def archive_ending(path: Path) -> str:
    """Return the last ending of the name of an archive or a compressed file; empty where it has none that is known."""
    return _find_ending(path, _PACKED_ENDINGS)


def begins_like_archive(path: Path) -> bool:
    """Return whether the file is an archive or compressed as a whole in a way that no image reader knows."""
    with open(path, "rb") as file:
        start = file.read(8)
    return start.startswith(_ARCHIVES) or path.name.lower().endswith(_ARCHIVE_ENDINGS)


def describe_stand_in(path: Path) -> str | None:
    """Return the sentence for a file that stands where an image should be and was never fetched; None for others."""
    with open(path, "rb") as file:
        start = file.read(256).lstrip().lower()
    if start.startswith((b"version https://git-lfs", b"/annex/objects/")):
        return (
            f"{shown_name(path)} is a pointer of Git LFS or git-annex and not the image itself; fetch it (git lfs "
            "pull, git annex get) and try again."
        )
    if start.startswith((b"<!doctype html", b"<html")):
        return (
            f"{shown_name(path)} is a web page and no image, such as a download leaves that needs a login; download it "
            "again."
        )
    return None


def is_archive(path: Path, start: bytes) -> bool:
    """Return whether a file that begins with these bytes, and is called like no image, is an archive or compressed."""
    return start.startswith((*_ARCHIVES, _GZIP)) or path.name.lower().endswith(_ARCHIVE_ENDINGS)


def read_start(path: Path) -> bytes:
    """Return the first bytes of a file, unpacked where it is compressed with gzip as a whole."""
    with open(path, "rb") as file:
        start = file.read(HEADER_BYTES)
    if not start.startswith(_GZIP):
        return start
    try:
        return zlib.decompressobj(wbits=31).decompress(start, HEADER_BYTES)  # also of a stream that is cut short
    except zlib.error:
        return b""


def recognise_format(start: bytes) -> Format | None:
    """Return the format of a file that begins with these bytes; None for one that is not among the three."""
    if start.startswith(b"NRRD0"):
        return "NRRD"
    if any(start[:4] == struct.pack(order + "i", size) for order in "<>" for size in (348, 540)):
        return "NIfTI"
    first = start[:200].partition(b"=")[0].strip()
    return "MetaImage" if first in (b"ObjectType", b"NDims", b"Comment") else None


@contextmanager
def readable_path(path: Path) -> Iterator[Path]:
    """Yield a path under which image readers find the file: its own, or a link to it with the ending of its contents.

    Readers choose the format by the name's ending, and take only names that are UTF-8.

    Raises:
        InputError: an NRRD or MetaImage that was compressed as a whole.
    """
    ending = _right_ending(path)
    if ending is None:
        with encodable_paths([path]) as (found,):
            yield found
        return
    with tempfile.TemporaryDirectory(prefix="kneeseg-") as folder:
        link = Path(folder, shown_name(path).replace("?", "_") + ending)
        _link(path, link)
        yield link


@contextmanager
def encodable_paths(paths: Sequence[Path]) -> Iterator[list[Path]]:
    """Yield the paths, those that are no UTF-8 replaced by links that are: C++ libraries take no other names."""
    if all(map(_is_encodable, paths)):
        yield list(paths)
        return
    with tempfile.TemporaryDirectory(prefix="kneeseg-") as folder:
        links: list[Path] = []
        for number, path in enumerate(paths):
            if _is_encodable(path):
                links.append(path)
                continue
            if _is_encodable(Path(path.name)):  # a link to the folder: a header may name a file beside it
                parent = Path(folder, str(number))
                _link(path.parent, parent)
                links.append(parent / path.name)
            else:
                links.append(Path(folder, f"{number}-{shown_name(path).replace('?', '_')}"))
                _link(path, links[-1])
        yield links


def _find_ending(path: Path, endings: Sequence[str]) -> str:
    return next((ending for ending in endings if path.name.lower().endswith(ending)), "")


def _right_ending(path: Path) -> str | None:
    """Return the ending that the contents ask for and the name lacks; None where the name will do."""
    start = read_start(path)
    kind = recognise_format(start)
    if kind is None:
        return None
    with open(path, "rb") as file:
        packed = file.read(2) == _GZIP
    name = path.name.lower()
    if packed and kind != "NIfTI":
        raise InputError(
            f"{shown_name(path)} is {'an' if kind == 'NRRD' else 'a'} {kind} file compressed with gzip as a whole, "
            "which image readers do not open; unpack it and give what comes out."
        )
    if kind == "NIfTI" and packed:
        return None if name.endswith(".gz") and name.endswith(_ENDINGS[kind]) else ".nii.gz"
    if name.endswith(_ENDINGS[kind]):
        return None
    return {"NIfTI": ".nii", "NRRD": ".nrrd", "MetaImage": ".mha"}[kind]


def _is_encodable(path: Path) -> bool:
    try:
        str(path).encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _link(path: Path, link: Path) -> None:
    """Link to a file or folder; where the system allows no links, copy it."""
    try:
        os.symlink(path.resolve(), link, target_is_directory=path.is_dir())
    except OSError:
        if path.is_dir():
            shutil.copytree(path, link)
        else:
            shutil.copyfile(path, link)
