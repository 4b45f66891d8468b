"""What an image file says of its spacing and orientation, and what readers would make up for it."""

from __future__ import annotations

import re
import struct
from pathlib import Path

import SimpleITK as sitk

from KneeSegLib.errors import InputError
from KneeSegLib.io.image_formats import read_start, readable_path, recognise_format, shown_name
from KneeSegLib.io.library_messages import log_itk_messages
from KneeSegLib.io.screening.image_file import recognise_image
from KneeSegLib.io.screening.nifti import read_nifti_header
from KneeSegLib.io.screening.nifti_placing import check_nifti_placing

_HOLD_SPACING = {
    "NrrdImageIO",
    "NiftiImageIO",
    "MetaImageIO",
    "HDF5ImageIO",
    "MINCImageIO",
    "VTKImageIO",
    "GiplImageIO",
}
"""Formats that hold the distances of their voxels in three directions, by SimpleITK's names of them."""

_OTHER_LENGTHS = (
    "m",
    "cm",
    "um",
    "\N{MICRO SIGN}m",
    "nm",
    "meter",
    "metre",
    "centimeter",
    "centimetre",
    "micron",
    "inch",
)
"""Units that lengths may be in beside mm, as NRRD's ``units`` and MetaImage's ``DistanceUnits`` name them."""

_HOLD_NO_ORIENTATION = {"VTKImageIO": "VTK", "GiplImageIO": "GIPL"}

_NRRD_PATIENT_SPACES = re.compile(r"(left|right)-(posterior|anterior)-superior(-time)?|(lps|ras|las)t?", re.IGNORECASE)


def require_known_spacing(path: Path, way_out: str = "") -> None:
    """Refuse a file that does not say how far its voxels are apart: readers put 1 mm without a word.

    Args:
        way_out: what the user can do but to give another file, where the command has an option for it.

    Raises:
        InputError: TIFF, and every other format that has no place for the distance of slices; NRRD and MetaImage
            files that leave their spacing out.
    """
    name = shown_name(path)
    instead = f"{way_out}, or " if way_out else ""
    with readable_path(path) as readable, log_itk_messages():
        reader = sitk.ImageFileReader.GetImageIOFromFileName(str(readable))
    if reader not in _HOLD_SPACING:
        kind = reader.removesuffix("ImageIO") or "unknown"
        raise InputError(
            f"{name} is of the format {kind}, which does not say how many mm its slices are apart; {instead}give the "
            "volume as NRRD, NIfTI or MetaImage (3D Slicer sets the spacing in its module Volumes and saves these)."
        )
    start = read_start(path)
    kind = recognise_format(start)
    fields = _nrrd_fields(start) if kind == "NRRD" else _meta_fields(start) if kind == "MetaImage" else None
    if fields is None:
        return
    found = [fields[key] for key in ("space directions", "spacings", "ElementSpacing", "ElementSize") if key in fields]
    if not found or "nan" in found[0].lower():
        raise InputError(
            f"{name} does not say how far its voxels are apart ({_spacing_field(kind)} is missing), expected mm; "
            f"{instead}add it to the header, or save the volume again with its true spacing."
        )
    directions = fields.get("space directions", "")
    if directions.split().count("none") > max(int(fields.get("dimension", "3")) - 3, 0):
        raise InputError(
            f"{name} does not say how far its voxels are apart along one of its axes ('none' in 'space directions'), "
            f"expected mm; {instead}save the volume again with its true spacing."
        )
    unit = next((unit for unit in re.findall(r'"([^"]*)"', fields.get("space units", "")) if unit), "mm")
    other = [unit for unit in re.findall(r"[^\s\"]+", fields.get("units", "")) if unit.casefold() in _OTHER_LENGTHS]
    unit = fields["DistanceUnits"] if fields.get("DistanceUnits") in _OTHER_LENGTHS else next(iter(other), unit)
    if unit.casefold() not in ("mm", "millimeter", "millimetre", "???"):
        raise InputError(
            f"The spacing of {name} is in {unit}, expected mm; {instead}save it again with a spacing in mm."
        )


def describe_missing_orientation(path: Path) -> str | None:
    """Return the sentence for a file that does not say how its axes lie in the patient; None where it does."""
    why = _why_no_orientation(path)
    if why is None:
        return None
    return (
        f"{shown_name(path)} does not say how it lies in the patient ({why}): right and left, front and back, "
        "head and foot are a guess; check the side of every structure, or give the image with its orientation."
    )


def check_placing(path: Path, image: sitk.Image, way_out: str = "correct its header") -> str | None:
    """Return the sentence for a file that says in two ways how it lies; None for one that says it once, or not.

    Raises:
        InputError: a NIfTI of which nothing that it says is where ``image`` was read to lie.
    """
    is_nifti = recognise_image(path) == "NIfTI" and image.GetDimension() == 3
    return check_nifti_placing(path, image, way_out) if is_nifti else None


def _why_no_orientation(path: Path) -> str | None:
    start = read_start(path)
    kind = recognise_image(path)
    if kind == "NIfTI":
        return _why_no_nifti_orientation(read_nifti_header(path).start)
    if kind == "NRRD":
        space = _nrrd_fields(start).get("space", "")
        if _NRRD_PATIENT_SPACES.fullmatch(space):
            return None
        return f"its field 'space' is '{space}'" if space else "its header has no field 'space'"
    if kind == "MetaImage":
        if {"TransformMatrix", "Orientation", "Rotation"} & set(_meta_fields(start)):
            return None
        return "its header has no TransformMatrix"
    with readable_path(path) as readable:
        named = _HOLD_NO_ORIENTATION.get(sitk.ImageFileReader.GetImageIOFromFileName(str(readable)))
    return f"{named} files do not hold it" if named else None


def _why_no_nifti_orientation(start: bytes) -> str | None:
    """Return why, of a header laid out as https://nifti.nimh.nih.gov: 348 bytes of version 1, 540 of version 2."""
    order = "<" if start[:4] in (struct.pack("<i", 348), struct.pack("<i", 540)) else ">"
    is_first = struct.unpack_from(order + "i", start)[0] == 348
    if len(start) < (348 if is_first else 540):
        return None  # cut short: the reader says so
    if is_first and start[344:347] not in (b"n+1", b"ni1"):
        return "Analyze files do not hold it"
    codes = struct.unpack_from(order + ("2h" if is_first else "2i"), start, 252 if is_first else 344)
    return None if any(codes) else "its qform_code and sform_code are 0"


def _nrrd_fields(start: bytes) -> dict[str, str]:
    header = re.split(rb"\r?\n\r?\n", start, maxsplit=1)[0].decode("utf-8", "replace")
    pairs = (line.partition(": ") for line in header.splitlines() if not line.startswith("#"))
    return {key.strip().lower(): value.strip() for key, colon, value in pairs if colon and ":=" not in key}


def _meta_fields(start: bytes) -> dict[str, str]:
    header = re.split(rb"^ElementDataFile", start, maxsplit=1, flags=re.MULTILINE)[0].decode("latin-1")
    return {
        key.strip(): value.strip() for key, equals, value in (x.partition("=") for x in header.splitlines()) if equals
    }


def _spacing_field(kind: str | None) -> str:
    return "'space directions' or 'spacings'" if kind == "NRRD" else "ElementSpacing"
