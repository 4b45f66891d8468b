"""The cases of a comparison: references, and the images that belong to them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from KneeSegLib.errors import InputError
from KneeSegLib.evaluation.settings import CASE_FOLDERS
from KneeSegLib.measurements.pairs import list_images, list_label_maps


@dataclass(frozen=True)
class ReferenceCase:
    """A reference (label map or result folder) and its image (file or DICOM folder), where there is one."""

    name: str
    reference: Path
    image: Path | None


def find_cases(folder: Path) -> list[ReferenceCase]:
    """Return the cases of a folder that holds one of :data:`CASE_FOLDERS`, or label maps alone.

    Raises:
        InputError: no such folder, or no label map in it.
    """
    if not folder.is_dir():
        raise InputError(
            f"There is no folder {folder}; give the folder of the cases, with labels/ and images/ in it as "
            "kneeseg synthesize writes them."
        )
    for labels, images in CASE_FOLDERS:
        if (folder / labels).is_dir():
            found = list_images(folder / images) if (folder / images).is_dir() else {}
            return [
                ReferenceCase(name, path, found.get(name)) for name, path in list_label_maps(folder / labels).items()
            ]
    return [ReferenceCase(name, path, None) for name, path in list_label_maps(folder).items()]
