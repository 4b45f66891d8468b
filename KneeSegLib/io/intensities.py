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
    BRIGHT_PADDING_HU,
    FAT_BELOW_HU,
    LOWEST_HU,
    LOWEST_PADDING_HU,
)

Modality = Literal["CT", "MR"]

_INT16 = np.iinfo(np.int16)
_WRAP = 2**16


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

    Values above 32767 become what they are: negative numbers of 16 bits that were read as positive ones, padding
    (63536) or HU (65436 is -100). So does the highest value where corners have it (:func:`find_bright_padding`).
    """
    values = sitk.GetArrayViewFromImage(image)
    bright = find_bright_padding(image)
    if values.min() >= LOWEST_HU and values.max() <= _INT16.max and bright is None:
        return image
    array = values.copy()
    if bright is not None:
        array[array == bright] = LOWEST_HU
    if values.max() > _INT16.max:
        array[values > _INT16.max] -= _WRAP
        array[values >= _WRAP] = LOWEST_HU
    array = np.maximum(array, LOWEST_HU)
    replaced = sitk.GetImageFromArray(array)
    replaced.CopyInformation(image)
    return convert_to_compact_type(replaced, "the image")


def find_bright_padding(image: sitk.Image) -> float | None:
    """Return the highest value of a CT where most of its corners have it, as bright as bone: that is padding too."""
    values = sitk.GetArrayViewFromImage(image)
    corners = values[np.ix_(*([0, -1] for _ in range(values.ndim)))]
    high = corners.max()
    if not BRIGHT_PADDING_HU <= high <= _INT16.max or 2 * np.count_nonzero(corners == high) <= corners.size:
        return None  # as nearly every image, without a look at all of it
    return float(high) if high == values.max() else None


def describe_replaced_values(image: sitk.Image, name: str) -> list[str]:
    """Return the notes on a CT of which :func:`replace_padding_values` replaces numbers that are no HU, but for dark
    padding."""
    values = sitk.GetArrayViewFromImage(image)
    bright = find_bright_padding(image)
    if bright is not None:
        return [
            f"The highest value of {name}, {bright:g}, stands in its corners: it was read as padding, what the scanner "
            "did not see. Check that no bone is missing."
        ]
    if values.max() <= _INT16.max:
        return []
    count = np.count_nonzero((values > _WRAP + LOWEST_HU) & (values < _WRAP))
    if not count:
        return []
    return [
        f"Negative numbers of {name} are stored as if 16 bits had no sign (65436 for -100): {count} voxels were read "
        "as the negative numbers that they stand for. Check that fat is darker than muscle."
    ]


def guess_modality(image: sitk.Image) -> Modality | None:
    """Return "CT" where the values can only be Hounsfield units with air and bone among them, else None.

    Air gathers at -1000 HU. Values that grow rarer the darker they are, are what resampling an MR with splines leaves
    beside bright fat.
    """
    values = sitk.GetArrayViewFromImage(image)
    if _are_wrapped(values):
        image = replace_padding_values(image)
        values = sitk.GetArrayViewFromImage(image)
    if not looks_like_hounsfield(image):
        return None
    dark = np.count_nonzero(values <= AIR_BELOW_HU)
    return "CT" if np.count_nonzero(values <= AIR_CENTRE_BELOW_HU) >= AIR_FRACTION * dark else None


def _are_wrapped(values: np.ndarray) -> bool:
    """Return whether numbers can be HU of which the negative ones were read as positive: nothing lies between."""
    if values.min() < 0 or not _INT16.max < values.max() < _WRAP:
        return False
    return not ((values > _INT16.max) & (values < _WRAP + LOWEST_PADDING_HU)).any()


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
