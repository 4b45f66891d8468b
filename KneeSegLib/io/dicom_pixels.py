"""The pixels of slices: by numpy where they are stored as they are, decoded in another process where they are not."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pydicom
import SimpleITK as sitk

from KneeSegLib.errors import InputError
from KneeSegLib.io.decoder import UndecodableError, decode_files
from KneeSegLib.io.dicom_frames import describe_odd_frame
from KneeSegLib.io.dicom_native import describe_files, list_files, read_native_values
from KneeSegLib.io.dicom_numbers import repair_decimal_commas
from KneeSegLib.io.dicom_slice import Slice
from KneeSegLib.io.file_places import describe_place


def read_pixels(stack: Sequence[Slice]) -> sitk.Image:
    """Return the values of the slices, in their order, as the rescale tags give them.

    Raises:
        InputError: a file is cut short, or cannot be decoded.
    """
    cut_short = next((plane.path for plane in stack if plane.cut_short), None)
    if cut_short is not None:
        raise InputError(
            f"The pixels of {describe_place(cut_short)} cannot be read: the file is cut short; copy it again."
        )
    values = read_native_values(stack)
    if values is not None:
        return sitk.GetImageFromArray(values)
    if any(plane.frame is not None for plane in stack) and len({plane.encoding for plane in stack}) > 1:
        raise InputError(
            f"The frames of {describe_place(stack[0].path)} are compressed and have different rescale values, expected "
            "one for all; export the series uncompressed, or as single-frame DICOM."
        )
    return sitk.GetImageFromArray(_decode_values(stack))


def _decode_values(stack: Sequence[Slice]) -> np.ndarray:
    files = list_files(stack)
    for path in files:
        if (odd := describe_odd_frame(path)) is not None:
            raise InputError(f"The pixels of {describe_place(path)} are damaged: {odd}; copy or export it again.")
    columns, rows = stack[0].size
    decoded: np.ndarray | None = None
    one_encoding = len({plane.encoding for plane in stack}) == 1
    with _decodable_files(stack, list(files)) as paths:
        try:
            with decode_files(describe_files(paths, stack)) as volumes:
                for volume, (path, numbers) in zip(volumes, files.items(), strict=True):
                    if volume.shape[1:] != (rows, columns) or len(volume) <= max(stack[n].frame or 0 for n in numbers):
                        raise InputError(_other_size_sentence(path, volume.shape, stack[0].size))
                    if decoded is None:
                        decoded = np.empty((len(stack), rows, columns), volume.dtype if one_encoding else np.float32)
                    if one_encoding and not np.can_cast(volume.dtype, decoded.dtype):
                        decoded = decoded.astype(np.result_type(volume, decoded))
                    decoded[numbers] = volume[[stack[number].frame or 0 for number in numbers]]
        except UndecodableError as error:
            raise InputError(_undecodable_sentence(list(files)[error.number], error.has_crashed)) from error
    assert decoded is not None
    return decoded


@contextmanager
def _decodable_files(stack: Sequence[Slice], files: Sequence[Path]) -> Iterator[list[Path]]:
    """Yield a file for each that GDCM reads right, a copy where it would not.

    At decimal commas GDCM stops. The values of MONOCHROME1 it inverts, as they are shown, before it applies the rescale
    tags; in CT these give HU of what is stored, so the copy says MONOCHROME2.
    """
    with tempfile.TemporaryDirectory(prefix="kneeseg-") as folder:
        copies: dict[Path, Path] = {}
        modalities = {plane.path: plane.modality for plane in stack if _needs_copy(plane)}
        for number, (path, modality) in enumerate(modalities.items()):
            dataset = pydicom.dcmread(path, force=True)
            repair_decimal_commas(dataset)
            if modality == "CT" and dataset.get("PhotometricInterpretation") == "MONOCHROME1":
                dataset.PhotometricInterpretation = "MONOCHROME2"
            copies[path] = Path(folder, f"{number}.dcm")
            dataset.save_as(copies[path])
        yield [copies.get(path, path) for path in files]


def _needs_copy(plane: Slice) -> bool:
    return plane.has_commas or (plane.low_is_white and plane.modality == "CT")


def _other_size_sentence(path: Path, shape: tuple[int, ...], size: tuple[int, int]) -> str:
    frames, rows, columns = shape[:3]
    return (
        f"The pixels of {describe_place(path)} were decoded as {columns} x {rows} in {frames} frames, and its header "
        f"says {size[0]} x {size[1]}; the file is damaged: copy or export it again."
    )


def _undecodable_sentence(path: Path, has_crashed: bool) -> str:
    """Name a file that cannot be decoded, and its compression, a reason other than damage."""
    syntax = pydicom.dcmread(path, stop_before_pixels=True, force=True).file_meta.get("TransferSyntaxUID")
    name = getattr(syntax, "name", "")
    compression = "none of the standard's" if name in ("", syntax) else name
    if has_crashed:
        return (
            f"The pixels of {describe_place(path)} are damaged in a way that ends the program which decodes them "
            f"({compression}); copy it again, or export the series uncompressed."
        )
    return (
        f"The pixels of {describe_place(path)} cannot be read: the file is cut short, damaged or "
        f"compressed in an unknown way ({compression}); copy it again, or export the series uncompressed."
    )
