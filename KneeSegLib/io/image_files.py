"""Volumes in one file (NRRD, NIfTI, MetaImage and others), checked for damage and written whole."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import SimpleITK as sitk

from KneeSegLib.errors import InputError, OutputError
from KneeSegLib.io.image_axes import drop_single_axes
from KneeSegLib.io.image_formats import (
    begins_like_archive,
    describe_stand_in,
    read_start,
    readable_path,
    recognise_format,
    shown_name,
)
from KneeSegLib.io.image_geometry import require_known_spacing
from KneeSegLib.io.library_messages import log_itk_messages
from KneeSegLib.io.screening import (
    require_as_screened,
    require_regular_file,
    require_sound_geometry,
    screen_image_file,
)
from KneeSegLib.io.screening.child import read_in_child
from KneeSegLib.io.screening.streams import require_checksum
from KneeSegLib.io.write_errors import explain_incomplete
from KneeSegLib.io.writing import write_whole
from KneeSegLib.memory import require_memory

_TWO_FILES = (".mhd", ".nhdr", ".hdr", ".img")
_NIFTI_2 = (540).to_bytes(4, "little")
_COMPLEX = (sitk.sitkComplexFloat32, sitk.sitkComplexFloat64)


def read_image_file(path: Path, spacing_stated: bool = False) -> sitk.Image:
    """Return the three-dimensional scalar image in ``path``, with its own pixel type.

    Args:
        spacing_stated: whether the user says how large the voxels are, so that the file need not.

    Raises:
        InputError: it is no image, not three-dimensional, in colour, complex, cut short, or does not say how large its
            voxels are.
        ResourceError: not enough memory.
    """
    require_regular_file(path)
    with readable_path(path) as readable, log_itk_messages():
        header = screen_image_file(path)
        if header is None:
            return _read_others(readable, path, spacing_stated)
        image = _read(readable, path, spacing_stated)
    require_as_screened(header, image)
    return drop_single_axes(image)


def _read_others(readable: Path, path: Path, spacing_stated: bool) -> sitk.Image:
    """Read a format that is not screened here."""
    if not sitk.ImageFileReader.GetImageIOFromFileName(str(readable)):
        raise InputError(_no_image_sentence(path))
    image = read_in_child(_read_unplaced if spacing_stated else _read, readable, path)
    require_sound_geometry(image, shown_name(path))
    return image


def _read_unplaced(readable: Path, path: Path) -> sitk.Image:
    """Read a file whose spacing the user states."""
    return _read(readable, path, spacing_stated=True)


def _read(readable: Path, path: Path, spacing_stated: bool = False) -> sitk.Image:
    """Read ``readable``, which is the file or a link to it; messages name ``path``."""
    name = shown_name(path)
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(readable))
    try:
        reader.ReadImageInformation()
    except RuntimeError as error:
        raise InputError(_no_image_sentence(path, str(error))) from error
    size = tuple(reader.GetSize())
    if len(size) > 3 and all(n == 1 for n in size[3:]):
        reader.SetExtractSize([*size[:3], *(0 for _ in size[3:])])
        size = size[:3]
    _require_scalar_volume(size, reader.GetNumberOfComponents(), reader.GetPixelID(), name)
    # As stored, and as float32.
    bytes_per_voxel = sitk.Image([1, 1, 1], reader.GetPixelID()).GetSizeOfPixelComponent() + 4
    require_memory(
        bytes_per_voxel * int(np.prod(size, dtype=np.int64)),
        f"Reading {' x '.join(map(str, size))} voxels from {name}",
    )
    if not spacing_stated:
        require_known_spacing(path, "say it with --spacing COLUMNS,ROWS,SLICES")
    try:
        return reader.Execute()
    except RuntimeError as error:
        raise InputError(_broken_sentence(path, error)) from error


def require_scalar_volume(image: sitk.Image, name: str) -> None:
    """Raise an InputError unless ``image`` has three dimensions, one component and several slices each way."""
    _require_scalar_volume(image.GetSize(), image.GetNumberOfComponentsPerPixel(), image.GetPixelID(), name)


def write_image(image: sitk.Image, path: str | Path) -> None:
    """Write ``image``, compressed, in the format of the file's ending (.nrrd, .nii.gz, .mha...), whole or not at all.

    Raises:
        OutputError: the ending is of no such format, the folder cannot be written to or the disk is full.
    """
    path = Path(path)
    if path.suffix.lower() in _TWO_FILES:
        raise OutputError(f"{path.name} would be two files, one of which may be lost; choose .nrrd, .nii.gz or .mha.")
    with write_whole(path) as partial:
        try:
            sitk.WriteImage(image, str(partial), True)
            _require_written(partial, image)  # not every writer reports a full disk
        except (RuntimeError, InputError) as error:
            ending = path.suffix or "no ending"
            otherwise = (
                f"{path} could not be written: {ending} is no format for volumes; choose .nrrd, .nii.gz or .mha."
            )
            raise explain_incomplete(partial, path, otherwise) from error


def _require_written(path: Path, image: sitk.Image) -> None:
    header = screen_image_file(path)
    if header is not None:
        require_checksum(header, image)


def _require_scalar_volume(size: tuple[int, ...], components: int, pixel_type: int, name: str) -> None:
    shape = " x ".join(map(str, size))
    if components > 1:
        raise InputError(
            f"{name} has {components} values per voxel (colour or vectors), expected one; give the grey image."
        )
    if pixel_type in _COMPLEX:
        raise InputError(f"{name} has complex values, expected real ones; give the magnitude image.")
    if len(size) > 3:
        raise InputError(
            f"{name} has {len(size)} dimensions ({shape}), expected one volume; save one time point of it alone."
        )
    if len(size) < 3 or min(size) < 2:
        raise InputError(
            f"{name} is a single slice ({shape} pixels), expected a volume; give the whole stack of slices."
        )


def _no_image_sentence(path: Path, said: str = "") -> str:
    name = shown_name(path)
    if begins_like_archive(path):
        return f"{name} is an archive, expected an image; unpack it and give the folder that comes out."
    if "orthonormal" in said:
        return f"The axes of {name} are not perpendicular, expected a rectangular grid; resample the image to one."
    if path.stat().st_size == 0:
        return f"{name} is empty, expected an image; copy or export it again."
    if (stand_in := describe_stand_in(path)) is not None:
        return stand_in
    start = read_start(path)
    if recognise_format(start) == "NIfTI" and _NIFTI_2 in (start[:4], start[3::-1]):
        return f"{name} is NIfTI of version 2, which is not read here; save it as NIfTI-1, NRRD or MetaImage."
    return (
        f"{name} is no image that can be read, or is damaged, expected DICOM, NRRD, NIfTI or MetaImage; "
        "give such a file or a folder of DICOM images."
    )


def _broken_sentence(path: Path, error: RuntimeError) -> str:
    name = shown_name(path)
    if "spacing" in str(error).lower():
        return f"The voxels of {name} have no valid size, expected a positive spacing in mm; correct the header."
    return (
        f"{name} cannot be read to its end: it is cut short, damaged or a part of it is missing, "
        "expected a whole image; copy or export it again."
    )
