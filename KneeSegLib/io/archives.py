"""Zipped studies, unpacked into a temporary folder: nothing outside it, nothing endless, no links."""

from __future__ import annotations

import lzma
import shutil
import stat
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from KneeSegLib.errors import InputError, ResourceError
from KneeSegLib.io.dicom_walk import Walk
from KneeSegLib.io.file_places import describe_place
from KneeSegLib.io.image_formats import image_ending, is_image_name, shown_name
from KneeSegLib.io.settings import MOST_UNPACKED_BYTES, MOST_UNPACKED_FILES

_SYSTEM_FOLDER = "__MACOSX"
_ENCRYPTED = 0x1
_DAMAGES = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, ValueError, RuntimeError)
"""What zipfile raises of a damaged archive; RuntimeError also where a way of packing is not known."""


@contextmanager
def unpack_study(path: Path) -> Iterator[Path]:
    """Yield ``path``, or where it is a zip file, or a folder of nothing but zip files, a folder of what they hold.

    A zip file that holds one image file and no other stands for that file. The folder is removed afterwards.

    Raises:
        InputError: the archive is damaged, encrypted, holds more than a scan can be, or leads out of its folder.
        ResourceError: the disk has no room for it.
    """
    archives = _find_archives(path)
    if not archives:
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="kneeseg-") as folder:
        for number, archive in enumerate(archives):
            name = shown_name(path) if archive == path else f"{shown_name(path)} ({describe_place(archive)})"
            _unpack(archive, Path(folder, str(number)), name)
        files = list(Walk().files_below(Path(folder)))
        alone = len(files) == 1 and is_image_name(files[0].name)
        yield _call_like(path, files[0]) if alone else _descend(Path(folder))


def _descend(folder: Path) -> Path:
    """Return the uppermost folder that holds more than a folder: archives begin with one of their own name."""
    while len(entries := list(folder.iterdir())) == 1 and entries[0].is_dir():
        (folder,) = entries
    return folder


def _call_like(given: Path, image: Path) -> Path:
    """Give an unpacked image the name of what the user gave: the name within the archive may be the patient's."""
    name = shown_name(given)
    called = image.parent / "called" / f"{name[:-4] if name.lower().endswith('.zip') else name}{image_ending(image)}"
    called.parent.mkdir()
    return image.rename(called)


def _find_archives(path: Path) -> list[Path]:
    if path.is_file():
        return [path] if zipfile.is_zipfile(path) and not is_image_name(path.name) else []
    if not path.is_dir():
        return []
    archives = []
    for file in Walk().files_below(path):
        if file.suffix.lower() != ".zip" or not zipfile.is_zipfile(file):
            return []  # what lies beside the archives is what is meant
        archives.append(file)
    return archives


def _unpack(archive: Path, folder: Path, name: str) -> None:
    """Unpack an archive, which messages call ``name``, into a folder."""
    try:
        with zipfile.ZipFile(archive) as opened:
            members = [member for member in opened.infolist() if _is_wanted(member, name)]
            _require_room(members, name)
            for member in members:
                target = folder.joinpath(*PurePosixPath(member.filename.replace("\\", "/")).parts)
                target.parent.mkdir(parents=True, exist_ok=True)
                with opened.open(member) as source, open(target, "wb") as file:
                    shutil.copyfileobj(source, file)  # no more than the archive's list says
    except (*_DAMAGES, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:  # without a number it is bz2's, of damaged data
            raise ResourceError(
                f"{name} could not be unpacked ({error.strerror}); unpack it yourself and give the folder that comes "
                "out."
            ) from error
        raise InputError(
            f"{name} cannot be unpacked to its end: it is cut short, damaged or packed in an unknown way; unpack it "
            "yourself and give the folder that comes out."
        ) from error


def _is_wanted(member: zipfile.ZipInfo, name: str) -> bool:
    if member.is_dir() or stat.S_ISLNK(member.external_attr >> 16) or _SYSTEM_FOLDER in member.filename:
        return False
    parts = PurePosixPath(member.filename.replace("\\", "/")).parts
    if not parts or ".." in parts or parts[0] == "/" or "\0" in member.filename:
        raise InputError(f"{name} holds a file that would lie outside its folder; unpack it yourself, with care.")
    if ":" in "".join(parts):  # which leads to another drive or into another file on Windows
        raise InputError(
            f"{name} holds a file or folder with a colon in its name, which not every system can have; unpack it "
            "yourself and give the folder that comes out."
        )
    if member.flag_bits & _ENCRYPTED:
        raise InputError(f"{name} is encrypted with a password; unpack it and give the folder that comes out.")
    return True


def _require_room(members: list[zipfile.ZipInfo], name: str) -> None:
    total = sum(member.file_size for member in members)
    if total > MOST_UNPACKED_BYTES or len(members) > MOST_UNPACKED_FILES:
        raise InputError(
            f"{name} holds {len(members)} files of {total / 2**30:.1f} GiB, more than a scan can be; unpack what you "
            "need and give its folder."
        )
    free = shutil.disk_usage(tempfile.gettempdir()).free
    if total > free:
        raise ResourceError(
            f"Unpacking {name} takes {total / 2**30:.1f} GiB and {free / 2**30:.1f} GiB are free in the folder of "
            "temporary files; free some space, or unpack it elsewhere and give the folder that comes out."
        )
