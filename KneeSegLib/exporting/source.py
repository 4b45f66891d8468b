"""The DICOM series that a scan was segmented from: found again by the record of its case, or given by the user."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pydicom
import SimpleITK as sitk
from pydicom.dataset import Dataset

from KneeSegLib.errors import InputError
from KneeSegLib.exporting.grids import find_turn, lies_within
from KneeSegLib.exporting.saved_case import SavedScan
from KneeSegLib.geometry.orientation import straighten_gantry_tilt
from KneeSegLib.io.archives import unpack_study
from KneeSegLib.io.dicom_folder import FolderContent, read_dicom_file, read_folder
from KneeSegLib.io.dicom_grid import measure_positions_mm
from KneeSegLib.io.dicom_headers import Slice
from KneeSegLib.io.dicom_placement import fit_grid, follow_normal, place_slices
from KneeSegLib.io.dicom_series import Series, group_series

_NEEDED = ("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "AccessionNumber", "StudyID", "StudyDate",
           "StudyTime", "ReferringPhysicianName")  # fmt: skip
"""Tags that may be empty and have to be there."""


@dataclass(frozen=True)
class SourceSeries:
    """A DICOM series as other objects refer to it.

    Attributes:
        planes: its slices in order along their normal.
        headers: of its files, without pixels: one for each slice, or one for all.
    """

    series: Series
    planes: tuple[Slice, ...]
    headers: tuple[Dataset, ...]

    @property
    def header(self) -> Dataset:
        """The header of the first slice, for what is the same in all."""
        return self.headers[0]

    @cached_property
    def grid(self) -> sitk.Image:
        """An empty image on the grid on which scans are read, before slices that lean are straightened; uint8.

        Raises:
            InputError: the slices cannot be read as a volume.
        """
        stack = list(self.planes)
        grid = sitk.Image(*self.planes[0].size, len(stack), sitk.sitkUInt8)
        place_slices(grid, stack, *fit_grid(stack, self.series))
        if not straighten_gantry_tilt(grid, 0.0)[1]:
            follow_normal(grid, stack)
        return grid

    def refer_to_plane(self, number: int) -> tuple[Dataset, int | None]:
        """Return the header of the file that holds a slice, and in a file of several frames its number from 0."""
        plane = self.planes[number]
        paths = list(dict.fromkeys(plane.path for plane in self.planes))
        return self.headers[paths.index(plane.path)], plane.frame if len(paths) < len(self.planes) else None


def find_source(scan: SavedScan, given: Path | None) -> SourceSeries:
    """Return the series that a scan was made from.

    Args:
        given: the folder or file where it lies; None for the place that the record names.

    Raises:
        InputError: it is not there any more, the scan was not made from DICOM, or no series there holds the structures.
    """
    place = given if given is not None else _recorded_place(scan)
    if not place.exists():
        raise InputError(f"There is no file or folder {place}; check the spelling.")
    with unpack_study(place) as unpacked:  # headers stay, pixels are not needed
        return _choose(scan, place, _list_series(unpacked, place, scan))


def _choose(scan: SavedScan, place: Path, every: Sequence[Series]) -> SourceSeries:
    wanted = scan.input.get("series_key")
    found = [series for series in every if series.slices > 1]
    if isinstance(wanted, str) and wanted:
        fitting = [series for series in found if series.key == wanted]
        if not fitting:
            raise InputError(
                f"The series that {scan.place} was made from is not in {place}, which holds {len(found)} others; give "
                "the folder where it lies with --source."
            )
    else:
        fitting = found
    sources = [source for source in map(_read_source, fitting) if wanted or _has_grid(source)]
    holding = [source for source in sources if lies_within(scan.labels, source.grid)]
    same = [source for source in holding if find_turn(scan.labels, source.grid) is not None]
    chosen = same or holding
    if wanted:  # echoes of one series lie at the same places
        chosen = (_find_called(chosen, scan) or chosen)[:1]
    if len(chosen) == 1:
        return chosen[0]
    if chosen:
        raise InputError(
            f"{len(chosen)} series in {place} lie where the structures of {scan.place} do; give the folder of the one "
            "that they were made from with --source."
        )
    raise InputError(
        f"The structures of {scan.place} do not lie within a CT or MR series in {place}; give the folder of the "
        "series that they were made from with --source."
    )


def _find_called(sources: Sequence[SourceSeries], scan: SavedScan) -> list[SourceSeries]:
    """Return those whose echo, time point or the like is the one by which the record calls the scan."""
    called = str(scan.input.get("source") or "")
    return [source for source in sources if source.series.told_by and called.endswith(f", {source.series.told_by}")]


def _has_grid(source: SourceSeries) -> bool:
    try:
        return source.grid is not None
    except InputError:  # no label map was made from it
        return False


def _recorded_place(scan: SavedScan) -> Path:
    recorded = scan.input.get("path")
    if not scan.input.get("series_key"):
        raise InputError(
            f"The record of {scan.place} names no DICOM series that it was made from, which the object has to refer "
            "to; give its folder with --source."
        )
    if not isinstance(recorded, str) or not recorded:
        raise InputError(
            f"The record of {scan.place} does not say where the series lies that it was made from, because its place "
            "names the patient or it was zipped; give it with --source."
        )
    if not Path(recorded).exists():
        raise InputError(
            f"The series that {scan.place} was made from is no longer at {recorded}; give the folder where it lies "
            "now with --source."
        )
    return Path(recorded)


def _list_series(unpacked: Path, place: Path, scan: SavedScan) -> list[Series]:
    content: FolderContent = read_folder(unpacked, place) if unpacked.is_dir() else read_dicom_file(unpacked)
    try:
        return group_series(content)
    except InputError as error:
        raise InputError(f"The series that {scan.place} was made from cannot be found: {error}") from error


def _read_source(series: Series) -> SourceSeries:
    order = np.argsort(measure_positions_mm(series.stack), kind="stable")
    planes = tuple(series.stack[number] for number in order)
    paths = list(dict.fromkeys(plane.path for plane in planes))
    headers = tuple(map(_read_header, paths))
    for header in headers:
        if "PerFrameFunctionalGroupsSequence" not in header and not header.get("SliceThickness"):
            header.SliceThickness = f"{series.spacing[2]:.6g}"  # highdicom asks for one to compare grids
    return SourceSeries(series, planes, headers)


def _read_header(path: Path) -> Dataset:
    """Return a header with every tag that has to be there, empty where it was missing."""
    try:
        header = pydicom.dcmread(path, stop_before_pixels=True, force=True)
        for keyword in _NEEDED:
            if keyword not in header:
                setattr(header, keyword, "")
        if header.PatientSex not in ("M", "F", "O", ""):
            header.PatientSex = ""
        for keyword in ("SOPInstanceUID", "SOPClassUID", "StudyInstanceUID", "SeriesInstanceUID"):
            if not header.get(keyword):
                raise KeyError(keyword)
    except Exception as error:  # a damaged header raises anything, and may quote the patient's
        raise InputError(
            f"A file of the source series cannot be referred to ({type(error).__name__}); export the series again from "
            "the archive."
        ) from error
    return header
