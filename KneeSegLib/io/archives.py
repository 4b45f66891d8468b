"""Zipped studies, unpacked into a temporary folder: nothing outside it, nothing endless, no links."""

from __future__ import annotations

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
from KneeSegLib.io.image_formats import is_image_name, shown_name
from KneeSegLib.io.settings import MOST_UNPACKED_BYTES, MOST_UNPACKED_FILES

_CHUNK = 1 << 20
_SYSTEM_FOLDER = "__MACOSX"
_ENCRYPTED = 0x1


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
            _unpack(archive, Path(folder, str(number)))
        images = [file for file in Walk().files_below(Path(folder)) if is_image_name(file.name)]
        yield images[0] if len(images) == 1 and len(list(Walk().files_below(Path(folder)))) == 1 else Path(folder)


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


def _unpack(archive: Path, folder: Path) -> None:
    name = shown_name(archive)
    try:
        with zipfile.ZipFile(archive) as opened:
            members = [member for member in opened.infolist() if _is_wanted(member, name)]
            _require_room(members, name)
            for member in members:
                target = folder.joinpath(*PurePosixPath(member.filename.replace("\\", "/")).parts)
                target.parent.mkdir(parents=True, exist_ok=True)
                with opened.open(member) as source, open(target, "wb") as file:
                    _copy(source, file, member.file_size, name)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        raise InputError(
            f"{name} cannot be unpacked to its end: it is cut short, damaged or packed in an unknown way; unpack it "
            "yourself and give the folder that comes out."
        ) from error
    except OSError as error:
        raise ResourceError(
            f"{name} could not be unpacked ({error.strerror or 'a name in it cannot be written here'}); unpack it "
            "yourself and give the folder that comes out."
        ) from error


def _is_wanted(member: zipfile.ZipInfo, name: str) -> bool:
    if member.is_dir() or stat.S_ISLNK(member.external_attr >> 16) or _SYSTEM_FOLDER in member.filename:
        return False
    parts = PurePosixPath(member.filename.replace("\\", "/")).parts
    if not parts or ".." in parts or parts[0] == "/" or ":" in parts[0] or "\0" in member.filename:
        raise InputError(f"{name} holds a file that would lie outside its folder; unpack it yourself, with care.")
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


def _copy(source, file, declared: int, name: str) -> None:
    """Copy what a file of an archive holds, and no more than the archive's list says."""
    written = 0
    while chunk := source.read(_CHUNK):
        written += len(chunk)
        if written > declared:
            raise InputError(f"{name} holds more than its list says, as no honest archive does; it was not unpacked.")
        file.write(chunk)
