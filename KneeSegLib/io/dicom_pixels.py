"""The pixels of slices, decoded by GDCM."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pydicom
import SimpleITK as sitk

from KneeSegLib.errors import InputError
from KneeSegLib.io.dicom_numbers import repair_decimal_commas
from KneeSegLib.io.dicom_slice import Slice
from KneeSegLib.io.file_places import describe_place
from KneeSegLib.io.image_formats import encodable_paths


def read_pixels(stack: list[Slice]) -> sitk.Image:
    """Return the values of the slices, in their order, as the rescale tags give them.

    Raises:
        InputError: a file is cut short, or cannot be decoded.
    """
    cut_short = next((plane.path for plane in stack if plane.cut_short), None)
    if cut_short is not None:
        raise InputError(
            f"The pixels of {describe_place(cut_short)} cannot be read: the file is cut short; copy it again."
        )
    one_encoding = len({plane.encoding for plane in stack}) == 1
    if any(plane.frame is not None for plane in stack):
        return _frames(stack, one_encoding)
    reader = sitk.ImageSeriesReader()
    reader.SetImageIO("GDCMImageIO")
    if not one_encoding:  # the type of the first slice may not hold the values of the others
        reader.SetOutputPixelType(sitk.sitkFloat32)
    with _decodable_files(stack) as paths:
        reader.SetFileNames([str(path) for path in paths])
        try:
            with _itk_silent():
                return reader.Execute()
        except RuntimeError as error:
            raise InputError(_unreadable_sentence(stack, paths)) from error


@contextmanager
def _decodable_files(stack: Sequence[Slice]) -> Iterator[list[Path]]:
    """Yield a file for each slice that GDCM reads right, a copy where it would not.

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
        with encodable_paths([copies.get(plane.path, plane.path) for plane in stack]) as paths:
            yield paths


def _needs_copy(plane: Slice) -> bool:
    return plane.has_commas or (plane.low_is_white and plane.modality == "CT")


@contextmanager
def _itk_silent() -> Iterator[None]:
    """Keep ITK's remarks on spacing from the terminal: spacing is checked here, and refused in a sentence."""
    shown = sitk.ProcessObject.GetGlobalWarningDisplay()
    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    try:
        yield
    finally:
        sitk.ProcessObject.SetGlobalWarningDisplay(shown)


def _frames(stack: list[Slice], one_encoding: bool) -> sitk.Image:
    if not one_encoding:
        raise InputError(
            f"The frames of {describe_place(stack[0].path)} have different rescale values, expected one for all; "
            "export the series as single-frame DICOM."
        )
    volumes: dict[Path, np.ndarray] = {}
    with _decodable_files(stack) as paths:
        for plane, path in zip(stack, paths, strict=True):
            if plane.path in volumes:
                continue
            try:
                volumes[plane.path] = sitk.GetArrayFromImage(sitk.ReadImage(str(path), imageIO="GDCMImageIO"))
            except RuntimeError as error:
                raise InputError(_unreadable_sentence([plane], [path])) from error
    return sitk.GetImageFromArray(np.stack([volumes[plane.path][plane.frame or 0] for plane in stack]))


def _unreadable_sentence(stack: Sequence[Slice], paths: Sequence[Path]) -> str:
    """Name the first file that cannot be decoded alone, and its compression, a reason other than damage.

    ``paths`` are what was read instead of the files of the slices.
    """
    for plane, path in zip(stack, paths, strict=True):
        try:
            sitk.ReadImage(str(path), imageIO="GDCMImageIO")
        except RuntimeError:
            syntax = pydicom.dcmread(path, stop_before_pixels=True, force=True).file_meta.get("TransferSyntaxUID")
            name = getattr(syntax, "name", "")
            compression = "none of the standard's" if name in ("", syntax) else name
            return (
                f"The pixels of {describe_place(plane.path)} cannot be read: the file is cut short, damaged or "
                f"compressed in an unknown way ({compression}); copy it again, or export the series uncompressed."
            )
    return f"The {len(paths)} slices of the series cannot be read together; export the series again."
