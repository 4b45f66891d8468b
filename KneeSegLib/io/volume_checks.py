"""Whether a pipeline can work on a volume."""

from __future__ import annotations

from KneeSegLib.errors import InputError
from KneeSegLib.io.intensities import check_hounsfield, check_varied
from KneeSegLib.io.settings import FEWEST_SLICES, LARGEST_PIXEL_MM, SMALLEST_EXTENT_MM
from KneeSegLib.io.volume_type import Volume


def check_ct(volume: Volume) -> None:
    """Raise an InputError with one sentence where a CT pipeline cannot work on ``volume``."""
    if volume.modality == "MR":
        raise InputError(
            f"'{volume.source}' is an MR image, expected a CT; give a CT, choose --pipeline mr-knee, "
            "or say --modality CT if that is wrong."
        )
    _check_extent(volume)
    check_varied(volume.image, f"'{volume.source}'")
    check_hounsfield(volume.image, f"'{volume.source}'")


def check_mr(volume: Volume) -> None:
    """Raise an InputError with one sentence where an MR pipeline cannot work on ``volume``."""
    if volume.modality == "CT":
        raise InputError(
            f"'{volume.source}' is a CT image, expected an MR; give an MR, choose --pipeline ct-leg, "
            "or say --modality MR if that is wrong."
        )
    _check_extent(volume)
    check_varied(volume.image, f"'{volume.source}'")


def _check_extent(volume: Volume) -> None:
    size, spacing = volume.image.GetSize(), volume.image.GetSpacing()
    extent_mm = [n * length for n, length in zip(size, spacing)]
    shape = " x ".join(map(str, size))
    if sorted(spacing)[1] > LARGEST_PIXEL_MM:
        lengths = " x ".join(f"{length:g}" for length in spacing)
        raise InputError(
            f"The voxels of '{volume.source}' measure {lengths} mm, expected pixels below {LARGEST_PIXEL_MM:g} mm; "
            "check the image's spacing."
        )
    # Half a millimetre of leeway: 20 slices 2 mm apart are 40 mm however they were rounded.
    if min(size) < FEWEST_SLICES or min(extent_mm) < SMALLEST_EXTENT_MM - 0.5:
        lengths = " x ".join(f"{length:.0f}" for length in extent_mm)
        needed = f"at least {SMALLEST_EXTENT_MM:g} mm and {FEWEST_SLICES} slices in every direction"
        raise InputError(
            f"'{volume.source}' covers {lengths} mm with {shape} voxels, expected {needed}; give more of the scan."
        )
