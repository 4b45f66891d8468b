"""Image volumes: read and checked.

    >>> volume = read_volume("scans/leg_ct/")
    >>> check_ct(volume)

The parts live in :mod:`~KneeSegLib.io.dicom_folder` (what a folder holds), :mod:`~KneeSegLib.io.dicom_series` (which
series), :mod:`~KneeSegLib.io.dicom_blocks` (blocks of one scan), :mod:`~KneeSegLib.io.dicom_stack` (slices to volume),
:mod:`~KneeSegLib.io.image_files` (NRRD, NIfTI...) and :mod:`~KneeSegLib.io.intensities`.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import SimpleITK as sitk

from KneeSegLib.errors import InputError
from KneeSegLib.io.archives import unpack_study
from KneeSegLib.io.dicom_blocks import choose_blocks
from KneeSegLib.io.dicom_folder import FolderContent, is_dicom, is_directory_file, read_folder
from KneeSegLib.io.dicom_series import choose_series, group_series
from KneeSegLib.io.dicom_volume import read_blocks, read_chosen, read_multi_frame
from KneeSegLib.io.image_files import read_image_file, require_scalar_volume
from KneeSegLib.io.image_formats import shown_name
from KneeSegLib.io.image_geometry import check_placing, describe_missing_orientation
from KneeSegLib.io.intensities import Modality, describe_replaced_values, replace_padding_values
from KneeSegLib.io.screening import require_regular_file
from KneeSegLib.io.slice_images import find_slice_images, read_slice_images
from KneeSegLib.io.stated_geometry import StatedGeometry
from KneeSegLib.io.volume_checks import check_ct, check_mr
from KneeSegLib.io.volume_type import Volume, make_volume

__all__ = ["Volume", "check_ct", "check_mr", "read_scans", "read_volume"]

_NAMES = {"CT": "a CT", "MR": "an MR"}


def read_volume(
    path: str | Path | sitk.Image,
    series: str | None = None,
    modality: Modality | None = None,
    presumed: Modality | None = None,
    stated: StatedGeometry | None = None,
    keep_description: bool = False,
) -> Volume:
    """Read a folder of DICOM slices (sub-folders included) or a zip file of it, an image file, or take an image.

    The grid of the image is that of the file, with one exception: where slices lean (tilted gantry) it is a
    rectangular grid onto which they were shifted, and labels lie on that
    (:func:`KneeSegLib.io.dicom_stack.read_stack`); a note tells it.

    Args:
        path: of a folder or file, or an image in memory.
        series: which one of a DICOM folder: number in the list, UID or its end, or (part of the) description. Without
            it the largest CT is read, else the largest MR, and a note tells which.
        modality: where the user says it, whatever the file says; without it DICOM's, or a CT is recognised by its
            values.
        presumed: as which to take an image whose modality neither its file nor ``modality`` says, whatever its values
            look like: what the pipeline that the caller chose works on.
        stated: spacing and orientation as the user says them; they go before those of the file.
        keep_description: call a DICOM series by its description, which may name the patient.

    Raises:
        InputError: nothing usable there; one sentence tells what was found, what was expected and what to do.
        ResourceError: not enough memory; raised before pixels are read.
    """
    if isinstance(path, sitk.Image):
        require_scalar_volume(path, "The image")
        return _place(make_volume(path, modality or presumed, Volume.source, []), stated)
    with unpack_study(_require_existing(path)) as unpacked:
        volume = _read(_open(unpacked, Path(path)), series, modality, presumed, stated, keep_description)
    return _locate(volume, Path(path), unpacked)


def _read(
    source: FolderContent | Path,
    series: str | None,
    modality: Modality | None,
    presumed: Modality | None,
    stated: StatedGeometry | None,
    keep_description: bool,
) -> Volume:
    """Read one volume of a folder's content, or of an image file."""
    if isinstance(source, FolderContent):
        if not source.slices and stated is not None and source.folder.is_dir() and find_slice_images(source.folder):
            return _read_slices(source, modality or presumed, stated)
        found = group_series(source, keep_description)
        return _state(read_chosen(source, found, choose_series(found, series), series), modality, stated)
    if series is not None:
        raise InputError(
            f"{source.name} is a single image, and a series is chosen only in a DICOM folder; leave the series out."
        )
    image = read_image_file(source, stated is not None and stated.spacing_mm is not None)
    unknown = describe_missing_orientation(source)
    says_orientation = stated is not None and stated.orientation is not None
    notes = [unknown] if unknown and not says_orientation else []
    if stated is None or stated.spacing_mm is None:
        double = check_placing(source, image, "say the true one with --spacing COLUMNS,ROWS,SLICES")
        notes += [double] if double else []
    return _place(make_volume(image, modality or presumed, shown_name(source), notes), stated, not unknown)


def read_scans(
    path: str | Path | sitk.Image,
    series: str | None = None,
    modality: Modality | None = None,
    presumed: Modality | None = None,
    stated: StatedGeometry | None = None,
    keep_description: bool = False,
) -> list[Volume]:
    """Return what :func:`read_volume` does, or the blocks of a CT series that holds several, from head to foot.

    Hip, knee and ankle of a planning protocol are one series with nothing between the blocks. ``series`` means all of
    them by its UID or description, and one of them by its number in the list. A block that cannot be read is left out
    with a note, where another one can.

    Raises:
        InputError, ResourceError: as :func:`read_volume`.
    """
    if isinstance(path, sitk.Image):
        return [read_volume(path, series, modality, presumed, stated)]
    with unpack_study(_require_existing(path)) as unpacked:
        source = _open(unpacked, Path(path))
        if not isinstance(source, FolderContent) or not source.slices:
            volumes = [_read(source, series, modality, presumed, stated, keep_description)]
        else:
            found = group_series(source, keep_description)
            blocks = choose_blocks(found, series)
            if len(blocks) == 1:
                volumes = [_state(read_chosen(source, found, blocks[0], series), modality, stated)]
            else:
                volumes = [_state(volume, modality, stated) for volume in read_blocks(source, found, blocks)]
    return [_locate(volume, Path(path), unpacked) for volume in volumes]


def _locate(volume: Volume, given: Path, unpacked: Path) -> Volume:
    """Return a volume that knows what it was read from: the file or folder that the user gave.

    Nothing is kept of an archive, which is unpacked no more. A series of DICOM knows its place already.
    """
    if unpacked != given.expanduser() or volume.series_key:
        return volume
    return replace(volume, path=given.expanduser().absolute())


def _require_existing(path: str | Path) -> Path:
    path = Path(path).expanduser()
    if not path.exists():
        raise InputError(f"There is no file or folder {path}; check the path.")
    if not path.is_dir():
        require_regular_file(path)
    return path


def _open(path: Path, called: Path) -> FolderContent | Path:
    """Return what a DICOM folder or file holds, or the path of another file; messages call the folder ``called``."""
    if path.is_dir() or is_directory_file(path):
        return read_folder(path, called)
    return read_multi_frame(path) if is_dicom(path) else path


def _state(volume: Volume, modality: Modality | None, stated: StatedGeometry | None) -> Volume:
    """Return a volume of DICOM with what the user says of it."""
    if modality is not None and modality != volume.modality:
        note = f"It was taken for {_NAMES[modality]}, as you said; its header says {volume.modality}."
        image, replaced = volume.image, list[str]()
        if modality == "CT":
            replaced = describe_replaced_values(image, f"'{volume.source}'")
            image = replace_padding_values(image)
        volume = replace(volume, image=image, modality=modality, notes=(*volume.notes, note, *replaced))
    return _place(volume, stated)


def _place(volume: Volume, stated: StatedGeometry | None, has_orientation: bool = True) -> Volume:
    if stated is None:
        return volume
    image, notes = stated.place(volume.image, has_orientation)
    return replace(volume, image=image, notes=(*volume.notes, *notes))


def _read_slices(content: FolderContent, modality: Modality | None, stated: StatedGeometry) -> Volume:
    called = shown_name(content.called)
    image = read_slice_images(content.folder, stated, called)
    steps = " x ".join(f"{step:g}" for step in image.GetSpacing())
    note = (
        f"Spacing {steps} mm and orientation {stated.orientation or 'LPS'} of the slice images are those that you gave "
        "or, where you gave none, LPS: check that left and right, or head and foot, are not exchanged."
    )
    return make_volume(image, modality, called, [note])
