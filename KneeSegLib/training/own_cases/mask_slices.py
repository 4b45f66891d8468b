"""Masks in numbered pictures, one for each DICOM slice, and the bones in a mask of all bones named."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pydicom
import SimpleITK as sitk
from PIL import Image
from pydicom.errors import InvalidDicomError

from KneeSegLib.anatomy import Side, structure
from KneeSegLib.errors import InputError

PICTURES = (".png", ".tif", ".tiff", ".bmp")
_TAGS: list[str | int | tuple[int, int]] = ["InstanceNumber", "ImagePositionPatient"]


def is_picture_folder(path: Path) -> bool:
    """Return whether a path is a folder of numbered pictures."""
    return path.is_dir() and any(file.suffix.lower() in PICTURES for file in path.iterdir())


def read_mask_slices(folder: Path, dicom: Path, image: sitk.Image) -> sitk.Image:
    """Return a mask (uint8, 0 and 1) on the grid of ``image`` from pictures numbered like the slices' instances.

    Args:
        folder: of the pictures; the last number in a name is its slice's instance number.
        dicom: folder of the slices that ``image`` was read from.

    Raises:
        InputError: pictures and slices are not as many, are numbered otherwise or have other sizes.
    """
    pictures = {_number(path): path for path in sorted(folder.iterdir()) if path.suffix.lower() in PICTURES}
    places = _find_places(dicom, image)
    if sorted(pictures) != sorted(places):
        raise InputError(
            f"{folder} holds {len(pictures)} pictures numbered {min(pictures)} to {max(pictures)}, expected one for "
            f"each of the {len(places)} slices, numbered like their instances; complete them."
        )
    columns, rows, slices = image.GetSize()
    mask = np.zeros((slices, rows, columns), np.uint8)
    for number, path in pictures.items():
        with Image.open(path) as picture:
            pixels = np.asarray(picture.convert("L"))
        if pixels.shape != (rows, columns):
            raise InputError(
                f"{path.name} has {pixels.shape[1]} x {pixels.shape[0]} pixels, expected {columns} x {rows} as the "
                "slices have; export the masks again."
            )
        mask[places[number]] = pixels > 0
    result = sitk.GetImageFromArray(mask)
    result.CopyInformation(image)
    return result


def name_bones(mask: sitk.Image, side: Side, case: str) -> sitk.Image:
    """Return the three largest components of a mask of all bones as femur, tibia and patella, by size and position.

    The patella is the smallest of them; of the others the femur lies higher.

    Raises:
        InputError: fewer than three components, or the smallest does not lie in front of the others.
    """
    components = sitk.RelabelComponent(sitk.ConnectedComponent(mask != 0, True), sortByObjectSize=True)
    shape = sitk.LabelShapeStatisticsImageFilter()
    shape.Execute(components)
    if shape.GetNumberOfLabels() < 3:
        raise InputError(
            f"The mask of {case} has {shape.GetNumberOfLabels()} separate bones, expected femur, tibia and patella; "
            "separate bones that touch."
        )
    centers = {label: shape.GetCentroid(label) for label in (1, 2, 3)}  # LPS: y grows backward, z to the head
    if centers[3][1] > min(centers[1][1], centers[2][1]):
        raise InputError(
            f"The smallest of the three bones of {case} does not lie in front of the others as a patella does; check "
            "the mask and the image's orientation."
        )
    femur, tibia = sorted((1, 2), key=lambda label: -centers[label][2])
    names = {femur: "femur", tibia: "tibia", 3: "patella"}
    table = {float(label): float(structure(name, side).label_value) for label, name in names.items()}
    kept = sitk.Mask(components, components <= 3)
    return sitk.Cast(sitk.ChangeLabel(kept, changeMap=table), sitk.sitkUInt8)


def _number(path: Path) -> int:
    found = re.findall(r"\d+", path.stem)
    if not found:
        raise InputError(f"The picture {path} has no number in its name, expected that of its slice; rename it.")
    return int(found[-1])


def _find_places(dicom: Path, image: sitk.Image) -> dict[int, int]:
    """The slice of ``image`` that each instance number is."""
    places = {}
    for path in sorted(file for file in dicom.rglob("*") if file.is_file()):
        try:
            header = pydicom.dcmread(
                path, stop_before_pixels=True, specific_tags=["InstanceNumber", "ImagePositionPatient"]
            )
            position = [float(value) for value in header.ImagePositionPatient]
            number = int(header.InstanceNumber)
        except (InvalidDicomError, AttributeError, TypeError, ValueError):
            continue
        places[number] = round(image.TransformPhysicalPointToContinuousIndex(position)[2])
    return places
