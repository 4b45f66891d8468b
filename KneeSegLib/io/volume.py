"""Image volumes: read and checked.

    >>> volume = read_volume("scans/leg_ct/")
    >>> check_ct(volume)

The parts live in :mod:`~KneeSegLib.io.dicom_folder` (what a folder holds), :mod:`~KneeSegLib.io.dicom_series` (which
series), :mod:`~KneeSegLib.io.dicom_stack` (slices to volume), :mod:`~KneeSegLib.io.image_files` (NRRD, NIfTI...) and
:mod:`~KneeSegLib.io.intensities`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import SimpleITK as sitk

from KneeSegLib.anatomy import Side
from KneeSegLib.errors import InputError
from KneeSegLib.geometry.orientation import straighten_gantry_tilt
from KneeSegLib.io.dicom_folder import FolderContent, is_dicom, is_directory_file, read_dicom_file, read_folder
from KneeSegLib.io.dicom_series import Series, choose_series, group_series
from KneeSegLib.io.dicom_stack import read_stack
from KneeSegLib.io.file_places import describe_place
from KneeSegLib.io.image_files import read_image_file, require_scalar_volume
from KneeSegLib.io.image_formats import shown_name
from KneeSegLib.io.image_geometry import describe_missing_orientation
from KneeSegLib.io.intensities import (
    Modality,
    check_hounsfield,
    check_varied,
    convert_to_compact_type,
    find_value_range,
    guess_modality,
    replace_padding_values,
)
from KneeSegLib.io.screening import require_regular_file
from KneeSegLib.io.settings import FEWEST_SLICES, LARGEST_PIXEL_MM, LOWEST_HU, SMALLEST_EXTENT_MM
from KneeSegLib.io.slice_images import SliceGeometry, read_slice_images


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
    """

    image: sitk.Image
    modality: Modality | None = None
    source: str = "image in memory"
    notes: tuple[str, ...] = ()
    side: Side | None = None


def read_volume(
    path: str | Path | sitk.Image,
    series: str | None = None,
    modality: Modality | None = None,
    presumed: Modality | None = None,
    slices: SliceGeometry | None = None,
    keep_description: bool = False,
) -> Volume:
    """Read a folder of DICOM slices (sub-folders included), a DICOM, NRRD, NIfTI or MetaImage file, or take an image.

    The grid of the image is that of the file, with one exception: where slices lean (tilted gantry) it is a
    rectangular grid onto which they were shifted, and labels lie on that
    (:func:`KneeSegLib.io.dicom_stack.read_stack`); a note tells it.

    Args:
        path: of a folder or file, or an image in memory.
        series: which one of a DICOM folder: number in the list, UID or its end, or (part of the) description. Without
            it the largest CT is read, else the largest MR, and a note tells which.
        modality: of an image whose file does not hold it, where the caller knows; without it a CT is recognised by its
            values.
        presumed: as which to take an image whose modality neither its file nor ``modality`` says, whatever its values
            look like: what the pipeline that the caller chose works on.
        slices: where the images lie that a folder holds instead of DICOM: numbered ones, each a slice.
        keep_description: call a DICOM series by its description, which may name the patient.

    Raises:
        InputError: nothing usable there; one sentence tells what was found, what was expected and what to do.
        ResourceError: not enough memory; raised before pixels are read.
    """
    if isinstance(path, sitk.Image):
        require_scalar_volume(path, "The image")
        return _volume(path, modality or presumed, Volume.source, [])
    path = Path(path).expanduser()
    if not path.exists():
        raise InputError(f"There is no file or folder {path}; check the path.")
    if not path.is_dir():
        require_regular_file(path)
    if slices is not None:
        return _slice_images_volume(path, modality or presumed, slices)
    if modality is not None and (path.is_dir() or is_dicom(path)):
        raise InputError(f"{path.name} is DICOM, whose header holds the modality; leave --modality out.")
    if path.is_dir() or is_directory_file(path):
        content = read_folder(path)
        return _dicom_volume(group_series(content, path, keep_description), content, series)
    if is_dicom(path):
        content = _multi_frame(path)
        return _dicom_volume(group_series(content, path, keep_description), content, series)
    if series is not None:
        raise InputError(
            f"{path.name} is a single image, and a series is chosen only in a DICOM folder; leave the series out."
        )
    image = read_image_file(path)
    unknown = describe_missing_orientation(path)
    return _volume(image, modality or presumed, shown_name(path), [unknown] if unknown else [])


def _slice_images_volume(path: Path, modality: Modality | None, slices: SliceGeometry) -> Volume:
    if not path.is_dir():
        raise InputError(
            f"{path.name} is a file, and a spacing is given for a folder of numbered slice images alone; leave it out."
        )
    steps = " x ".join(f"{step:g}" for step in slices.spacing_mm)
    note = (
        f"Spacing {steps} mm and orientation {slices.orientation} of the slice images are those that you gave or, "
        "where you gave none, LPS: check that left and right, or head and foot, are not exchanged."
    )
    return _volume(read_slice_images(path, slices), modality, path.name, [note])


def check_ct(volume: Volume) -> None:
    """Raise an InputError with one sentence where a CT pipeline cannot work on ``volume``."""
    if volume.modality == "MR":
        raise InputError(f"'{volume.source}' is an MR image, expected a CT; give a CT, or choose --pipeline mr-knee.")
    _check_extent(volume)
    check_varied(volume.image, f"'{volume.source}'")
    check_hounsfield(volume.image, f"'{volume.source}'")


def check_mr(volume: Volume) -> None:
    """Raise an InputError with one sentence where an MR pipeline cannot work on ``volume``."""
    if volume.modality == "CT":
        raise InputError(f"'{volume.source}' is a CT image, expected an MR; give an MR, or choose --pipeline ct-leg.")
    _check_extent(volume)
    check_varied(volume.image, f"'{volume.source}'")


def _multi_frame(path: Path) -> FolderContent:
    content = read_dicom_file(path)
    name = shown_name(path)
    if len(content.slices) == 1:
        raise InputError(
            f"{name} is one slice of a DICOM series, expected a volume; give the folder with all its slices."
        )
    if content.slices:
        return content
    if content.unreadable:
        raise InputError(f"{name} is DICOM that cannot be read: {content.unreadable[path]}; copy or export it again.")
    kinds = ", ".join(f"{count} {kind}" for kind, count in content.ignored.items()) or "no image"
    raise InputError(f"{name} is DICOM but no volume ({kinds}), expected a CT or MR; give the folder of such a series.")


def _dicom_volume(found: Sequence[Series], content: FolderContent, wanted: str | None) -> Volume:
    chosen = choose_series(found, wanted)
    image, notes = read_stack(chosen)
    if len(found) > 1 and wanted is None:
        notes.insert(
            0, f"Of {len(found)} series the largest {chosen.modality} was read, number {chosen}; others by --series."
        )
    if chosen.blocks > 1:
        notes.append(
            f"The series holds {chosen.blocks} blocks of slices with nothing or other distances between them; one was "
            "read, others by --series. If it is one scan, slices are missing: copy or export it again."
        )
    notes += _remarks(content)
    if any(plane.derived for plane in chosen.stack):
        notes.append(
            "The file holds one position for all its frames; the others were derived from SpacingBetweenSlices along "
            "the normal of the frames. Check that head and foot, or left and right, are not exchanged."
        )
    sides = {plane.side for plane in chosen.stack}
    return replace(
        _volume(image, chosen.modality, chosen.name, notes, from_header=True),
        side=sides.pop() if len(sides) == 1 else None,
    )


def _remarks(content: FolderContent) -> list[str]:
    """Return notes on what was left out of a folder."""
    found = []
    if content.unreadable:
        (first, reason), count = next(iter(content.unreadable.items())), len(content.unreadable)
        counted = "1 damaged file was" if count == 1 else f"{count} damaged files were"
        found.append(f"{counted} left out; the first of them is {describe_place(first)}: {reason}.")
    if content.broken_links:
        found.append(f"Links to files that are not there were left out: {len(content.broken_links)}.")
    if content.closed:
        found.append(f"Folders that may not be opened were left out: {len(content.closed)}.")
    return found


def _volume(
    image: sitk.Image, modality: Modality | None, source: str, notes: list[str], from_header: bool = False
) -> Volume:
    image = convert_to_compact_type(image, f"'{source}'")
    if modality == "MR" and not from_header and guess_modality(image) == "CT":
        notes = [*notes, f"The values of '{source}' look like those of a CT; it was taken for an MR, as you said."]
    modality = modality or guess_modality(image)
    if modality == "CT":
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
