"""Long bones end where the image ends; to be of one kind they are all cut at the same part of their own size."""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk

from KneeSegLib.training.shape_models.settings import BAND_MM, CONTINUES_MM, LEAST_SECTION, WIDTH_WITHIN_MM, Shaft
from KneeSegLib.training.shape_models.unusable import UnusableCase


def cut_shaft(distance: sitk.Image, bone: str, shaft: Shaft, case: str) -> tuple[sitk.Image, float]:
    """Cut a long bone across the body's long axis, and crop to what is left.

    Args:
        distance: signed distance in mm, negative inside, on cubic voxels along the LPS axes.
        bone: its name, for the error.
        shaft: how much of it is kept.
        case: its name, for the error.

    Returns:
        the distance to the cut bone, clipped to :data:`~.settings.BAND_MM`, and the height (z) of the cut in mm.

    Raises:
        UnusableCase: the image ends before the cut.
    """
    spacing_mm, (x, y, z) = distance.GetSpacing()[0], distance.GetOrigin()
    upward = shaft.knee_end == "lower"
    values = sitk.GetArrayFromImage(distance)
    from_knee = values if upward else values[::-1]
    cut_slice = _find_cut_slice(from_knee < 0, spacing_mm, bone, shaft, case)

    kept = int(np.ceil(cut_slice + BAND_MM / spacing_mm)) + 1
    beyond_mm = (np.arange(len(values))[:kept] - cut_slice) * spacing_mm
    from_knee = np.clip(np.maximum(from_knee[:kept], beyond_mm[:, None, None]), -BAND_MM, BAND_MM)
    if upward:
        cut_mm, lowest = z + cut_slice * spacing_mm, z
    else:
        cut_mm, lowest = z + (len(values) - 1 - cut_slice) * spacing_mm, z + (len(values) - len(from_knee)) * spacing_mm
    # A whole shaft leans out of the box around its end.
    rows, columns = (np.flatnonzero((from_knee < BAND_MM).any(axis=axes)) for axes in ((0, 2), (0, 1)))
    part = (from_knee if upward else from_knee[::-1])[:, rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    cut = sitk.GetImageFromArray(np.ascontiguousarray(part, np.float32))
    cut.SetSpacing(distance.GetSpacing())
    cut.SetOrigin((x + columns[0] * spacing_mm, y + rows[0] * spacing_mm, lowest))
    return cut, cut_mm


def _find_cut_slice(inside: np.ndarray, spacing_mm: float, bone: str, shaft: Shaft, case: str) -> float:
    """Where to cut, in slices from the first one of ``inside`` [z, y, x], which runs from the knee along the shaft."""
    sections = np.count_nonzero(inside, axis=(1, 2))
    first = int(np.flatnonzero(sections)[0])
    columns = np.flatnonzero(inside[first : first + int(WIDTH_WITHIN_MM / spacing_mm)].any(axis=(0, 1)))
    length_mm = shaft.widths * (columns[-1] - columns[0] + 1) * spacing_mm
    cut_slice = first + length_mm / spacing_mm
    # Where the image ends, so does the bone; an oblique image takes its section away bit by bit.
    beyond = int(np.ceil(cut_slice + CONTINUES_MM / spacing_mm))
    if beyond >= len(sections) or sections[beyond] < max(1, LEAST_SECTION * sections[int(cut_slice)]):
        shown_mm, needed_mm = np.count_nonzero(sections) * spacing_mm, length_mm + CONTINUES_MM
        raise UnusableCase(
            case,
            f"shows {shown_mm:.0f} mm of the {bone} and {needed_mm:.0f} mm, {shaft.widths:g} of its width, are needed",
        )
    return cut_slice
