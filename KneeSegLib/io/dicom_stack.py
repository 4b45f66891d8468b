"""From the slices of one DICOM series to one volume, placed by their positions and by nothing else."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pydicom
import SimpleITK as sitk

from KneeSegLib.errors import InputError
from KneeSegLib.geometry.orientation import straighten_gantry_tilt
from KneeSegLib.io.dicom_grid import fit_distance_mm, is_even, measure_positions_mm, measure_tolerance_mm
from KneeSegLib.io.dicom_headers import Slice
from KneeSegLib.io.dicom_numbers import repair_decimal_commas
from KneeSegLib.io.dicom_series import Series
from KneeSegLib.io.image_formats import encodable_paths, shown_name
from KneeSegLib.io.intensities import find_value_range, replace_padding_values
from KneeSegLib.io.settings import (
    DICOM_BYTES_PER_VOXEL,
    LOWEST_HU,
    MOST_PLACES_NAMED,
    SAME_POSITION_MM,
    SIDEWAYS_PIXELS,
)
from KneeSegLib.memory import require_memory


def read_stack(series: Series) -> tuple[sitk.Image, list[str]]:
    """Return the volume of ``series`` with the values that its rescale tags give, and notes on how it was made.

    The third axis of the image runs along the slices' normal. Where the gantry was tilted, slices are shifted within
    their planes onto a rectangular grid (:func:`KneeSegLib.geometry.orientation.straighten_gantry_tilt`): **labels made
    from that image lie on the straightened grid**, which has the same slices but more rows or columns than the stored
    ones. Both are in the patient's coordinates, so surfaces and overlays by position are right on either; only index by
    index they differ. A note tells it.

    Raises:
        InputError: a single slice; slices missing, doubled, unevenly spaced or out of line; a file that cannot be
            decoded.
        ResourceError: not enough memory.
    """
    stack = _in_order(series)
    first, step = _fit_grid(stack, series)
    columns, rows, slices = series.size
    require_memory(DICOM_BYTES_PER_VOXEL * columns * rows * slices, f"Reading {columns} x {rows} x {slices} voxels")
    image = _pixels(stack)
    length_mm = round(float(np.linalg.norm(step)), 6)  # 0.4, not 0.39999999999999997
    across, down = (np.array(direction) / np.linalg.norm(direction) for direction in _directions(stack[0]))
    image.SetOrigin(first.tolist())
    image.SetSpacing([*stack[0].spacing, length_mm])
    image.SetDirection(np.column_stack([across, down, step / np.linalg.norm(step)]).ravel())
    if series.modality == "CT":
        image = replace_padding_values(image)
    straight, lean = straighten_gantry_tilt(image, LOWEST_HU if series.modality == "CT" else find_value_range(image)[0])
    notes = [*_notes_on_inversion(stack), *_notes(stack, length_mm)]
    if not lean:
        image.SetDirection(np.column_stack([across, down, stack[0].normal]).ravel())
        return image, notes
    return straight, [
        *notes,
        f"The slices lean by {lean:.1f} degrees (tilted gantry); they were shifted by position onto a rectangular grid "
        f"of {' x '.join(map(str, straight.GetSize()))} voxels, on which the labels lie.",
    ]


def _notes(stack: list[Slice], length_mm: float) -> list[str]:
    if len(stack) < 3 or not _is_rounded(measure_positions_mm(stack)):
        return []
    return [f"The slices' positions are rounded or drift; they were placed evenly, {length_mm:.4g} mm apart."]


def _notes_on_inversion(stack: list[Slice]) -> list[str]:
    count = sum(plane.low_is_white for plane in stack)
    if not count:
        return []
    done = (
        "the values were read as they are stored, in HU"
        if stack[0].modality == "CT"
        else "the values were inverted, so that what is shown white is the largest"
    )
    return [f"{count} of {len(stack)} slices are to be shown with small values white (MONOCHROME1); {done}."]


def _directions(plane: Slice) -> tuple[tuple[float, ...], tuple[float, ...]]:
    return plane.orientation[:3], plane.orientation[3:]


def _in_order(series: Series) -> list[Slice]:
    if series.slices < 2:
        raise InputError(
            f"'{series.name}' is a single slice, expected a volume; give the folder with all slices of the series."
        )
    along = measure_positions_mm(series.stack)
    return [series.stack[i] for i in np.argsort(along, kind="stable")]


def _fit_grid(stack: list[Slice], series: Series) -> tuple[np.ndarray, np.ndarray]:
    """Return the first position (mm) and the displacement from each slice to the next, the same throughout."""
    along = measure_positions_mm(stack)
    shown_mm = along * _sign_of_main_axis(stack[0].normal)
    gaps = np.diff(along)
    doubled = np.flatnonzero(gaps < SAME_POSITION_MM)
    if len(doubled):
        raise InputError(
            f"'{series.name}' holds more than one slice at {_places([f'{shown_mm[i]:.2f} mm' for i in doubled])}, "
            "expected one at each position; remove the doubled slices or name another series."
        )
    if not is_even(stack):
        raise InputError(_uneven_sentence(series, shown_mm, gaps))
    positions = np.array([plane.position for plane in stack])
    first, step = positions[0], (positions[-1] - positions[0]) / (len(stack) - 1)
    if _is_rounded(along):
        step, first = np.polyfit(np.arange(len(stack)), positions, 1)
    sideways = (positions - first - np.arange(len(stack))[:, None] * step) @ np.array(_directions(stack[0])).T
    off_line = np.flatnonzero((np.abs(sideways) / stack[0].spacing).max(axis=1) > SIDEWAYS_PIXELS)
    if len(off_line):
        raise InputError(
            f"'{series.name}' has slices shifted sideways against the others by up to {np.abs(sideways).max():.1f} mm "
            f"(at {_places([f'{shown_mm[i]:.2f} mm' for i in off_line])}), expected them in one line; "
            "reconstruct the series with one centre."
        )
    return first, step


def _is_rounded(along: np.ndarray) -> bool:
    """Return whether the positions are off an even grid by more than a distance may be: then a grid is fitted."""
    gap, deviation_mm = fit_distance_mm(along)
    return deviation_mm > measure_tolerance_mm(gap)


def _uneven_sentence(series: Series, shown_mm: np.ndarray, gaps: np.ndarray) -> str:
    gap = float(np.median(gaps))
    tolerance = measure_tolerance_mm(gap)
    uneven = np.flatnonzero(np.abs(gaps - gap) > tolerance)
    if not len(uneven):  # each distance is right, and they drift
        uneven = np.array([np.argmax(np.abs(gaps - gap))])
    missing = np.rint(gaps[uneven] / gap) - 1
    if (missing >= 1).all() and (np.abs(gaps[uneven] - (missing + 1) * gap) <= tolerance * (missing + 1)).all():
        step = gap if shown_mm[1] > shown_mm[0] else -gap
        first, last = shown_mm[uneven] + step, shown_mm[uneven + 1] - step
        places = [
            f"{a:.2f} mm" if count == 1 else f"{a:.2f} to {b:.2f} mm" for a, b, count in zip(first, last, missing)
        ]
        return (
            f"'{series.name}' lacks {missing.sum():.0f} of {series.slices + missing.sum():.0f} slices, "
            f"those at {_places(places)}, expected one every {gap:.2f} mm; copy or export the complete series."
        )
    places = [f"{shown_mm[i]:.2f} mm" for i in uneven]
    return (
        f"The distance between the slices of '{series.name}' varies from {gaps.min():.2f} to {gaps.max():.2f} mm (at "
        f"{_places(places)}), expected {gap:.2f} mm throughout; reconstruct it with even spacing."
    )


def _sign_of_main_axis(normal: np.ndarray) -> float:
    # Positions are named as a viewer shows them: growing with the patient axis that the normal follows.
    return float(np.sign(normal[np.argmax(np.abs(normal))]))


def _places(places: Sequence[str]) -> str:
    if len(places) > MOST_PLACES_NAMED:
        return ", ".join(places[:MOST_PLACES_NAMED]) + f" and {len(places) - MOST_PLACES_NAMED} more places"
    return ", ".join(places)


def _pixels(stack: list[Slice]) -> sitk.Image:
    cut_short = next((plane.path for plane in stack if plane.cut_short), None)
    if cut_short is not None:
        raise InputError(f"The pixels of {cut_short.name} cannot be read: the file is cut short; copy it again.")
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
            raise InputError(_unreadable_sentence(paths)) from error


@contextmanager
def _decodable_files(stack: Sequence[Slice]) -> Iterator[list[Path]]:
    """Yield a file for each slice that GDCM reads right, a copy where it would not.

    At decimal commas GDCM stops. The values of MONOCHROME1 it inverts, as they are shown, before it applies the rescale
    tags; in CT these give HU of what is stored, so the copy says MONOCHROME2.
    """
    with tempfile.TemporaryDirectory(prefix="kneeseg-") as folder:
        copies = {}
        for number, path in enumerate(sorted({plane.path for plane in stack if _needs_copy(plane)})):
            dataset = pydicom.dcmread(path, force=True)
            repair_decimal_commas(dataset)
            if dataset.Modality == "CT" and dataset.get("PhotometricInterpretation") == "MONOCHROME1":
                dataset.PhotometricInterpretation = "MONOCHROME2"
            copies[path] = Path(folder, f"{number}-{shown_name(path).replace('?', '_')}")
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
            f"The frames of {stack[0].path.name} have different rescale values, expected one for all; "
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
                raise InputError(_unreadable_sentence([path])) from error
    return sitk.GetImageFromArray(np.stack([volumes[plane.path][plane.frame or 0] for plane in stack]))


def _unreadable_sentence(paths: list[Path]) -> str:
    """Name the first file that cannot be decoded alone, and its compression, a reason other than damage."""
    for path in paths:
        try:
            sitk.ReadImage(str(path), imageIO="GDCMImageIO")
        except RuntimeError:
            syntax = pydicom.dcmread(path, stop_before_pixels=True, force=True).file_meta.get("TransferSyntaxUID")
            compression = getattr(syntax, "name", "unknown")
            return (
                f"The pixels of {path.name} cannot be read: the file is cut short, damaged or compressed in an unknown "
                f"way ({compression}); copy it again, or export the series uncompressed."
            )
    return f"The slices beside {paths[0].name} cannot be read together; export the series again."
