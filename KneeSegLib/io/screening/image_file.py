"""Which screening a file needs, by its contents."""

from __future__ import annotations

from pathlib import Path

from KneeSegLib.errors import InputError
from KneeSegLib.io.image_formats import Format, read_start, recognise_format
from KneeSegLib.io.screening.image_header import ImageHeader
from KneeSegLib.io.screening.metaimage import screen_metaimage
from KneeSegLib.io.screening.nifti import screen_nifti
from KneeSegLib.io.screening.nrrd import screen_nrrd
from KneeSegLib.io.screening.regular_files import require_regular_file

_SCREENINGS = {"NIfTI": screen_nifti, "NRRD": screen_nrrd, "MetaImage": screen_metaimage}


def screen_image_file(path: Path) -> ImageHeader | None:
    """Return what the header of an image says; None where it is none of NRRD, MetaImage and NIfTI.

    Raises:
        InputError: it is no regular file, is damaged, names a file elsewhere, or claims what cannot be.
    """
    require_regular_file(path)
    kind = recognise_image(path)
    return _SCREENINGS[kind](path) if kind is not None else None


def recognise_image(path: Path) -> Format | None:
    """Return the format of a file, of the voxels of a NIfTI or Analyze file too; None for one that is not screened."""
    kind = recognise_format(read_start(path))
    return "NIfTI" if kind is None and path.name.lower().endswith((".img", ".img.gz")) else kind


def list_image_files(path: Path) -> list[Path]:
    """Return the files of which an image is made: of a folder all in and below it, of a header its voxels' file too."""
    if path.is_dir():
        return sorted(file for file in path.rglob("*") if file.is_file())
    try:
        header = screen_image_file(path)
    except InputError:  # damaged: what reads it says so
        header = None
    return [path] if header is None or header.voxels.path == path else [path, header.voxels.path]
