"""Rendered people that are kept in a folder, so that other weights can be measured on them without rendering again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import SimpleITK as sitk

from KneeSegLib.training.synthesis.cases import SyntheticCase


def kept(folder: Path | None, name: str, subject: str, group: str, make: Callable[[], SyntheticCase]) -> SyntheticCase:
    """Return the case that ``folder`` holds under ``name``; what is not there is made and kept.

    Args:
        folder: None to keep nothing.
        name: has to say everything that the image depends on, but for the renderer's code: empty the folder when that
            has changed.
    """
    if folder is None:
        return make()
    image, labels = folder / f"{name}.mha", folder / f"{name}_labels.mha"
    if not labels.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        case = make()
        sitk.WriteImage(case.image, image)
        sitk.WriteImage(case.labels, labels, useCompression=True)  # last: where it is, both are whole
    return SyntheticCase(sitk.ReadImage(image), sitk.ReadImage(labels), subject, group)
