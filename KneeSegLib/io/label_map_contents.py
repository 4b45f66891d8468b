"""What a label map holds, before it is said what its values stand for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from KneeSegLib.io.image_formats import shown_name
from KneeSegLib.io.label_maps import find_segmentation_file
from KneeSegLib.io.label_segments import read_segments
from KneeSegLib.io.screening.reading import read_stored_image
from KneeSegLib.io.settings import LABEL_WORKING_BYTES


@dataclass(frozen=True)
class LabelMapContents:
    """The values of a label map (``values``, without 0), and what its file calls them where it does (``names``)."""

    values: tuple[int, ...]
    names: Mapping[int, str]


def read_contents(path: str | Path) -> LabelMapContents:
    """Return the values and names in a label map, as a user numbers them in ``--labels``.

    Raises:
        InputError: it cannot be read as an image.
    """
    path = find_segmentation_file(path)
    image = read_stored_image(path, LABEL_WORKING_BYTES)
    segments = read_segments(image, shown_name(path))
    if segments:
        return LabelMapContents(
            tuple(sorted(segment.number for segment in segments)),
            {segment.number: segment.name or segment.identity for segment in segments},
        )
    found = np.unique(sitk.GetArrayViewFromImage(image))
    return LabelMapContents(tuple(int(round(float(value))) for value in found if value != 0), {})
