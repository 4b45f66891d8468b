"""Saved cases, corrected or not, as a raw data set of nnU-Net v2 to train on."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import SimpleITK as sitk

from KneeSegLib.errors import InputError
from KneeSegLib.exporting.saved_case import SavedCase, SavedScan
from KneeSegLib.exporting.source import find_source
from KneeSegLib.geometry.orientation import reorient_to_lps
from KneeSegLib.io.dicom_stack import read_stack
from KneeSegLib.io.image_files import write_image
from KneeSegLib.io.volume import read_volume
from KneeSegLib.measurements.comparison import check_same_grid
from KneeSegLib.nnunet.dataset import (
    FILE_ENDING,
    IMAGES_NAME,
    LABELS_NAME,
    number_labels,
    renumber,
    tell_sides,
    write_descriptions,
)
from KneeSegLib.progress import Progress, report_each


def write_nnunet_cases(
    cases: Sequence[SavedCase], given: Path | None, folder: Path, name: str, progress: Progress
) -> list[Path]:
    """Write images and labels of cases, turned to the patient's axes, and what their labels are; return the files.

    Args:
        given: where the images lie, a folder or of one case a file; None for the places that the records name.
        folder: to fill.
        name: of the data set.

    Raises:
        InputError: an image is gone, given for several cases, on another grid, or of another kind than the others.
    """
    scans = [(f"{case.name}{f'-{scan.name}' if scan.name else ''}", scan) for case in cases for scan in case.scans]
    known = all(scan.input.get("series_key") for _, scan in scans)
    if given is not None and given.is_file() and len(scans) > 1 and not (known and zipfile.is_zipfile(given)):
        raise InputError(
            f"{given} is one image, which cannot be that of {len(scans)} cases; give the folder of their DICOM series, "
            "or export each case for itself."
        )
    shown = [[found.structure for found in scan.found] for _, scan in scans]
    with_sides = tell_sides(shown)
    labels = number_labels([entry for entries in shown for entry in entries], with_sides)
    kinds = {str(scan.input.get("modality")): scan for _, scan in scans}
    if len(kinds) > 1 or not kinds.keys() <= {"CT", "MR"}:
        raise InputError(
            f"The cases are of {' and '.join(sorted(kinds))}, expected all CT or all MR; nnU-Net trains on one kind of "
            "image, so export each kind for itself."
        )
    for part in (IMAGES_NAME, LABELS_NAME):
        (folder / part).mkdir()
    for case, scan in report_each(scans, progress, "Cases"):
        image = _read_image(scan, given)
        write_image(reorient_to_lps(image), folder / IMAGES_NAME / f"{case}_0000{FILE_ENDING}")
        placed = sitk.Image(scan.labels)
        placed.CopyInformation(image)
        write_image(
            renumber(reorient_to_lps(placed), labels, with_sides), folder / LABELS_NAME / f"{case}{FILE_ENDING}"
        )
    write_descriptions(folder, name, labels, next(iter(kinds)), len(scans))
    return list(_list_files(folder))


def _read_image(scan: SavedScan, given: Path | None) -> sitk.Image:
    """Return the image that a scan was segmented from."""
    recorded = scan.input.get("path")
    zipped = given is not None and given.is_file()
    if not zipped and (scan.input.get("series_key") or given is not None):
        image = read_stack(find_source(scan, given).series)[0]
    else:
        if given is None and not (isinstance(recorded, str) and Path(recorded).exists()):
            raise InputError(
                f"The image that {scan.place} was made from is not there ({recorded or 'its record names none'}); give "
                "it with --source."
            )
        series = scan.input.get("series_key")
        image = read_volume(given or Path(str(recorded)), series, presumed=scan.input["modality"]).image
    try:
        check_same_grid(image, scan.labels)
    except InputError:
        raise InputError(
            f"The labels in {scan.place} do not have the voxels of the image that they were made from; nnU-Net takes "
            "labels with the voxels of their image. Resample the labels to the image."
        ) from None
    return image


def _list_files(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.rglob("*")) if path.is_file())
