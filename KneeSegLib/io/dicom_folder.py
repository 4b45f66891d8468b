"""What a folder holds: DICOM slices with a place in space, and everything else, counted."""

from __future__ import annotations

import warnings
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path

import pydicom
from pydicom.dataset import Dataset
from pydicom.uid import MediaStorageDirectoryStorage

from KneeSegLib.errors import InputError
from KneeSegLib.io.dicom_headers import (
    HEADER_TAGS,
    ODD_LENGTH,
    describe_missing_place,
    ignored_as,
    is_cut_short,
    parse_slices,
)
from KneeSegLib.io.dicom_numbers import describe_unreadable_number, repair_decimal_commas
from KneeSegLib.io.dicom_slice import Slice
from KneeSegLib.io.dicom_walk import Walk
from KneeSegLib.io.file_places import describe_place
from KneeSegLib.io.image_formats import archive_ending, is_archive, is_image_name
from KneeSegLib.io.screening.deflated_dicom import inflates_beyond
from KneeSegLib.io.screening.settings import LARGEST_INFLATED
from KneeSegLib.io.slice_images import SUFFIXES, find_slice_images


@dataclass
class FolderContent:
    """What a folder and its sub-folders hold.

    Attributes:
        folder: that was read, or the file.
        called: what messages call it.
        slices: planes of pixels of CT and MR.
        ignored: how many other DICOM objects, by their kind.
        unreadable: files that are DICOM by their beginning or their name and cannot be read, and why.
        directories: DICOMDIR files, which list images and are none.
        broken_links: links whose file is not there.
        closed: folders that may not be opened.
        image_files: volumes of other formats.
        archives: zip files and others, which are not looked into.
        pictures: how many files are called like pictures (PNG, TIFF...).
        other_files: how many others there are.
    """

    folder: Path
    called: Path
    slices: list[Slice] = field(default_factory=list)
    ignored: Counter[str] = field(default_factory=Counter)
    unreadable: dict[Path, str] = field(default_factory=dict)
    directories: list[Path] = field(default_factory=list)
    broken_links: list[Path] = field(default_factory=list)
    closed: list[Path] = field(default_factory=list)
    image_files: list[Path] = field(default_factory=list)
    archives: list[Path] = field(default_factory=list)
    pictures: int = 0
    other_files: int = 0


def read_folder(folder: Path, called: Path | None = None) -> FolderContent:
    """Read the headers of every file in ``folder`` and below it, but for names that begin with a dot.

    Links are followed. A DICOMDIR stands for the folder that it lies in.

    Args:
        called: what messages name instead, where ``folder`` is a temporary one.

    Raises:
        InputError: there is no such folder.
    """
    if not folder.exists():
        raise InputError(f"There is no file or folder {folder}; check the path.")
    if is_directory_file(folder):
        folder = folder.parent
    if not folder.is_dir():
        raise InputError(f"{folder} is a file, expected a folder of DICOM images; give the folder that it lies in.")
    content = FolderContent(folder, called or folder)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom comments on every odd value of tags that do not matter here
        walk = Walk()
        for path in walk.files_below(folder):
            _add_file(path, content)
    content.broken_links, content.closed = walk.broken_links, walk.closed
    return content


def read_dicom_file(path: Path) -> FolderContent:
    """Return what one DICOM file holds: a slice, or one per frame, or something else."""
    content = FolderContent(path, path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        _add_file(path, content)
    return content


def is_directory_file(path: Path) -> bool:
    """Return whether the file is a DICOMDIR, which a CD may call ``DICOMDIR;1`` and an exporter ``dicomdir.dcm``."""
    if not path.is_file() or not is_dicom(path):
        return False
    try:
        if inflates_beyond(path, LARGEST_INFLATED):
            return False
        return _is_directory(pydicom.dcmread(path, specific_tags=["SOPClassUID"], stop_before_pixels=True, force=True))
    except Exception:  # damaged: what reads it next says so
        return False


def is_dicom(path: Path) -> bool:
    """Return whether the file begins like DICOM, with or without the preamble of the standard."""
    with open(path, "rb") as file:
        start = file.read(132)
    return start[128:] == b"DICM" or _begins_without_preamble(start)


def describe_missing_slices(content: FolderContent) -> str:
    """Return the sentence for a folder that holds no slice: what it holds instead, and what to do."""
    folder, expected = content.called, "expected the slices of a CT or MR series"
    images = find_slice_images(content.folder) if content.folder.is_dir() else []
    if len(images) > 1 and not content.image_files:
        return (
            f"{folder} holds no DICOM but {len(images)} numbered images ({images[0].suffix.lower()}), which do not say "
            "where they lie; if they are the slices of a scan, give their distances in mm with "
            "--spacing COLUMNS,ROWS,SLICES."
        )
    if content.image_files:
        count = len(content.image_files)
        files = "an image file" if count == 1 else f"{count} image files"
        return (
            f"{folder} holds no DICOM slices but {files} ({describe_place(content.image_files[0])}); give "
            f"{'that file' if count == 1 else 'one of these files'} instead of its folder."
        )
    if content.ignored:
        kinds = ", ".join(f"{count} {kind}" for kind, count in content.ignored.most_common())
        export = ", or export the images with what they lack" if " without " in kinds else ""
        return f"{folder} holds no volume ({kinds}), {expected}; give another folder{export}."
    if content.unreadable:
        (first, reason), count = next(iter(content.unreadable.items())), len(content.unreadable)
        return (
            f"{folder} holds {count} DICOM {'file' if count == 1 else 'files'} that cannot be read (the first is "
            f"{describe_place(first)}: {reason}), {expected}; copy or export them again."
        )
    if content.broken_links:
        return (
            f"{folder} holds {len(content.broken_links)} links to files that are not there (the first is "
            f"{describe_place(content.broken_links[0])}), {expected}; fetch those files, or give the folder that they "
            "lie in."
        )
    if content.closed:
        count = len(content.closed)
        folders = "a folder" if count == 1 else f"{count} folders"
        return f"In {folder} {folders} may not be opened, {expected}; ask for the right to read it."
    if content.directories:
        return (
            f"{folder} holds a DICOMDIR and none of the images that it lists, {expected}; copy the whole disc and give "
            "its folder."
        )
    if content.archives:
        count, kinds = len(content.archives), sorted({archive_ending(path) for path in content.archives} - {""})
        of_kinds = f" ({', '.join(kinds)})" if kinds else ""
        return (
            f"{folder} holds {count} {'archive' if count == 1 else 'archives'}{of_kinds} and no image "
            f"beside, {expected}; unpack {'it' if count == 1 else 'them'} and give the folder that comes out."
        )
    if content.pictures:
        count = "1 picture" if content.pictures == 1 else f"{content.pictures} pictures"
        return (
            f"{folder} holds no DICOM but {count} (PNG, TIFF, BMP or JPEG), {expected}; if they are the slices of a "
            "scan, give the folder in which they lie, each with its number at the end of its name (slice_001.png), and "
            "--spacing COLUMNS,ROWS,SLICES."
        )
    if content.other_files:
        count = content.other_files
        files = "1 file" if count == 1 else f"{count} files"
        return f"{folder} holds {files} but no image, {expected}; give the folder of the images."
    if content.folder.is_dir() and any(content.folder.iterdir()):
        return (
            f"{folder} holds nothing but empty folders or names that begin with a dot, which are left out, {expected}; "
            "give the folder of the images."
        )
    return f"{folder} is empty, {expected}; give the folder of the images."


def _begins_without_preamble(start: bytes) -> bool:
    return start[:2] in (b"\x02\x00", b"\x08\x00") and start[3:4] == b"\x00" and len(start) == 132


def _add_file(path: Path, content: FolderContent) -> None:
    try:
        with open(path, "rb") as file:
            start = file.read(132)
    except OSError:
        content.unreadable[path] = "it cannot be opened"
        return
    has_preamble = start[128:] == b"DICM"
    if not has_preamble and not _begins_without_preamble(start):
        if is_image_name(path.name):
            content.image_files.append(path)
        elif is_archive(path, start):
            content.archives.append(path)
        elif path.suffix.lower() in (".dcm", ".dicom"):
            content.unreadable[path] = "it is empty" if not start else "it does not begin like DICOM"
        elif path.suffix.lower() in SUFFIXES:
            content.pictures += 1
        else:
            content.other_files += 1
        return
    try:
        if inflates_beyond(path, LARGEST_INFLATED):
            content.unreadable[path] = f"it inflates to more than {LARGEST_INFLATED >> 20} MB"
            return
        with open(path, "rb") as file:
            header = pydicom.dcmread(file, stop_before_pixels=True, specific_tags=HEADER_TAGS, force=not has_preamble)
            cut_short = "Rows" in header and is_cut_short(header, file)
        if _is_directory(header):
            content.directories.append(path)
            return
        if "Modality" not in header and "SOPClassUID" not in header:
            raise ValueError("the header ends before it tells what the file is")
        kind, slices = _parse(header, path, cut_short)
    except Exception as error:  # a damaged header raises anything, from struct.error to AttributeError
        if str(error).startswith((ODD_LENGTH, "Rescale")):
            content.unreadable[path] = str(error)
        elif has_preamble:
            content.unreadable[path] = _why_unreadable(path)
        else:
            content.other_files += 1
        return
    if slices:
        content.slices.extend(slices)
    else:
        content.ignored[kind or describe_missing_place(header)] += 1


def _parse(header: Dataset, path: Path, cut_short: bool) -> tuple[str | None, list[Slice]]:
    """Return what else the file is, or its slices; numbers with decimal commas are repaired where they are met."""
    try:
        kind = ignored_as(header)
        return kind, [] if kind else [replace(plane, cut_short=cut_short) for plane in parse_slices(header, path)]
    except (ValueError, TypeError):
        if not repair_decimal_commas(header):
            raise
    kind = ignored_as(header)
    slices = [] if kind else list(parse_slices(header, path))
    return kind, [replace(plane, cut_short=cut_short, has_commas=True) for plane in slices]


def _is_directory(header: Dataset) -> bool:
    return header.file_meta.get("MediaStorageSOPClassUID") == MediaStorageDirectoryStorage


def _why_unreadable(path: Path) -> str:
    damaged = "it is cut short or damaged"
    try:
        header = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=HEADER_TAGS)
        found = describe_unreadable_number(header)
    except Exception:  # as above
        return damaged
    return f"{found}, expected a number" if found else damaged
