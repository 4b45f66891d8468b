"""What a folder holds: DICOM slices with a place in space, and everything else, counted."""

from __future__ import annotations

import os
import warnings
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pydicom

from KneeSegLib.errors import InputError
from KneeSegLib.io.dicom_headers import HEADER_TAGS, Slice, ignored_as, is_cut_short, parse_slices

_IMAGE_FILE_ENDINGS = (".nrrd", ".nhdr", ".nii", ".nii.gz", ".mha", ".mhd")


@dataclass
class FolderContent:
    """What a folder and its sub-folders hold.

    Attributes:
        slices: planes of pixels of CT and MR.
        ignored: how many other DICOM objects, by their kind.
        unreadable: files that are DICOM by their beginning or their name, and damaged.
        image_files: volumes of other formats.
        other_files: how many there are.
    """

    slices: list[Slice] = field(default_factory=list)
    ignored: Counter[str] = field(default_factory=Counter)
    unreadable: list[Path] = field(default_factory=list)
    image_files: list[Path] = field(default_factory=list)
    other_files: int = 0


def read_folder(folder: Path) -> FolderContent:
    """Read the headers of every file in ``folder`` and below it, but for names that begin with a dot.

    Raises:
        InputError: there is no such folder.
    """
    if not folder.exists():
        raise InputError(f"There is no file or folder {folder}; check the path.")
    if not folder.is_dir():
        raise InputError(f"{folder} is a file, expected a folder of DICOM images; give the folder that it lies in.")
    content = FolderContent()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom comments on every odd value of tags that do not matter here
        for path in _files_below(folder):
            _add_file(path, content)
    return content


def read_slices(path: Path) -> list[Slice]:
    """Return the slices of one DICOM file: one, or one per frame; none where it holds no slice of a CT or MR."""
    content = FolderContent()
    _add_file(path, content)
    return content.slices


def is_dicom(path: Path) -> bool:
    """Return whether the file begins like DICOM, with or without the preamble of the standard."""
    with open(path, "rb") as file:
        start = file.read(132)
    return start[128:] == b"DICM" or _begins_without_preamble(start)


def describe_missing_slices(content: FolderContent, folder: Path) -> str:
    """Return the sentence for a folder that holds no slice: what it holds instead, and what to do."""
    expected = "expected the slices of a CT or MR series"
    if content.image_files:
        return (
            f"{folder} holds no DICOM slices but {content.image_files[0].name}; give that file instead of its folder."
        )
    if content.ignored:
        kinds = ", ".join(f"{count} {kind}" for kind, count in content.ignored.most_common())
        return f"{folder} holds no volume ({kinds}), {expected}; give another folder."
    if content.unreadable:
        return (
            f"{folder} holds {len(content.unreadable)} DICOM files that cannot be read (the first is "
            f"{content.unreadable[0].name}), {expected}; copy or export them again."
        )
    if content.other_files:
        return f"{folder} holds {content.other_files} files but no image, {expected}; give the folder of the images."
    return f"{folder} is empty, {expected}; give the folder of the images."


def _begins_without_preamble(start: bytes) -> bool:
    return start[:2] in (b"\x02\x00", b"\x08\x00") and start[3:4] == b"\x00" and len(start) == 132


def _files_below(folder: Path) -> Iterator[Path]:
    for parent, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            if not name.startswith(".") and name.upper() != "DICOMDIR":
                yield Path(parent, name)


def _add_file(path: Path, content: FolderContent) -> None:
    try:
        with open(path, "rb") as file:
            start = file.read(132)
    except OSError:
        content.unreadable.append(path)
        return
    has_preamble = start[128:] == b"DICM"
    if not has_preamble and not _begins_without_preamble(start):
        if path.name.lower().endswith(_IMAGE_FILE_ENDINGS):
            content.image_files.append(path)
        elif path.suffix.lower() in (".dcm", ".dicom"):
            content.unreadable.append(path)
        else:
            content.other_files += 1
        return
    try:
        with open(path, "rb") as file:
            header = pydicom.dcmread(file, stop_before_pixels=True, specific_tags=HEADER_TAGS, force=not has_preamble)
            cut_short = "Rows" in header and is_cut_short(header, file)
        if "Modality" not in header and "SOPClassUID" not in header:
            raise ValueError("the header ends before it tells what the file is")
        kind = ignored_as(header)
        slices = [] if kind else [replace(plane, cut_short=cut_short) for plane in parse_slices(header, path)]
    except Exception:  # a damaged header raises anything, from struct.error to AttributeError
        if has_preamble:
            content.unreadable.append(path)
        else:
            content.other_files += 1
        return
    if slices:
        content.slices.extend(slices)
    else:
        content.ignored[kind or "images without a position in space"] += 1
