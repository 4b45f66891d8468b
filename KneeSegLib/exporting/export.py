"""Saved cases written in the format of another program, whole or not at all."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal

from pydicom.uid import generate_uid

from KneeSegLib.errors import InputError
from KneeSegLib.exporting.dicom_seg import SegmentationKind, build_segmentation
from KneeSegLib.exporting.encapsulated_stl import build_encapsulated_stl
from KneeSegLib.exporting.grids import find_turn
from KneeSegLib.exporting.headers import write_object
from KneeSegLib.exporting.label_images import write_label_image
from KneeSegLib.exporting.nnunet_cases import write_nnunet_cases
from KneeSegLib.exporting.rtstruct import build_structure_set
from KneeSegLib.exporting.saved_case import SavedCase, SavedScan, read_saved_case
from KneeSegLib.exporting.source import SourceSeries, find_source
from KneeSegLib.io.identity import IDENTITY_STATEMENT, Anonymiser, names_patient
from KneeSegLib.io.label_meaning import OWN_LABELS, LabelMeaning
from KneeSegLib.io.writing import write_folder
from KneeSegLib.nnunet.dataset import require_dataset_name
from KneeSegLib.progress import Progress, no_progress, report_each, split_progress

ExportFormat = Literal["dicom-seg", "rtstruct", "encapsulated-stl", "nifti", "nrrd", "nnunet"]
_DICOM_FORMATS: tuple[ExportFormat, ...] = ("dicom-seg", "rtstruct", "encapsulated-stl")
_ENDINGS = {"nifti": ".nii.gz", "nrrd": ".nrrd"}


@dataclass(frozen=True)
class ExportRequest:
    """What is asked for.

    Attributes:
        source: where the DICOM series lies (of nnU-Net, for one case alone, an image file too); None for the place that
            the record names.
        segments: how a segmentation object holds its voxels.
        onto_source: bring label maps that have other voxels than their source onto those of the source.
        anonymise: leave patient and study out of DICOM objects.
        labels: what the values of the label maps stand for.
    """

    format: ExportFormat
    source: Path | None = None
    segments: SegmentationKind = "binary"
    onto_source: bool = False
    anonymise: bool = False
    overwrite: bool = False
    labels: LabelMeaning = OWN_LABELS


@dataclass(frozen=True)
class Exported:
    """What was written: files by their names within ``folder``, and what the reader of them should know."""

    folder: Path
    files: tuple[str, ...]
    notes: tuple[str, ...]


def export_cases(
    places: Sequence[Path], folder: Path, request: ExportRequest, progress: Progress = no_progress
) -> Exported:
    """Write saved cases in another format.

    Args:
        places: result folders or segmentation files; of several, each gets a folder of its name.
        folder: is created; for nnU-Net called such as ``Dataset042_Knee``.

    Raises:
        InputError: an option is not one of the format, a case cannot be read, or its source cannot be referred to.
        OutputError: the folder exists and is not to be replaced, or it cannot be written.
    """
    _require_used_options(request)
    if request.format == "nnunet":
        require_dataset_name(folder)
    reading, writing = split_progress(progress, (1, 4))
    cases = [read_saved_case(place, request.labels) for place in report_each(places, reading, "Reading")]
    _require_different_names(cases)
    notes = dict.fromkeys(note for case in cases for scan in case.scans for note in scan.notes)
    with write_folder(folder, request.overwrite) as unfinished:
        if request.format == "nnunet":
            written = write_nnunet_cases(cases, request.source, unfinished, folder.name, writing)
        else:
            steps = split_progress(writing, [1] * len(cases))
            written = [
                path
                for case, step in zip(cases, steps)
                for path in _write_case(case, unfinished / (case.name if len(cases) > 1 else ""), request, notes, step)
            ]
        files = tuple(path.relative_to(unfinished).as_posix() for path in written)
    return Exported(folder, files, tuple(notes))


def _require_used_options(request: ExportRequest) -> None:
    used: tuple[tuple[bool, str, tuple[ExportFormat, ...]], ...] = (
        (request.segments != "binary", f"--segments {request.segments}", ("dicom-seg",)),
        (request.onto_source, "--onto-source", ("dicom-seg",)),
        (request.anonymise, "--anonymise", _DICOM_FORMATS),
        (request.source is not None, "--source", (*_DICOM_FORMATS, "nnunet")),
    )
    for given, option, formats in used:
        if given and request.format not in formats:
            known = " and ".join(filter(None, (", ".join(formats[:-1]), formats[-1])))
            raise InputError(f"{option} is for {known} alone; leave it out with {request.format}.")


def _require_different_names(cases: Sequence[SavedCase]) -> None:
    places: dict[str, Path] = {}
    for case in cases:
        if case.name.casefold() in places:
            raise InputError(
                f"Both {places[case.name.casefold()]} and {case.place} are called {case.name}, and each case is "
                "written under its name; export them one after the other."
            )
        places[case.name.casefold()] = case.place


def _write_case(
    case: SavedCase, folder: Path, request: ExportRequest, notes: dict[str, None], progress: Progress
) -> Iterator[Path]:
    for scan in report_each(case.scans, progress, "Writing"):
        home = folder / case.prefix_of(scan)
        home.mkdir(parents=True, exist_ok=True)
        if request.format in _ENDINGS:
            yield from write_label_image(scan, home, _ENDINGS[request.format])
        else:
            yield from _write_objects(case, scan, home, request, notes)


def _write_objects(
    case: SavedCase, scan: SavedScan, folder: Path, request: ExportRequest, notes: dict[str, None]
) -> Iterator[Path]:
    source = find_source(scan, request.source)
    if request.anonymise:
        source = replace(source, headers=tuple(Anonymiser().copy_all(source.headers)))
    notes.update(dict.fromkeys(_list_notes(scan, source, request)))
    if request.format == "encapsulated-stl":
        surfaces, series_uid = scan.surfaces(), generate_uid()
        builders = {
            f"{found.structure.key}.dcm": partial(
                build_encapsulated_stl, found.structure, surfaces[found.structure.key], source, series_uid, number
            )
            for number, found in enumerate(scan.found, start=1)
        }
    elif request.format == "rtstruct":
        builders = {"structures.dcm": partial(build_structure_set, case, scan, source)}
    else:
        builders = {
            "segmentation.dcm": partial(build_segmentation, case, scan, source, request.segments, request.onto_source)
        }
    for name, build in builders.items():
        write_object(build(), folder / name)
        yield folder / name


def _list_notes(scan: SavedScan, source: SourceSeries, request: ExportRequest) -> Iterator[str]:
    if names_patient(source.header):
        yield IDENTITY_STATEMENT
    if request.format == "dicom-seg" and find_turn(scan.labels, source.grid) is None:
        yield (
            "The label map was brought onto the images' voxels, each the value of the nearest one."
            if request.onto_source
            else "The label map has other voxels than the images, and the object has the label map's; for viewers that "
            "need those of the images there is --onto-source."
        )
