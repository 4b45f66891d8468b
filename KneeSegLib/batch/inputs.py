"""Which scans a batch has: those in folders, those a pattern fits, those a table lists."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from KneeSegLib.batch.dicom_tree import FoundSeries, choose_series_of_studies, find_series
from KneeSegLib.batch.scan_table import read_scan_table
from KneeSegLib.batch.scans import BatchScan
from KneeSegLib.errors import InputError
from KneeSegLib.io.dicom_folder import is_dicom
from KneeSegLib.io.image_formats import shown_name
from KneeSegLib.progress import Progress, no_progress

IMAGE_ENDINGS = (".nii", ".nii.gz", ".nrrd", ".nhdr", ".mha", ".mhd")
LABEL_ENDINGS = (".seg.nrrd",)
"""Results of others and of ours: no images."""


def find_scans(
    inputs: Sequence[str], output: Path, all_series: bool = False, progress: Progress = no_progress
) -> list[BatchScan]:
    """Return the scans that ``inputs`` name, each once, in their order; a folder's in the order of their paths.

    Args:
        inputs: image files; folders, of which every image file and DICOM series in and below them is a scan; patterns
            of such paths; tables (``.csv``), see :func:`~KneeSegLib.batch.scan_table.read_scan_table`.
        output: what lies in it is a result and no scan.
        all_series: every series of a DICOM study that is a volume, instead of the one that ``segment`` would take.
        progress: told which folder is read.

    Returns:
        Scans without their final names (``name`` is what a table says, else a proposal).

    Raises:
        InputError: nothing is there, or nothing that could be segmented; a table cannot be used.
    """
    found: dict[tuple[str, str | None], BatchScan] = {}
    for text in inputs:
        for path in _expand(text):
            for scan in _scans_at(path, output.resolve(), all_series, progress):
                found.setdefault(scan.identity, scan)
    usable = [scan for scan in found.values() if scan.refused is None]
    if not usable:
        named = ", ".join(inputs)
        refused = [scan.refused for scan in found.values() if scan.refused]
        if refused:
            raise InputError(
                f"Nothing in {named} can be segmented; of {len(refused)} found, the first is refused: {refused[0]}"
            )
        raise InputError(
            f"{named} holds no scan, expected DICOM series of CT or MR or files {', '.join(IMAGE_ENDINGS)}; give the "
            "folder that holds them."
        )
    return list(found.values())


def _expand(text: str) -> list[Path]:
    path = Path(text).expanduser()
    if path.exists():
        return [path]
    if glob.has_magic(text):
        matches = sorted(glob.glob(str(path), recursive=True))
        if matches:
            return [Path(match) for match in matches]
        raise InputError(f"No file or folder fits {text}; check the pattern, and put it in quotes.")
    raise InputError(f"There is no file or folder {text}; check the spelling.")


def _scans_at(path: Path, output: Path, all_series: bool, progress: Progress) -> list[BatchScan]:
    if path.suffix.lower() == ".csv":
        return read_scan_table(path)
    if path.is_dir():
        return _scans_below(Path(os.path.abspath(path)), output, all_series, progress)
    return [BatchScan(os.path.abspath(path), name=_stem(path))]


def _scans_below(folder: Path, output: Path, all_series: bool, progress: Progress) -> list[BatchScan]:
    images: list[BatchScan] = []
    series: list[FoundSeries] = []
    units: list[Path] = []
    for number, (parent, files) in enumerate(_walk(folder, output), start=1):
        progress(0.0, f"Looking into folder {number}")
        images += [
            BatchScan(str(path), name=_relative(path.parent, folder, _stem(path)))
            for path in files
            if path.name.lower().endswith(IMAGE_ENDINGS) and not path.name.lower().endswith(LABEL_ENDINGS)
        ]
        # A folder that holds DICOM files stands for all below it: a series may be spread over its sub-folders.
        if not any(unit in parent.parents for unit in units) and any(map(_looks_like_dicom, files)):
            units.append(parent)
            series += find_series(parent)
    chosen = [
        replace(scan, name=_relative(Path(scan.source), folder, scan.name))
        for scan in choose_series_of_studies(series, all_series)
    ]
    return sorted(images + chosen, key=lambda scan: (scan.source, scan.series or ""))


def _walk(folder: Path, output: Path) -> Iterator[tuple[Path, list[Path]]]:
    """Yield every folder from ``folder`` down with its files, but for ``output`` and names that begin with a dot."""
    seen: set[Path] = {output}  # links may run in a circle
    for parent, folders, files in os.walk(folder, followlinks=True):
        here = Path(parent)
        if here.resolve() in seen:
            folders.clear()
            continue
        seen.add(here.resolve())
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield here, [here / name for name in sorted(files) if not name.startswith(".")]


def _looks_like_dicom(path: Path) -> bool:
    if path.name.lower().endswith((".dcm", ".dicom", ".ima")):
        return True
    try:
        return is_dicom(path)
    except OSError:  # a broken link; a file that may not be read
        return False


def _stem(path: Path) -> str:
    name = shown_name(path)
    ending = next((ending for ending in IMAGE_ENDINGS if name.lower().endswith(ending)), "")
    return name[: len(name) - len(ending)] or name


def _relative(place: Path, folder: Path, name: str) -> str:
    """Return a name that says where in ``folder`` a scan lies: ``patient1/ct`` and its own name."""
    parts = place.relative_to(folder).parts or (() if name else (folder.name,))
    return "/".join((*parts, *((name,) if name else ())))
