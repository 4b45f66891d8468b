"""Whether the values of a CT are Hounsfield units: by its rescale tags, or by where air lies."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import SimpleITK as sitk

from KneeSegLib.errors import InputError
from KneeSegLib.io.dicom_slice import Slice
from KneeSegLib.io.settings import (
    AIR_BELOW_HU,
    AIR_CENTRE_BELOW_HU,
    AIR_CENTRE_HU,
    AIR_FRACTION,
    LOWEST_HU,
    TISSUE_CENTRE_HU,
)

_HOUNSFIELD = ("", "HU", "HU_MOD")
"""Values of RescaleType that are Hounsfield units, the last of images at a single energy; without one they are too."""


def check_units(stack: Sequence[Slice], image: sitk.Image, name: str) -> list[str]:
    """Return notes on values of a CT whose header does not say that they are Hounsfield units.

    Args:
        image: the values as read, before padding is replaced.
        name: of the image, in the sentences.

    Raises:
        InputError: some slices have rescale tags and others none; or none has, and air is not where it has to be.
    """
    without = sum(not plane.has_rescale for plane in stack)
    if 0 < without < len(stack):
        raise InputError(
            f"{without} of the {len(stack)} slices of {name} lack RescaleIntercept and RescaleSlope, which the others "
            "have, expected the same of all; export the series again."
        )
    if without:
        return [_check_air(image, name)]
    units = sorted({plane.rescale_type for plane in stack} - set(_HOUNSFIELD))
    if units:
        return [
            f"The header of {name} calls its values '{units[0]}' (RescaleType) and not HU; they were taken for "
            "Hounsfield units. Bones are found wrong where they are something else."
        ]
    return []


def _check_air(image: sitk.Image, name: str) -> str:
    """Return the note on a CT without rescale tags whose values may be HU."""
    values = sitk.GetArrayViewFromImage(image)
    lowest = values.min()
    padding = values == lowest if lowest < LOWEST_HU else np.zeros(values.shape, bool)
    dark, tissue = values[(values <= AIR_BELOW_HU) & ~padding], values[values > AIR_BELOW_HU]
    missing = f"The header of {name} does not say how its values become Hounsfield units (no RescaleIntercept)"
    way_out = "export the CT with its rescale tags, or as NRRD or NIfTI in Hounsfield units"
    if not len(dark):
        if lowest >= 0:
            raise InputError(
                f"{missing}, and they cannot be such: they run from {lowest:g} to {values.max():g}, expected air "
                f"at -1000; {way_out}."
            )
        return f"{missing}; they were taken as they are, and the scan shows no air by which to check that."
    centre, tissue_centre = float(np.median(dark)), float(np.median(tissue)) if len(tissue) else float("nan")
    gathered = np.count_nonzero(dark <= AIR_CENTRE_BELOW_HU) >= AIR_FRACTION * len(dark)
    if not (_within(centre, AIR_CENTRE_HU) and gathered and _within(tissue_centre, TISSUE_CENTRE_HU)):
        raise InputError(
            f"{missing}, and they cannot be such: their dark part lies about {centre:g} and the rest about "
            f"{tissue_centre:g}, expected air at -1000 and tissue near 0; {way_out}."
        )
    return f"{missing}; they were taken as they are, since air lies at {centre:g} where -1000 belongs."


def _within(value: float, bounds: tuple[float, float]) -> bool:
    return bounds[0] <= value <= bounds[1]
