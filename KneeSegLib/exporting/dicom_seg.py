"""DICOM Segmentation objects: each structure a segment, on the voxels of the label map."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
import SimpleITK as sitk
from pydicom.uid import generate_uid

from KneeSegLib.anatomy import Structure
from KneeSegLib.exporting.codes import encode_category, encode_region, encode_type
from KneeSegLib.exporting.grids import find_turn, index_matrix, make_perpendicular, resample_labels
from KneeSegLib.exporting.headers import (
    SEGMENTATION,
    describe_algorithm,
    describe_series,
    require_frame_of_reference,
    tell_unfit_headers,
    tracking_uid,
)
from KneeSegLib.exporting.saved_case import Making, SavedCase, SavedScan
from KneeSegLib.exporting.source import SourceSeries

if TYPE_CHECKING:
    from highdicom.seg import Segmentation, SegmentDescription

SegmentationKind = Literal["binary", "labelmap"]
"""Frames of bits for each structure, which every reader knows, or one map of label values (DICOM 2024d and later)."""


def build_segmentation(
    case: SavedCase, scan: SavedScan, source: SourceSeries, kind: SegmentationKind, onto_source: bool
) -> Segmentation:
    """Return a segmentation object.

    It lies on the voxels of the label map: in the order of the source's slices where both have the same voxels, and
    then each frame refers to its image; else on the label map's own grid in the source's frame of reference.

    Args:
        onto_source: bring a label map that has other voxels onto those of the source, by nearest voxels.
    """
    from highdicom import Volume
    from highdicom.seg import Segmentation

    array, matrix = _place(scan.labels, source, onto_source)
    shown = [found for found in scan.found if (array == found.structure.label_value).any()]
    numbers = {
        found.structure: found.structure.label_value if kind == "labelmap" else number
        for number, found in enumerate(shown, start=1)
    }
    table = np.zeros(256, np.uint8)
    for structure, number in numbers.items():
        table[structure.label_value] = number
    frame_of_reference = require_frame_of_reference(source)
    pixels: np.ndarray | Volume = table[array]
    if matrix is not None:  # highdicom counts slices, rows, columns; the matrix counts columns, rows, slices
        matrix = make_perpendicular(matrix, array.shape[::-1])
        with tell_unfit_headers():
            pixels = Volume(table[array], matrix[:, [2, 1, 0, 3]], "PATIENT", frame_of_reference)
    descriptions = [
        _describe(case, found.structure, scan.making_of(found), numbers[found.structure], source)
        for found in sorted(shown, key=lambda found: numbers[found.structure])
    ]
    with tell_unfit_headers():
        return Segmentation(
            source_images=list(source.headers),
            pixel_array=pixels,
            segmentation_type=kind.upper(),
            segment_descriptions=descriptions,
            instance_number=1,
            content_label="KNEESEG",
            content_description="Bones and cartilages segmented by KneeSeg",
            content_creator_name="KneeSeg^",
            **describe_series(SEGMENTATION, generate_uid()),
        )


def _place(labels: sitk.Image, source: SourceSeries, onto_source: bool) -> tuple[np.ndarray, np.ndarray | None]:
    """Return the voxels ``[k, j, i]`` to write, and the matrix from their indices to LPS mm.

    The matrix is None where they are the source's images, one for one, which may lean.
    """
    turn = find_turn(labels, source.grid)
    voxels = sitk.GetArrayViewFromImage(labels)
    if turn is not None or onto_source:
        if turn is not None:
            placed = turn.place(voxels, source.grid.GetSize()[::-1])
        else:
            placed = sitk.GetArrayFromImage(resample_labels(labels, source.grid))
        return placed, None if len(source.headers) == len(source.planes) else index_matrix(source.grid)
    matrix = index_matrix(labels)
    if np.linalg.det(matrix[:3, :3]) < 0:  # slices are counted along the normal of their rows and columns
        matrix[:3, 3] += matrix[:3, 2] * (labels.GetSize()[2] - 1)
        matrix[:3, 2] *= -1
        voxels = voxels[::-1]
    return np.array(voxels), matrix


def _describe(
    case: SavedCase, structure: Structure, making: Making, number: int, source: SourceSeries
) -> SegmentDescription:
    from highdicom.color import CIELabColor
    from highdicom.seg import SegmentDescription

    return SegmentDescription(
        segment_number=number,
        segment_label=structure.name,
        segmented_property_category=encode_category(),
        segmented_property_type=encode_type(structure),
        algorithm_type=making,
        algorithm_identification=describe_algorithm(case, making),
        tracking_uid=tracking_uid(source, structure.key),
        tracking_id=structure.key,
        anatomic_regions=[encode_region(structure)],
        display_color=CIELabColor.from_rgb(*structure.color),
    )
