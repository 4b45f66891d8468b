"""An image with what is known of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import SimpleITK as sitk

from KneeSegLib.anatomy import Side
from KneeSegLib.geometry.orientation import straighten_gantry_tilt
from KneeSegLib.io.intensities import (
    Modality,
    convert_to_compact_type,
    describe_replaced_values,
    find_value_range,
    guess_modality,
    replace_padding_values,
)
from KneeSegLib.io.settings import LOWEST_HU


@dataclass(frozen=True)
class Volume:
    """An image and what is known of it.

    Attributes:
        image: three-dimensional, int16 or float32, of any direction; carries no metadata of the file it came from. In a
            CT, values below -1024 HU have become -1024.
        modality: DICOM's, or guessed from the values ("CT" or unknown).
        source: the name of the file that was given, or what the series of a folder is. It holds nothing that was typed
            at the scanner, which may name the patient, unless that was to be kept.
        notes: sentences for the report.
        side: of the body part, where the DICOM header names one.
        frame_of_reference: DICOM's UID of the coordinate system; empty where the file names none.
        path: of the file or folder that the user gave, absolute; None where it may name the patient, or lies in an
            archive.
        series_key: by which a DICOM series is found again (:attr:`KneeSegLib.io.dicom_series.Series.key`).
    """

    image: sitk.Image
    modality: Modality | None = None
    source: str = "image in memory"
    notes: tuple[str, ...] = ()
    side: Side | None = None
    frame_of_reference: str = ""
    path: Path | None = None
    series_key: str = ""


def make_volume(
    image: sitk.Image, modality: Modality | None, source: str, notes: list[str], from_header: bool = False
) -> Volume:
    """Return a volume of ``image``: of a compact type, straight, without metadata, its modality recognised if unknown.

    Args:
        notes: what is known to be said of it.
        from_header: whether the file said the modality, and not the user.

    Raises:
        InputError: voxels that are no numbers.
    """
    image = convert_to_compact_type(image, f"'{source}'")
    if modality == "MR" and not from_header and guess_modality(image) == "CT":
        notes = [*notes, f"The values of '{source}' look like those of a CT; it was taken for an MR, as you said."]
    modality = modality or guess_modality(image)
    if modality == "CT":
        notes = [*notes, *describe_replaced_values(image, f"'{source}'")]
        image = replace_padding_values(image)
    image, lean = straighten_gantry_tilt(image, LOWEST_HU if modality == "CT" else find_value_range(image)[0])
    if lean:
        notes = [
            *notes,
            f"The slices lean by {lean:.1f} degrees; it was resampled to a rectangular grid, on which the labels lie.",
        ]
    return Volume(_without_metadata(image), modality, source, tuple(notes))


def _without_metadata(image: sitk.Image) -> sitk.Image:
    """Return the image itself, or a copy where it carries metadata, which may name the patient and would be written."""
    if not image.GetMetaDataKeys():
        return image
    # sitk.Image(image) would share the metadata, and erasing it would erase the caller's, too.
    copy = sitk.Cast(image, image.GetPixelID())
    for key in copy.GetMetaDataKeys():
        copy.EraseMetaData(key)
    return copy
