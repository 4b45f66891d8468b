"""``case.json`` of a saved case, checked before anything is done with it: it may be damaged or come from elsewhere."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Set
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING, Any

from KneeSegLib.case_record import (
    CASE_FORMAT,
    CASE_FORMAT_VERSION,
    MAPS_NAME,
    RECORD_NAME,
    REPORT_NAME,
    SCAN_NAME,
    SURFACES_NAME,
    describe_box,
)
from KneeSegLib.errors import InputError
from KneeSegLib.io.documents import UnreadableDocument, read_json
from KneeSegLib.io.segmentation_file import SEGMENTATION_NAME
from KneeSegLib.io.strict_json import as_strict_json

if TYPE_CHECKING:
    from KneeSegLib.measurements.structures import FoundStructure

_LONGEST_NAME = 200
"""Most systems know names of up to 255 bytes."""


def read_scan_records(folder: Path) -> list[dict[str, Any]]:
    """Return the record of each scan from ``case.json`` in a case's folder; nothing where there is no such file.

    Of one scan it is the whole record, of several the entries of ``scans``. Files are named relative to ``folder``.
    Every structure has a ``key``, ``voxels``, a ``box_index`` and a ``surface`` with a ``file``.

    Raises:
        InputError: the record is damaged, or of a version that this one does not know.
    """
    record = read_record(folder)
    return [] if record is None else record.get("scans", [record])


def read_record(folder: Path) -> dict[str, Any] | None:
    """Return the whole record of a case, its scans checked as in :func:`read_scan_records`; None where there is none.

    Raises:
        InputError: as there.
    """
    path = folder / RECORD_NAME
    if not os.path.lexists(path):  # a folder that only holds a segmentation
        return None
    record = _read_object(path)
    if record.get("format") != CASE_FORMAT:
        raise _damaged(path, f'its "format" is {_shorten(record.get("format"))} instead of "{CASE_FORMAT}"')
    version = record.get("format_version")
    if not isinstance(version, int) or version < 1:
        raise _damaged(path, f'its "format_version" is {_shorten(version)} instead of a whole number')
    if version > CASE_FORMAT_VERSION:
        raise InputError(
            f"{path} has format version {_shorten(version)} and this KneeSeg knows versions up to "
            f"{CASE_FORMAT_VERSION}; use the newer version that wrote it."
        )
    scans = record.get("scans", [record])
    if not isinstance(scans, list) or not scans:
        raise _damaged(path, f'its "scans" are {_shorten(scans)} instead of a list of scans')
    for scan in scans:
        _check_scan(scan, path, named="scans" in record)
    return record


def is_as_saved(found: FoundStructure, saved: Mapping[str, Any]) -> bool:
    """Return whether a structure has the very voxels that it was saved with.

    Args:
        saved: its entry among the ``structures`` of a record; earlier versions wrote no digest of the voxels.
    """
    return (
        saved["box_index"] == as_strict_json(describe_box(found.box))
        and saved["voxels"] == found.voxels
        and saved.get("voxels_sha256", found.digest) == found.digest
    )


def list_recorded_files(folder: Path) -> Set[Path]:
    """Return the files below ``folder`` that its ``case.json`` names as the result's and nobody has changed since.

    Nothing where the record is missing or damaged.
    """
    path = folder / RECORD_NAME
    try:
        scans = read_scan_records(folder)
        written = path.stat().st_mtime_ns  # the last file of a result to be written
    except (InputError, OSError):
        return frozenset()
    named: list[Any] = [RECORD_NAME, REPORT_NAME] if scans else []
    for scan in scans:
        named += [structure["surface"]["file"] for structure in scan["structures"]]
        prefix = f"{scan['name']}/" if scan.get("name") else ""
        named.append(prefix + SEGMENTATION_NAME)
        files = scan.get("files")
        maps = files.get("maps") if isinstance(files, dict) else None
        listed = maps if isinstance(maps, list) else []
        named += [name for name in listed if _is_own_file(folder, name, scan.get("name") or "", MAPS_NAME)]
    found = {folder / name for name in named if isinstance(name, str) and is_inside(folder, name)}
    return frozenset(path for path in found if path.is_file() and path.stat().st_mtime_ns <= written)


def is_inside(folder: Path, name: str) -> bool:
    """Whether ``name``, relative to ``folder``, leads to a place below it, links followed."""
    windows = PureWindowsPath(name)
    if (
        not 0 < len(name) <= _LONGEST_NAME
        or "\0" in name
        or Path(name).is_absolute()
        or windows.drive
        or windows.root
        or ".." in windows.parts
    ):
        return False
    try:
        return (folder / name).resolve().is_relative_to(folder.resolve())
    except (OSError, RuntimeError, ValueError):  # links that run in a circle; what no file name can hold
        return False


def _is_own_file(folder: Path, name: Any, scan: str, room: str) -> bool:
    """Whether ``name`` is directly in that room of a scan, where cases have their files: another case may lie below."""
    return (
        isinstance(name, str)
        and is_inside(folder, name)
        and PurePosixPath(name).parts[:-1] == tuple(filter(None, (scan, room)))
    )


def _read_object(path: Path) -> dict[str, Any]:
    try:
        record = read_json(path)
    except InputError:
        raise _damaged(path, "it is no file") from None
    except UnreadableDocument as error:
        raise _damaged(path, f"it {error}") from None
    if not isinstance(record, dict):
        raise _damaged(path, f"it holds {_shorten(record)} instead of an object")
    return record


def _check_scan(scan: Any, path: Path, named: bool) -> None:
    if not isinstance(scan, dict):
        raise _damaged(path, f"a scan is {_shorten(scan)} instead of an object")
    name = scan.get("name") if named else ""
    if not isinstance(name, str) or (named and not SCAN_NAME.fullmatch(name)):
        raise _damaged(path, f'the "name" of a scan is {_shorten(name)} instead of a text of a-z, 0-9 and "-"')
    structures = scan.get("structures")
    if not isinstance(structures, list):
        raise _damaged(path, f'the "structures" of a scan are {_shorten(structures)} instead of a list')
    for structure in structures:
        _check_structure(structure, path, name)


def _check_structure(structure: Any, path: Path, scan: str) -> None:
    if not isinstance(structure, dict) or not isinstance(structure.get("key"), str):
        raise _damaged(path, f'a structure is {_shorten(structure)} instead of an object with a "key"')
    key, told = structure["key"], _shorten(structure["key"])
    if not _is_count(structure.get("voxels")):
        raise _damaged(path, f'"voxels" of {told} is {_shorten(structure.get("voxels"))} instead of a whole number')
    box = structure.get("box_index")
    if not isinstance(box, dict) or not all(_is_index(box.get(corner)) for corner in ("first", "last")):
        raise _damaged(path, f'"box_index" of {told} is {_shorten(box)} instead of two corners of three whole numbers')
    surface = structure.get("surface")
    name = surface.get("file") if isinstance(surface, dict) else None
    if not isinstance(name, str):
        raise _damaged(path, f'"surface" of {told} is {_shorten(surface)} instead of an object with a "file"')
    if not _is_own_file(path.parent, name, scan, SURFACES_NAME) or Path(name).stem != key:
        raise InputError(
            f"{path} names {_shorten(name)} as the surface of {told}, and only a file {told} within its own folder is "
            f"read; take {RECORD_NAME} away to have the surfaces made from the labels."
        )


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_index(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 3 and all(_is_count(entry) for entry in value)


def _shorten(value: Any) -> str:
    """Return a value as JSON, in ASCII and at most about 60 characters: a damaged one may be of any length."""
    if value is None:
        return "missing"
    if isinstance(value, (list, dict)):
        return f"{'a list' if isinstance(value, list) else 'an object'} of {len(value)}"
    text = json.dumps(value[:60] if isinstance(value, str) else value)
    return text if len(text) <= 62 else f"{text[:60]}..."


def _damaged(path: Path, finding: str) -> InputError:
    return InputError(
        f"{path} is damaged ({finding}); segment again, or take it away to have the surfaces made from the labels."
    )
