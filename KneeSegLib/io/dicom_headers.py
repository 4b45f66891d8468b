"""From the header of a DICOM file to its slices: where each lies, and what tells it from others.

Pixels are not touched here. Only technical tags are read. What somebody may have typed leaves as
:class:`~KneeSegLib.io.guarded_text.GuardedText`, of which nothing is shown but words of closed tables.
"""

from __future__ import annotations

import os
import re
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, BinaryIO, get_args

import numpy as np
from pydicom.dataset import Dataset

from KneeSegLib.anatomy import Side
from KneeSegLib.io.dicom_slice import Slice
from KneeSegLib.io.guarded_text import (
    GuardedText,
    guard_free_text,
    guard_image_type,
    guard_kernel,
    guard_stack,
    name_modality,
    name_unit,
)
from KneeSegLib.io.intensities import Modality

HEADER_TAGS = [
    "SOPClassUID", "Modality", "ImageType", "SeriesInstanceUID", "SeriesNumber", "SeriesDescription",
    "FrameOfReferenceUID", "InstanceNumber",
    "ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing",
    "SpacingBetweenSlices", "SliceThickness", "ConvolutionKernel", "TriggerTime", "AcquisitionTime", "ContentTime",
    "GantryDetectorTilt",
    "Rows", "Columns", "SamplesPerPixel", "NumberOfFrames", "BitsAllocated", "BitsStored", "PixelRepresentation",
    "PhotometricInterpretation", "RescaleSlope", "RescaleIntercept", "RescaleType",
    "EchoTime", "TemporalPositionIdentifier", "AcquisitionNumber",
    "KVP", "FlipAngle", "InversionTime", "DiffusionBValue", "StackID",
    "Laterality", "ImageLaterality", "FrameLaterality",
    "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence",
]  # fmt: skip
"""All tags that are read of a file; reading the others would take most of the time."""

_PIXEL_DATA = (0x7FE0, 0x0010)
_PLACE_TAGS = {"ImagePositionPatient": 3, "ImageOrientationPatient": 6, "PixelSpacing": 2}
_MODALITY_OF: Mapping[str, Modality] = MappingProxyType(
    {
        "1.2.840.10008.5.1.4.1.1.2": "CT",
        "1.2.840.10008.5.1.4.1.1.2.1": "CT",
        "1.2.840.10008.5.1.4.1.1.2.2": "CT",
        "1.2.840.10008.5.1.4.1.1.4": "MR",
        "1.2.840.10008.5.1.4.1.1.4.1": "MR",
        "1.2.840.10008.5.1.4.1.1.4.4": "MR",
    }
)
"""SOP classes of images that can be nothing else: plain, enhanced, and converted to enhanced."""
_LOOSE_MODALITIES = ("XA", "RF", "DX", "IO", "PX", "OT")
"""What C-arms, dental scanners and anonymisers call images whose class says that they are slices of CT or MR."""

ODD_LENGTH = "its pixels take another length than Rows, Columns and BitsAllocated say"
"""What :func:`is_cut_short` says of such a file."""

_SIDES: Mapping[str, Side] = MappingProxyType({"R": "right", "L": "left"})


def ignored_as(header: Dataset) -> str | None:
    """Return the plural by which an object that is no slice of CT or MR is counted; None for one that may be."""
    modality = find_modality(header)
    if "Rows" not in header:
        return f"{modality} objects without an image"
    if modality not in get_args(Modality):
        return f"{modality} images"
    if int(header.get("SamplesPerPixel", 1)) != 1 or header.get("PhotometricInterpretation") == "PALETTE COLOR":
        return "colour images"
    if "LOCALIZER" in _image_type(header):
        return "localisers"
    if "MOSAIC" in _image_type(header):
        return "mosaics of several slices in one image"
    return None


def find_modality(header: Dataset) -> str:
    """Return the modality as the standard names it; where the tag is missing or loose, that of the kind of image."""
    named = name_modality(header.get("Modality")) if header.get("Modality") else ""
    of_class = _MODALITY_OF.get(str(header.get("SOPClassUID") or ""))
    return of_class or named or name_modality(None) if named in ("", *_LOOSE_MODALITIES) else named


def is_cut_short(header: Dataset, file: BinaryIO) -> bool:
    """Return whether a file ends before its uncompressed pixels do, of which some decoders make up the rest.

    Raises:
        ValueError: the pixels take another length than the header says: rows or columns would be sheared.

    Args:
        file: stands where reading the header has stopped, at the pixels.
    """
    syntax = header.file_meta.get("TransferSyntaxUID")
    if syntax is None or syntax.is_private or syntax.is_compressed or syntax.is_deflated:
        return False  # what cannot be decoded is refused by the decoder
    element = file.read(12)
    order = "<" if syntax.is_little_endian else ">"
    if len(element) < 12:
        return True
    if struct.unpack_from(f"{order}HH", element) != _PIXEL_DATA:
        return False
    begin, length_at = (file.tell() - 4, 4) if syntax.is_implicit_VR else (file.tell(), 8)
    (length,) = struct.unpack_from(f"{order}I", element, length_at)
    if begin + length > file.seek(0, os.SEEK_END):
        return True
    bits = int(header.get("BitsAllocated") or 0)
    numbers = int(header.get("Rows") or 0) * int(header.get("Columns") or 0)
    numbers *= int(header.get("NumberOfFrames") or 1) * int(header.get("SamplesPerPixel") or 1)
    expected = (numbers * bits + 7) // 8
    if bits and length not in (0xFFFFFFFF, expected, expected + expected % 2):
        raise ValueError(f"{ODD_LENGTH} ({length} bytes for {expected})")
    return False


def parse_slices(header: Dataset, path: Path) -> Iterator[Slice]:
    """Yield the slices of a CT or MR file: one, or one per frame; none where it has no position in space."""
    modality: Modality = "MR" if find_modality(header) == "MR" else "CT"
    told = name_modality(header.get("Modality") or modality)
    description, original = _description(header), "ORIGINAL" in _image_type(header)
    for frame, places in _planes(header):
        position = _numbers(places, "ImagePositionPatient", 3)
        orientation = _numbers(places, "ImageOrientationPatient", 6)
        spacing = _numbers(places, "PixelSpacing", 2)
        if position is None or orientation is None or spacing is None or _find_odd_place_tag(places) is not None:
            continue
        step_mm = _frame_distance_mm(header) if frame is not None else 0.0
        if step_mm:
            normal = np.cross(orientation[:3], orientation[3:])
            shift_mm = (frame or 0) * step_mm * normal / np.linalg.norm(normal)
            position = tuple(float(value) for value in position + shift_mm)
        yield Slice(
            path=path,
            frame=frame,
            series_uid=str(header.get("SeriesInstanceUID") or ""),
            series_number=int(_telling_number([header], "SeriesNumber")),
            description=description,
            modality=modality,
            original=original,
            position=position,
            orientation=orientation,
            spacing=(spacing[1], spacing[0]),
            size=(int(header.Columns), int(header.Rows)),
            encoding=(
                _rescale(places, "RescaleSlope", 1.0),
                _rescale(places, "RescaleIntercept", 0.0),
                float(header.get("PixelRepresentation") or 0),
                float(header.get("BitsStored") or 16),
            ),
            variant=_variant(header, places),
            side=_side(header, places),
            low_is_white=header.get("PhotometricInterpretation") == "MONOCHROME1",
            derived=bool(step_mm),
            has_rescale=_first(places, "RescaleIntercept") is not None,
            rescale_type=name_unit(_first(places, "RescaleType")),
            frame_of_reference=str(header.get("FrameOfReferenceUID") or ""),
            told_modality=told if told != modality else "",
            acquired_s=_seconds(header),
            gantry_tilt_degrees=_telling_number([header], "GantryDetectorTilt"),
            instance_number=int(_telling_number([header], "InstanceNumber")) if frame is None else frame + 1,
        )


def describe_missing_place(header: Dataset) -> str:
    """Return the plural by which images are counted that do not say where they lie: what is missing of them."""
    if "PerFrameFunctionalGroupsSequence" not in header:
        needed = ["ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing"]
        frames = int(header.get("NumberOfFrames") or 1)
        needed += ["SpacingBetweenSlices or a position for each frame"] if frames > 1 else []
        missing = [keyword for keyword in needed if header.get(keyword.split()[0]) in (None, "")]
        if missing:
            return f"{find_modality(header)} images without {', '.join(missing)}"
    for _, places in _planes(header):
        missing = [keyword for keyword, count in _PLACE_TAGS.items() if _numbers(places, keyword, count) is None]
        if missing and "PerFrameFunctionalGroupsSequence" in header:
            return f"{find_modality(header)} images without {', '.join(missing)}"
        if (found := _find_odd_place_tag(places)) is not None:
            return f"{find_modality(header)} images whose {found}"
    return f"{find_modality(header)} images whose position, orientation or pixel spacing cannot be used"


def _find_odd_place_tag(places: list[Dataset]) -> str | None:
    """Return "PixelSpacing is 0\\0" for the first tag of the place that cannot be what it says; None if all can."""
    for keyword, count in _PLACE_TAGS.items():
        values = _numbers(places, keyword, count)
        if values is None:
            continue
        odd = not np.isfinite(values).all()
        odd |= keyword == "PixelSpacing" and min(values) <= 0.0
        odd |= keyword == "ImageOrientationPatient" and not np.any(np.cross(values[:3], values[3:]))
        if odd:
            return f"{keyword} is " + "\\".join(f"{value:g}" for value in values)
    return None


def _rescale(places: list[Dataset], keyword: str, absent: float) -> float:
    value = _first(places, keyword)
    if value is None:
        return absent
    if not np.isfinite(float(value)) or (keyword == "RescaleSlope" and float(value) == 0.0):
        raise ValueError(f"{keyword} is {float(value):g}")
    return float(value)


def _planes(header: Dataset) -> Iterator[tuple[int | None, list[Dataset]]]:
    """Yield the frame number of every plane and the datasets that describe it, the nearest first."""
    if "PerFrameFunctionalGroupsSequence" not in header:
        frames = int(header.get("NumberOfFrames") or 1)
        if frames == 1:
            yield None, [header]
        elif _frame_distance_mm(header):
            yield from ((frame, [header]) for frame in range(frames))
        return
    shared = [macro for group in header.get("SharedFunctionalGroupsSequence") or [] for macro in _macros(group)]
    for frame, group in enumerate(header.PerFrameFunctionalGroupsSequence):
        yield frame, [*_macros(group), *shared]


def _frame_distance_mm(header: Dataset) -> float:
    """Return how far the frames of a file lie apart that has one position for all; 0 where each has its own."""
    if "PerFrameFunctionalGroupsSequence" in header:
        return 0.0
    return float(header.get("SpacingBetweenSlices") or 0.0)


def _macros(group: Dataset) -> list[Dataset]:
    return [element.value[0] for element in group if element.VR == "SQ" and element.value]


def _variant(header: Dataset, places: list[Dataset]) -> dict[str, float | GuardedText]:
    frame_type = _first(places, "FrameType")
    return {
        "echo time": _telling_number(places, "EchoTime") or _telling_number(places, "EffectiveEchoTime"),
        "image type": guard_image_type(_texts(frame_type) if frame_type else _image_type(header)),
        "time point": _telling_number(places, "TemporalPositionIdentifier")
        or _telling_number(places, "TemporalPositionIndex"),
        "acquisition": _telling_number([header, *places], "AcquisitionNumber"),
        "series number": _telling_number([header], "SeriesNumber"),
        "description": _description(header),
        "kernel": guard_kernel(_first(places, "ConvolutionKernel") or ""),
        "slice thickness": _telling_number(places, "SliceThickness"),
        "trigger time": _telling_number([header, *places], "TriggerTime"),
        "tube voltage": _telling_number(places, "KVP"),
        "flip angle": _telling_number(places, "FlipAngle"),
        "inversion time": _telling_number(places, "InversionTime"),
        "b-value": _telling_number(places, "DiffusionBValue"),
        "stack": guard_stack(_first(places, "StackID") or ""),
    }


def _telling_number(places: list[Dataset], keyword: str) -> float:
    """Return a number that does no more than tell series or slices apart; 0 where there is none or anything else."""
    try:
        return float(_first(places, keyword) or 0.0)
    except TypeError:  # several values
        return 0.0
    except ValueError as error:
        if "," in str(error):  # a decimal comma, which is repaired in the whole header
            raise
        return 0.0


def _seconds(header: Dataset) -> float:
    """Return the time of day at which a slice was recorded; 0 where none is told."""
    time = re.fullmatch(r"(\d\d)(\d\d)(\d\d(?:\.\d*)?)", str(_first([header], "AcquisitionTime") or "").strip())
    time = time or re.fullmatch(r"(\d\d)(\d\d)(\d\d(?:\.\d*)?)", str(_first([header], "ContentTime") or "").strip())
    return 3600.0 * int(time[1]) + 60.0 * int(time[2]) + float(time[3]) if time else 0.0


def _side(header: Dataset, places: list[Dataset]) -> Side | None:
    keywords = ("FrameLaterality", "ImageLaterality", "Laterality")
    found = next((value for keyword in keywords if (value := _first([*places, header], keyword))), None)
    return _SIDES.get(str(found).upper())


def _first(places: list[Dataset], keyword: str) -> Any:
    return next((place.get(keyword) for place in places if place.get(keyword) not in (None, "")), None)


def _numbers(places: list[Dataset], keyword: str, count: int) -> tuple[float, ...] | None:
    values = _first(places, keyword)
    if values is None or isinstance(values, (str, float)) or len(values) != count:
        return None
    return tuple(float(value) for value in values)


def _image_type(header: Dataset) -> list[str]:
    return [value.upper() for value in _texts(header.get("ImageType") or [])]


def _texts(values: Any) -> list[str]:
    return [str(value) for value in ([values] if isinstance(values, str) else values)]


def _description(header: Dataset) -> GuardedText:
    return guard_free_text(header.get("SeriesDescription"))
