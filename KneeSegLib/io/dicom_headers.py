"""What the files of a folder say about themselves: DICOM slices with a place in space, and everything else, counted.

Pixels are not touched here. Patient name and ID are read for one purpose, to keep them out of series descriptions.
"""

from __future__ import annotations

import os
import re
import warnings
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import numpy as np
import pydicom
from pydicom.dataset import Dataset

from KneeSegLib.anatomy import Side
from KneeSegLib.io.intensities import Modality

MODALITIES = ("CT", "MR")
IMAGE_FILE_ENDINGS = (".nrrd", ".nhdr", ".nii", ".nii.gz", ".mha", ".mhd")

_TAGS = [
    "SOPClassUID", "Modality", "ImageType", "SeriesInstanceUID", "SeriesNumber", "SeriesDescription",
    "PatientName", "PatientID", "ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing",
    "Rows", "Columns", "SamplesPerPixel", "NumberOfFrames", "BitsStored", "PixelRepresentation",
    "RescaleSlope", "RescaleIntercept", "EchoTime", "TemporalPositionIdentifier", "AcquisitionNumber",
    "Laterality", "ImageLaterality", "FrameLaterality",
    "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence",
]  # fmt: skip


@dataclass(frozen=True)
class Slice:
    """One plane of pixels: a file, or one frame of a multi-frame file.

    ``position`` is the centre of the first pixel (LPS, mm), ``orientation`` the direction of growing column number
    followed by that of growing row number, ``spacing`` (between columns, between rows) in mm, ``size`` (columns,
    rows). ``encoding`` is how stored numbers become values. ``variant`` tells apart what a scanner may record more
    than once at one position. ``side`` is that of the body part, where the header names one.
    """

    path: Path
    frame: int | None
    series_uid: str
    series_number: int
    description: str
    modality: Modality
    original: bool
    position: tuple[float, ...]
    orientation: tuple[float, ...]
    spacing: tuple[float, float]
    size: tuple[int, int]
    encoding: tuple[float, ...]
    variant: dict[str, float | str] = field(hash=False)
    side: Side | None = None

    @property
    def normal(self) -> np.ndarray:
        """Unit vector across the plane: columns' direction x rows' direction."""
        normal = np.cross(self.orientation[:3], self.orientation[3:])
        return normal / np.linalg.norm(normal)


@dataclass
class FolderContent:
    """What a folder and its sub-folders hold."""

    slices: list[Slice] = field(default_factory=list)
    ignored: Counter[str] = field(default_factory=Counter)  # what kind of DICOM object, how many
    unreadable: list[Path] = field(default_factory=list)  # DICOM by its beginning or its name, and damaged
    image_files: list[Path] = field(default_factory=list)  # volumes of other formats
    other_files: int = 0


def folder_content(folder: Path) -> FolderContent:
    """Read the headers of every file in ``folder`` and below it, but for names that begin with a dot."""
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
    """Whether the file begins like DICOM, with or without the preamble of the standard."""
    with open(path, "rb") as file:
        start = file.read(132)
    return start[128:] == b"DICM" or _begins_without_preamble(start)


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
        if path.name.lower().endswith(IMAGE_FILE_ENDINGS):
            content.image_files.append(path)
        elif path.suffix.lower() in (".dcm", ".dicom"):
            content.unreadable.append(path)
        else:
            content.other_files += 1
        return
    try:
        header = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=_TAGS, force=not has_preamble)
        if "Modality" not in header and "SOPClassUID" not in header:
            raise ValueError("cut short before it says what it is")
        ignored_as = _ignored_as(header)
        slices = [] if ignored_as else list(_slices(header, path))
    except Exception:  # a damaged header raises anything, from struct.error to AttributeError
        if has_preamble:
            content.unreadable.append(path)
        else:
            content.other_files += 1
        return
    if slices:
        content.slices.extend(slices)
    else:
        content.ignored[ignored_as or "images without a position in space"] += 1


def _ignored_as(header: Dataset) -> str | None:
    """The plural by which an object that is no slice of a CT or MR volume is counted, or None for one that may be."""
    modality = str(header.get("Modality") or "unnamed")
    if "Rows" not in header:
        return f"{modality} objects without an image"
    if modality not in MODALITIES:
        return f"{modality} images"
    if int(header.get("SamplesPerPixel", 1)) != 1:
        return "colour images"
    if "LOCALIZER" in _image_type(header):
        return "localisers"
    return None


def _slices(header: Dataset, path: Path) -> Iterator[Slice]:
    description, original = _description(header), "ORIGINAL" in _image_type(header)
    for frame, places in _planes(header):
        position = _numbers(places, "ImagePositionPatient", 3)
        orientation = _numbers(places, "ImageOrientationPatient", 6)
        spacing = _numbers(places, "PixelSpacing", 2)
        if (
            position is None
            or orientation is None
            or spacing is None
            or not np.any(np.cross(orientation[:3], orientation[3:]))
        ):
            continue
        yield Slice(
            path=path,
            frame=frame,
            series_uid=str(header.get("SeriesInstanceUID") or ""),
            series_number=int(header.get("SeriesNumber") or 0),
            description=description,
            modality=cast("Modality", str(header.Modality)),  # others are ignored before
            original=original,
            position=position,
            orientation=orientation,
            spacing=(spacing[1], spacing[0]),
            size=(int(header.Columns), int(header.Rows)),
            encoding=(
                float(_first(places, "RescaleSlope") or 1.0),
                float(_first(places, "RescaleIntercept") or 0.0),
                float(header.get("PixelRepresentation") or 0),
                float(header.get("BitsStored") or 16),
            ),
            variant=_variant(header, places),
            side=_side(header, places),
        )


def _planes(header: Dataset) -> Iterator[tuple[int | None, list[Dataset]]]:
    """Yield every plane's frame number and the datasets that describe it, the nearest first."""
    if "PerFrameFunctionalGroupsSequence" not in header:
        if int(header.get("NumberOfFrames") or 1) == 1:
            yield None, [header]
        return
    shared = [macro for group in header.get("SharedFunctionalGroupsSequence") or [] for macro in _macros(group)]
    for frame, group in enumerate(header.PerFrameFunctionalGroupsSequence):
        yield frame, [*_macros(group), *shared]


def _macros(group: Dataset) -> list[Dataset]:
    return [element.value[0] for element in group if element.VR == "SQ" and element.value]


def _variant(header: Dataset, places: list[Dataset]) -> dict[str, float | str]:
    echo_time_ms = _first(places, "EchoTime") or _first(places, "EffectiveEchoTime")
    frame_type = _first(places, "FrameType")
    return {
        "echo time": float(echo_time_ms or 0.0),
        "image type": "\\".join(map(str, frame_type)) if frame_type else "\\".join(_image_type(header)),
        "time point": float(
            _first(places, "TemporalPositionIdentifier") or _first(places, "TemporalPositionIndex") or 0
        ),
        "acquisition": float(_first([header, *places], "AcquisitionNumber") or 0),
    }


def _side(header: Dataset, places: list[Dataset]) -> Side | None:
    keywords = ("FrameLaterality", "ImageLaterality", "Laterality")
    found = next((value for keyword in keywords if (value := _first([*places, header], keyword))), None)
    sides: dict[str, Side] = {"R": "right", "L": "left"}
    return sides.get(str(found).upper())


def _first(places: list[Dataset], keyword: str):
    return next((place.get(keyword) for place in places if place.get(keyword) not in (None, "")), None)


def _numbers(places: list[Dataset], keyword: str, count: int) -> tuple[float, ...] | None:
    values = _first(places, keyword)
    if values is None or isinstance(values, (str, float)) or len(values) != count:
        return None
    return tuple(float(value) for value in values)


def _image_type(header: Dataset) -> list[str]:
    values = header.get("ImageType") or []
    return [str(value).upper() for value in ([values] if isinstance(values, str) else values)]


def _description(header: Dataset) -> str:
    """The series description, or nothing where it repeats the patient's name or ID."""
    text = re.sub(r"\s+", " ", str(header.get("SeriesDescription") or "")).strip()
    private = [*re.split(r"[\s^=,.]+", str(header.get("PatientName") or "")), str(header.get("PatientID") or "")]
    if any(len(word) > 2 and word.casefold() in text.casefold() for word in private):
        return ""
    return text
