"""A volume from a plain folder of numbered slice images (PNG, TIFF, BMP, JPEG), which say nothing of where they lie."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from KneeSegLib.errors import InputError
from KneeSegLib.io.settings import MOST_PLACES_NAMED
from KneeSegLib.io.stated_geometry import StatedGeometry
from KneeSegLib.memory import require_memory

SUFFIXES = (".png", ".tif", ".tiff", ".bmp", ".jpg", ".jpeg")


def find_slice_images(folder: Path) -> list[Path]:
    """Return the images of a folder that have a number at the end of their name, in the order of these."""
    found = [path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES and _number(path) is not None]
    return sorted(found, key=lambda path: (_number(path) or 0, path.name))


def read_slice_images(folder: Path, geometry: StatedGeometry) -> sitk.Image:
    """Return the volume of a folder's numbered images; without an orientation they lie as transverse slices do, LPS.

    Raises:
        InputError: their spacing is not stated, there are none, numbers are missing or come twice, sizes differ, an
            image is damaged or in colour.
        ResourceError: not enough memory.
    """
    if geometry.spacing_mm is None:
        raise InputError(
            f"{folder.name} holds slice images, which do not say how far they lie apart; give their distances in mm "
            "with --spacing COLUMNS,ROWS,SLICES."
        )
    paths = find_slice_images(folder)
    if len(paths) < 2:
        raise InputError(
            f"{folder.name} holds {len(paths)} numbered slice images, expected a volume of them as "
            f"{', '.join(SUFFIXES)} with a number at the end of each name; give their folder, or leave the spacing out."
        )
    _require_all_numbers([_number(path) or 0 for path in paths], folder)
    slices = [_read_slice(path) for path in paths]
    shapes = {array.shape for array in slices}
    if len(shapes) > 1:
        other = next(path for path, array in zip(paths, slices) if array.shape != slices[0].shape)
        raise InputError(
            f"The slice images of {folder.name} differ in size, number {_number(other)} from number "
            f"{_number(paths[0])}; give a folder with the slices of one scan."
        )
    require_memory(8 * len(slices) * slices[0].size, f"Reading {len(slices)} slice images")
    image = sitk.GetImageFromArray(np.stack(slices))
    image.SetSpacing(geometry.spacing_mm)
    image.SetDirection(sitk.DICOMOrientImageFilter.GetDirectionCosinesFromOrientation(geometry.orientation or "LPS"))
    return image


def _number(path: Path) -> int | None:
    digits = re.search(r"(\d+)$", path.stem)
    return int(digits[1]) if digits else None


def _require_all_numbers(numbers: list[int], folder: Path) -> None:
    """Raise unless the numbers, in rising order, go up by one."""
    twice = sorted({number for number in numbers if numbers.count(number) > 1})
    if twice:
        raise InputError(
            f"The slice images of {folder.name} hold the number {twice[0]} twice; give a folder with the slices of one "
            "scan alone."
        )
    missing = sorted(set(range(numbers[0], numbers[-1] + 1)) - set(numbers))
    if missing:
        named = ", ".join(map(str, missing[:MOST_PLACES_NAMED])) + (", ..." if len(missing) > MOST_PLACES_NAMED else "")
        raise InputError(
            f"Of the slice images of {folder.name}, numbered {numbers[0]} to {numbers[-1]}, {len(missing)} are missing "
            f"({named}); copy or export them again."
        )


def _read_slice(path: Path) -> np.ndarray:
    """Return one image's grey values (H, W); of colours that are all grey, one of the channels."""
    try:
        array = sitk.GetArrayFromImage(sitk.ReadImage(str(path)))
    except RuntimeError as error:
        raise InputError(
            f"Slice image number {_number(path)} cannot be read; it is damaged, or none: copy or export it again."
        ) from error
    if array.ndim == 3 and array.shape[-1] in (3, 4) and (array[..., :1] == array[..., :3]).all():
        array = array[..., 0]
    if array.ndim != 2:
        raise InputError(
            f"Slice image number {_number(path)} is in colour or holds several images, expected one slice in shades of "
            "grey; export it so."
        )
    return array
