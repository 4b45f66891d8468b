"""An image read as it is stored, of any number of axes and components, once its header was found sound."""

from __future__ import annotations

from math import prod
from pathlib import Path

import SimpleITK as sitk

from KneeSegLib.errors import InputError
from KneeSegLib.io.image_axes import drop_single_axes
from KneeSegLib.io.image_formats import begins_like_archive, describe_stand_in, readable_path, shown_name
from KneeSegLib.io.library_messages import log_itk_messages
from KneeSegLib.io.screening.child import read_in_child
from KneeSegLib.io.screening.image_file import screen_image_file
from KneeSegLib.io.screening.regular_files import require_regular_file
from KneeSegLib.io.screening.result import require_as_screened, require_sound_geometry
from KneeSegLib.memory import require_memory


def read_stored_image(path: Path, working_bytes: int) -> sitk.Image:
    """Return the image in a file.

    Args:
        working_bytes: that whoever reads it needs for each value beside the value itself.

    Raises:
        InputError: it is damaged, or of no format that is known.
        ResourceError: not enough memory.
    """
    require_regular_file(path)
    with readable_path(path) as readable, log_itk_messages():
        header = screen_image_file(path)
        if header is not None:
            bytes_needed = header.values * (header.value_type.itemsize + working_bytes)
            require_memory(bytes_needed, f"Reading {' x '.join(map(str, header.size))} voxels from {shown_name(path)}")
            image = _read(readable, path)
            require_as_screened(header, image)
            return drop_single_axes(image)
        if not sitk.ImageFileReader.GetImageIOFromFileName(str(readable)):
            raise _no_image(path)
        image = read_in_child(_read, readable, path)
    require_sound_geometry(image, shown_name(path))
    values = prod(image.GetSize()) * image.GetNumberOfComponentsPerPixel()
    require_memory(values * working_bytes, f"Reading {values} voxels from {shown_name(path)}")
    return image


def _read(readable: Path, path: Path) -> sitk.Image:
    try:
        return sitk.ReadImage(str(readable))
    except RuntimeError as error:
        raise _no_image(path) from error


def _no_image(path: Path) -> InputError:
    if (stand_in := describe_stand_in(path)) is not None:
        return InputError(stand_in)
    if begins_like_archive(path):
        return InputError(f"{shown_name(path)} is an archive, expected a label map; unpack it and give what comes out.")
    return InputError(
        f"{shown_name(path)} cannot be read as an image; it is damaged, cut short or of an unknown format. Label maps "
        "are given as .seg.nrrd, .nrrd, .nii.gz or .mha."
    )
