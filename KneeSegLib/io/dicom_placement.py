"""Where the slices of a series lie: one line, one distance; refused where they do not."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import SimpleITK as sitk

from KneeSegLib.errors import InputError
from KneeSegLib.io.dicom_grid import fit_distance_mm, is_even, measure_positions_mm, measure_tolerance_mm
from KneeSegLib.io.dicom_series import Series
from KneeSegLib.io.dicom_slice import Slice
from KneeSegLib.io.settings import MOST_PLACES_NAMED, SAME_POSITION_MM, SIDEWAYS_PIXELS


def directions_of(plane: Slice) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return the directions (LPS) in which the number of the column and that of the row grow."""
    return plane.orientation[:3], plane.orientation[3:]


def sort_slices(series: Series) -> list[Slice]:
    """Return the slices in the order of their positions.

    Raises:
        InputError: there is only one.
    """
    if series.slices < 2:
        raise InputError(
            f"'{series.name}' is a single slice, expected a volume; give the folder with all slices of the series."
        )
    along = measure_positions_mm(series.stack)
    return [series.stack[i] for i in np.argsort(along, kind="stable")]


def fit_grid(stack: list[Slice], series: Series) -> tuple[np.ndarray, np.ndarray]:
    """Return the first position (mm) and the displacement from each slice to the next, the same throughout.

    Raises:
        InputError: slices are missing, doubled, unevenly spaced or out of line.
    """
    along = measure_positions_mm(stack)
    shown_mm = along * _sign_of_main_axis(stack[0].normal)
    gaps = np.diff(along)
    doubled = np.flatnonzero(gaps < SAME_POSITION_MM)
    if len(doubled) == len(gaps):
        raise InputError(
            f"All {len(stack)} slices of '{series.name}' name the same position (ImagePositionPatient), expected one "
            "for each; export the series again with its positions."
        )
    if len(doubled):
        raise InputError(
            f"'{series.name}' holds more than one slice at {_places([f'{shown_mm[i]:.2f} mm' for i in doubled])}, "
            "which differ in their pixels and in no tag that tells them apart, expected one at each position; remove "
            "those that do not belong to the scan, or name another series."
        )
    if not is_even(stack):
        raise InputError(_uneven_sentence(series, shown_mm, gaps))
    positions = np.array([plane.position for plane in stack])
    first, step = positions[0], (positions[-1] - positions[0]) / (len(stack) - 1)
    if is_rounded(along):
        step, first = np.polyfit(np.arange(len(stack)), positions, 1)
    sideways = (positions - first - np.arange(len(stack))[:, None] * step) @ np.array(directions_of(stack[0])).T
    off_line = np.flatnonzero((np.abs(sideways) / stack[0].spacing).max(axis=1) > SIDEWAYS_PIXELS)
    if len(off_line):
        raise InputError(
            f"'{series.name}' has slices shifted sideways against the others by up to {np.abs(sideways).max():.1f} mm "
            f"(at {_places([f'{shown_mm[i]:.2f} mm' for i in off_line])}), expected them in one line; "
            "reconstruct the series with one centre."
        )
    return first, step


def place_slices(image: sitk.Image, stack: list[Slice], first: np.ndarray, step: np.ndarray) -> None:
    """Place an image where :func:`fit_grid` found its slices; its third axis runs from each to the next."""
    across, down = (np.array(direction) / np.linalg.norm(direction) for direction in directions_of(stack[0]))
    length_mm = float(np.linalg.norm(step))
    image.SetOrigin(first.tolist())
    image.SetSpacing([*stack[0].spacing, round(length_mm, 6)])  # 0.4, not 0.39999999999999997
    image.SetDirection(np.column_stack([across, down, step / length_mm]).ravel())


def follow_normal(image: sitk.Image, stack: list[Slice]) -> None:
    """Turn the third axis of an image whose slices do not lean into their normal."""
    across, down = (np.array(direction) / np.linalg.norm(direction) for direction in directions_of(stack[0]))
    image.SetDirection(np.column_stack([across, down, stack[0].normal]).ravel())


def is_rounded(along: np.ndarray) -> bool:
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
