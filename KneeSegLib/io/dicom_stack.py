"""From the slices of one DICOM series to one volume, placed by their positions and by nothing else."""

from __future__ import annotations

import SimpleITK as sitk

from KneeSegLib.geometry.orientation import straighten_gantry_tilt
from KneeSegLib.io.dicom_grid import measure_positions_mm
from KneeSegLib.io.dicom_pixels import read_pixels
from KneeSegLib.io.dicom_placement import fit_grid, follow_normal, is_rounded, place_slices, sort_slices
from KneeSegLib.io.dicom_series import Series
from KneeSegLib.io.dicom_slice import Slice
from KneeSegLib.io.dicom_units import check_units
from KneeSegLib.io.intensities import describe_replaced_values, find_value_range, replace_padding_values
from KneeSegLib.io.settings import DICOM_BYTES_PER_VOXEL, LOWEST_HU, SMALLEST_TILT_DEGREES
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
            decoded; values of a CT that are no Hounsfield units.
        ResourceError: not enough memory.
    """
    stack = sort_slices(series)
    first, step = fit_grid(stack, series)
    columns, rows, slices = series.size
    require_memory(DICOM_BYTES_PER_VOXEL * columns * rows * slices, f"Reading {columns} x {rows} x {slices} voxels")
    image = read_pixels(stack)
    place_slices(image, stack, first, step)
    length_mm = image.GetSpacing()[2]
    on_units = []
    if series.modality == "CT":
        on_units = check_units(stack, image, f"'{series.name}'")
        on_units += describe_replaced_values(image, f"'{series.name}'")
        image = replace_padding_values(image)
    straight, lean = straighten_gantry_tilt(image, LOWEST_HU if series.modality == "CT" else find_value_range(image)[0])
    notes = [*_notes_on_slices(series), *on_units, *_notes_on_inversion(stack), *_notes_on_positions(stack, length_mm)]
    if not lean:
        follow_normal(image, stack)
        return image, [*notes, *_notes_on_tilt(stack)]
    return straight, [
        *notes,
        f"The slices lean by {lean:.1f} degrees (tilted gantry); they were shifted by position onto a rectangular grid "
        f"of {' x '.join(map(str, straight.GetSize()))} voxels, on which the labels lie.",
    ]


def _notes_on_slices(series: Series) -> list[str]:
    notes = []
    frames = {plane.frame_of_reference for plane in series.stack}
    if len(frames) > 1:
        notes.append(
            f"The {len(series.stack)} slices name {len(frames)} frames of reference (FrameOfReferenceUID), most of "
            "them for a few slices only; they were read as one scan by their positions. Check that no step runs "
            "through the bones."
        )
    return notes


def _notes_on_positions(stack: list[Slice], length_mm: float) -> list[str]:
    if len(stack) < 3 or not is_rounded(measure_positions_mm(stack)):
        return []
    return [f"The slices' positions are rounded or drift; they were placed evenly, {length_mm:.4g} mm apart."]


def _notes_on_tilt(stack: list[Slice]) -> list[str]:
    """Return the note on slices that lie straight above each other and whose header tells of a tilted gantry."""
    tilt = max((plane.gantry_tilt_degrees for plane in stack), key=abs)
    if abs(tilt) <= SMALLEST_TILT_DEGREES:
        return []
    return [
        f"The header says that the gantry was tilted by {tilt:g} degrees (GantryDetectorTilt), and the slices lie "
        "straight above each other: they were taken for straightened already. Check that no bone is sheared."
    ]


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
