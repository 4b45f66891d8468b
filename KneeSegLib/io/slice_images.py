"""A volume from a plain folder of numbered slice images (PNG, TIFF, BMP, JPEG), which say nothing of where they lie."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from KneeSegLib.errors import InputError
from KneeSegLib.io.decoder import Encoded, Reader, UndecodableError, decode_files
from KneeSegLib.io.screening import require_regular_file
from KneeSegLib.io.screening.pictures import OddPictureError, Picture, screen_picture
from KneeSegLib.io.settings import MOST_PLACES_NAMED, PICTURE_BYTES_PER_VOXEL
from KneeSegLib.io.stated_geometry import StatedGeometry
from KneeSegLib.memory import require_memory

SUFFIXES = (".png", ".tif", ".tiff", ".bmp", ".jpg", ".jpeg")


def find_slice_images(folder: Path) -> list[Path]:
    """Return the images of a folder that have a number at the end of their name, in the order of these."""
    found = [path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES and _number(path) is not None]
    return sorted(found, key=lambda path: (_number(path) or 0, path.name))


def read_slice_images(folder: Path, geometry: StatedGeometry, called: str | None = None) -> sitk.Image:
    """Return the volume of a folder's numbered images; without an orientation they lie as transverse slices do, LPS.

    Args:
        called: what messages call the folder, where it is a temporary one.

    Raises:
        InputError: their spacing is not stated, there are none, numbers are missing or come twice, sizes differ, an
            image is damaged or in colour.
        ResourceError: not enough memory.
    """
    called = called or folder.name
    if geometry.spacing_mm is None:
        raise InputError(
            f"{called} holds slice images, which do not say how far they lie apart; give their distances in mm "
            "with --spacing COLUMNS,ROWS,SLICES."
        )
    paths = find_slice_images(folder)
    if len(paths) < 2:
        raise InputError(
            f"{called} holds {len(paths)} numbered slice images, expected a volume of them as "
            f"{', '.join(SUFFIXES)} with a number at the end of each name; give their folder, or leave the spacing out."
        )
    _require_all_numbers([_number(path) or 0 for path in paths], called)
    pictures = [_screen(path) for path in paths]
    sizes = [(picture.columns, picture.rows) for picture in pictures]
    if len(set(sizes)) > 1:
        other = next(path for path, size in zip(paths, sizes) if size != sizes[0])
        raise InputError(
            f"The slice images of {called} differ in size, number {_number(other)} from number "
            f"{_number(paths[0])}; give a folder with the slices of one scan."
        )
    pixels = sizes[0][0] * sizes[0][1]
    require_memory(PICTURE_BYTES_PER_VOXEL * len(paths) * pixels, f"Reading {len(paths)} slice images")
    slices = _decode(paths, [picture.reader for picture in pictures], pixels)
    for path, values in zip(paths, slices, strict=True):
        if values.shape != sizes[0][::-1]:
            raise _unreadable(path)  # the library found another size than its header says
    image = sitk.GetImageFromArray(np.stack(slices))
    image.SetSpacing(geometry.spacing_mm)
    image.SetDirection(sitk.DICOMOrientImageFilter.GetDirectionCosinesFromOrientation(geometry.orientation or "LPS"))
    return image


def _number(path: Path) -> int | None:
    digits = re.search(r"(\d+)$", path.stem)
    return int(digits[1]) if digits else None


def _require_all_numbers(numbers: list[int], called: str) -> None:
    """Raise unless the numbers, in rising order, go up by one."""
    twice = sorted({number for number in numbers if numbers.count(number) > 1})
    if twice:
        raise InputError(
            f"The slice images of {called} hold the number {twice[0]} twice; give a folder with the slices of one "
            "scan alone."
        )
    missing = sorted(set(range(numbers[0], numbers[-1] + 1)) - set(numbers))
    if missing:
        named = ", ".join(map(str, missing[:MOST_PLACES_NAMED])) + (", ..." if len(missing) > MOST_PLACES_NAMED else "")
        raise InputError(
            f"Of the slice images of {called}, numbered {numbers[0]} to {numbers[-1]}, {len(missing)} are missing "
            f"({named}); copy or export them again."
        )


def _screen(path: Path) -> Picture:
    require_regular_file(path)
    try:
        picture = screen_picture(path)
    except OddPictureError as error:
        raise _unreadable(path) from error
    if picture.images > 1:
        raise _several(path)
    if picture.has_transparency:
        raise InputError(
            f"Slice image number {_number(path)} holds transparency beside its shades of grey, which is not read; "
            "export it without (no alpha channel)."
        )
    return picture


def _decode(paths: Sequence[Path], readers: Sequence[Reader], pixels: int) -> list[np.ndarray]:
    """Return the grey values (H, W) of each picture."""
    found: dict[Path, np.ndarray] = {}
    for reader in sorted(set(readers)):
        of_kind = [path for path, needed in zip(paths, readers, strict=True) if needed == reader]
        try:
            with decode_files(Encoded(of_kind, reader, pixels, len(of_kind))) as arrays:
                found.update((path, _find_grey(array, path)) for path, array in zip(of_kind, arrays, strict=True))
        except UndecodableError as error:
            raise _unreadable(of_kind[error.number]) from error
    return [found[path] for path in paths]


def _find_grey(array: np.ndarray, path: Path) -> np.ndarray:
    """Return one image's grey values (H, W); of colours that are all grey, one of the channels."""
    if array.ndim == 3 and array.shape[-1] in (3, 4) and (array[..., :1] == array[..., :3]).all():
        array = array[..., 0]
    if array.ndim != 2:
        raise _several(path)
    return array


def _unreadable(path: Path) -> InputError:
    return InputError(
        f"Slice image number {_number(path)} cannot be read; it is damaged, or none: copy or export it again."
    )


def _several(path: Path) -> InputError:
    return InputError(
        f"Slice image number {_number(path)} is in colour or holds several images, expected one slice in shades of "
        "grey; export it so."
    )
