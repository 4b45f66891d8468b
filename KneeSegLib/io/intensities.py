"""Voxel values of an image: their type, and whether they can be what a pipeline expects.

CT values are in Hounsfield units (HU): air -1000, fat -100, water 0, cortical bone above 800. MR values have no unit.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import SimpleITK as sitk

from KneeSegLib.errors import InputError
from KneeSegLib.io.settings import (
    AIR_BELOW_HU,
    AIR_CENTRE_BELOW_HU,
    AIR_FRACTION,
    BONE_ABOVE_HU,
    FAT_BELOW_HU,
    LOWEST_HU,
)

Modality = Literal["CT", "MR"]

_INT16 = np.iinfo(np.int16)


def convert_to_compact_type(image: sitk.Image, name: str) -> sitk.Image:
    """Return ``image`` as int16 where that holds every value exactly, else as float32.

    Args:
        image: of any real pixel type.
        name: of the image, in the message.

    Raises:
        InputError: a value is not a number or infinite.
    """
    values = sitk.GetArrayViewFromImage(image)
    low, high = values.min(), values.max()
    if not (np.isfinite(low) and np.isfinite(high)):
        count = values.size - np.count_nonzero(np.isfinite(values))
        raise InputError(
            f"{name} holds {count} voxels that are not numbers (NaN or infinite), expected finite intensities; "
            "replace them, in a CT by -1024, before giving the image."
        )
    fits = low >= _INT16.min and high <= _INT16.max
    if fits and (values.dtype.kind in "iu" or all(np.array_equal(plane, np.rint(plane)) for plane in values)):
        return _cast(image, sitk.sitkInt16)
    return _cast(image, sitk.sitkFloat32)


def replace_padding_values(image: sitk.Image) -> sitk.Image:
    """Return a CT image whose padding, what scanners write outside their field of view (-2000, -3024...), is -1024.

    Values above 32767 (63536) are padding too: negative numbers of 16 bits that were read as positive ones.
    """
    values = sitk.GetArrayViewFromImage(image)
    if values.min() >= LOWEST_HU and values.max() <= _INT16.max:
        return image
    array = np.maximum(values, LOWEST_HU)
    array[array > _INT16.max] = LOWEST_HU
    replaced = sitk.GetImageFromArray(array)
    replaced.CopyInformation(image)
    return convert_to_compact_type(replaced, "the image")


def guess_modality(image: sitk.Image) -> Modality | None:
    """Return "CT" where the values can only be Hounsfield units with air and bone among them, else None.

    Air gathers at -1000 HU. Values that grow rarer the darker they are, are what resampling an MR with splines leaves
    beside bright fat.
    """
    if not looks_like_hounsfield(image):
        return None
    values = sitk.GetArrayViewFromImage(image)
    dark = np.count_nonzero(values <= AIR_BELOW_HU)
    return "CT" if np.count_nonzero(values <= AIR_CENTRE_BELOW_HU) >= AIR_FRACTION * dark else None


def looks_like_hounsfield(image: sitk.Image) -> bool:
    """Return whether the lowest and the highest value are such as air and bone have in a CT."""
    low, high = find_value_range(image)
    return low <= AIR_BELOW_HU and high >= BONE_ABOVE_HU


def find_value_range(image: sitk.Image) -> tuple[float, float]:
    """Return the lowest and the highest value."""
    values = sitk.GetArrayViewFromImage(image)
    return float(values.min()), float(values.max())


def check_varied(image: sitk.Image, name: str) -> None:
    """Raise an InputError where all voxels have the same value."""
    low, high = find_value_range(image)
    if low == high:
        raise InputError(
            f"Every voxel of {name} has the value {low:g}, expected an image of a leg; choose another one."
        )


def check_hounsfield(image: sitk.Image, name: str) -> None:
    """Raise an InputError where the values cannot be Hounsfield units of a body part that has bone in it."""
    low, high = find_value_range(image)
    found = f"The values of {name} run from {low:g} to {high:g}"
    expected = "expected Hounsfield units (air -1000, bone up to 2000)"
    if low >= 0 and high <= 255:
        raise InputError(
            f"{found}, which is an 8-bit picture, {expected}; export the CT with its full range of values."
        )
    if low >= 0:
        raise InputError(
            f"{found}, none of them negative, {expected}; export the CT with its rescale intercept applied."
        )
    if low > FAT_BELOW_HU or high < BONE_ABOVE_HU:
        raise InputError(f"{found}, {expected}; export the CT without windowing or normalisation.")


def _cast(image: sitk.Image, pixel_type: int) -> sitk.Image:
    return image if image.GetPixelID() == pixel_type else sitk.Cast(image, pixel_type)
