"""Which series of a folder of DICOM files can be segmented, and which one of each study."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from KneeSegLib.batch.scans import BatchScan
from KneeSegLib.io.dicom_blocks import find_blocks
from KneeSegLib.io.dicom_folder import describe_missing_slices, is_dicom, read_folder
from KneeSegLib.io.dicom_series import Series, group_series, rank_series
from KneeSegLib.io.settings import FEWEST_SLICES, SMALLEST_EXTENT_MM


@dataclass(frozen=True)
class FoundSeries:
    """A series as a scan of a batch, or a folder without a usable one, which is refused.

    Attributes:
        study: tells the study from others.
        rank: of the series of a study the highest is the first choice; a refused folder has the lowest.
    """

    scan: BatchScan
    study: str
    rank: tuple[bool | int, ...] = ()


def find_series(folder: Path) -> list[FoundSeries]:
    """Return the series in and below ``folder`` that are volumes, or one entry that says why there is none."""
    content = read_folder(folder)
    if not content.slices:
        return [_refused(folder, describe_missing_slices(content))]
    every = group_series(content)
    usable = [series for series in every if _is_volume(series)]
    if not usable:
        largest = max(every, key=rank_series)
        sentence = (
            f"{folder} holds no volume, the largest series in it is number {largest}, expected at least "
            f"{FEWEST_SLICES} slices over {SMALLEST_EXTENT_MM:g} mm; give the folder of a whole scan."
        )
        return [_refused(folder, sentence)]
    found = []
    for series in usable:
        blocks = find_blocks(every, series) if series.uid else [series]
        if len(blocks) == 1:
            found.append(_as_scan(series, every, folder))
        elif series is blocks[0]:  # the scan is meant, of which all are blocks
            whole = BatchScan(str(folder))
            if len(every) > len(blocks):
                whole = BatchScan(str(folder), series.key, name=f"series-{series.number}")
            found.append(
                FoundSeries(whole, _read_study(series.stack[0].path) or str(folder), max(map(rank_series, blocks)))
            )
    return found


def choose_series_of_studies(found: Sequence[FoundSeries], all_series: bool = False) -> list[BatchScan]:
    """Return the scans of a batch: of each study the first choice, or all that are volumes.

    A folder that was refused counts only where its study has nothing else: localisers often have a folder of their own.
    """
    best: dict[str, FoundSeries] = {}
    for entry in found:
        if entry.study not in best or entry.rank > best[entry.study].rank:
            best[entry.study] = entry
    return [entry.scan for entry in found if entry is best[entry.study] or (all_series and entry.rank)]


def _is_volume(series: Series) -> bool:
    extent_mm = [count * spacing for count, spacing in zip(series.size, series.spacing)]
    return min(series.size) >= FEWEST_SLICES and min(extent_mm) >= SMALLEST_EXTENT_MM - 0.5


def _as_scan(series: Series, every: Sequence[Series], folder: Path) -> FoundSeries:
    """Return the scan of a series: the deepest folder that holds all of it, and its name where others lie there too."""
    home = Path(os.path.commonpath([plane.path.parent for plane in series.stack]))
    beside = [other for other in every if any(home in plane.path.parents for plane in other.stack)]
    if len(beside) == 1:
        scan = BatchScan(str(home))
    elif series.uid and sum(other.uid == series.uid for other in every) == 1:
        scan = BatchScan(str(home), series.key, name=f"series-{series.number}")
    else:  # echoes and time points share a UID; numbers count within the folder that was read
        scan = BatchScan(str(folder), str(series.number), name=f"series-{series.number}")
    return FoundSeries(scan, _read_study(series.stack[0].path) or str(home), rank_series(series))


def _refused(folder: Path, sentence: str) -> FoundSeries:
    files = (Path(parent, name) for parent, _, names in os.walk(folder) for name in sorted(names))
    study = next((uid for path in files if path.is_file() and is_dicom(path) and (uid := _read_study(path))), "")
    return FoundSeries(BatchScan(str(folder), refused=sentence), study or str(folder))


def _read_study(path: Path) -> str:
    import pydicom

    try:
        header = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=["StudyInstanceUID"], force=True)
        return str(header.get("StudyInstanceUID") or "")
    except Exception:  # a damaged header raises anything; then its folder stands for the study
        return ""
