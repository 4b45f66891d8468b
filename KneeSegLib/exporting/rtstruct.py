"""DICOM RT Structure Sets: each structure as outlines in the slices of the source."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

from KneeSegLib.exporting.codes import encode_category, encode_region, encode_type
from KneeSegLib.exporting.contours import trace_polygons
from KneeSegLib.exporting.grids import Turn, find_turn, resample_structure
from KneeSegLib.exporting.headers import (
    STRUCTURE_SET,
    begin_object,
    describe_algorithm,
    reference,
    require_frame_of_reference,
    tracking_uid,
)
from KneeSegLib.exporting.saved_case import SavedCase, SavedScan
from KneeSegLib.exporting.settings import CONTOUR_LEVEL, POSITION_DECIMALS
from KneeSegLib.exporting.source import SourceSeries
from KneeSegLib.measurements.structures import FoundStructure
from KneeSegLib.progress import Progress, no_progress, report_each


@dataclass(frozen=True)
class PlaneContour:
    """A closed outline in a slice of the source.

    Attributes:
        plane: number of the slice in the order of the source.
        points_mm: ``(points, 3)``, LPS.
    """

    plane: int
    points_mm: np.ndarray


def build_structure_set(
    case: SavedCase, scan: SavedScan, source: SourceSeries, progress: Progress = no_progress
) -> Dataset:
    """Return a structure set whose outlines lie in the planes of the source's slices."""
    made = begin_object(source, STRUCTURE_SET, generate_uid())
    made.StructureSetLabel = "KneeSeg"
    made.StructureSetDate, made.StructureSetTime = made.InstanceCreationDate, made.InstanceCreationTime
    made.ApprovalStatus = "UNAPPROVED"
    made.FrameOfReferenceUID = require_frame_of_reference(source)
    made.PositionReferenceIndicator = ""
    made.ReferencedFrameOfReferenceSequence = [_refer(source)]
    made.StructureSetROISequence, made.ROIContourSequence, made.RTROIObservationsSequence = [], [], []
    references = [_refer_to_plane(source, number) for number in range(len(source.planes))]
    for number, found in enumerate(report_each(scan.found, progress, "Contours"), start=1):
        made.StructureSetROISequence.append(_describe_roi(case, scan, found, number, source))
        made.ROIContourSequence.append(_describe_contours(found, number, scan.labels, source, references))
        made.RTROIObservationsSequence.append(_describe_observation(found, number))
    return made


def trace_structure(labels: sitk.Image, found: FoundStructure, source: SourceSeries) -> Iterator[PlaneContour]:
    """Yield the outlines of a structure in the slices of the source.

    They go half-way between pixels in and out (a twentieth of a pixel further in). A label map that has other voxels
    than the source is interpolated linearly onto its pixels first; those of which half belongs to the structure are in.
    """
    turn = find_turn(labels, source.grid)
    if turn is not None:
        inside, first = _crop(labels, found, turn, source)
    else:
        inside, first = resample_structure(labels, found.structure.label_value, source.grid)
    for number, pixels in enumerate(inside, start=first[2]):
        plane = source.planes[number]
        across, down = np.array(plane.orientation[:3]), np.array(plane.orientation[3:])
        for polygon in trace_polygons(pixels, CONTOUR_LEVEL):
            steps = (polygon + first[:2]) * plane.spacing
            yield PlaneContour(number, np.array(plane.position) + steps[:, :1] * across + steps[:, 1:] * down)


def _crop(
    labels: sitk.Image, found: FoundStructure, turn: Turn, source: SourceSeries
) -> tuple[np.ndarray, tuple[int, int, int]]:
    """Return the structure on the voxels of the source, in its box, and the index at which that begins."""
    part = Turn(turn.order, turn.flips, (0, 0, 0))
    box = found.box[::-1]  # along i, j, k of the labels
    first = []
    for axis in range(3):
        along = turn.order[axis]
        count, cut = labels.GetSize()[along], box[along]
        first.append(turn.first[axis] + (count - cut.stop if turn.flips[axis] else cut.start))
    inside = sitk.GetArrayViewFromImage(labels)[found.box] == found.structure.label_value
    size = [box[turn.order[axis]].stop - box[turn.order[axis]].start for axis in (2, 1, 0)]
    field = part.place(inside, tuple(size))
    kept = slice(max(-first[2], 0), len(source.planes) - first[2])
    return field[kept], (first[0], first[1], max(first[2], 0))


def _refer(source: SourceSeries) -> Dataset:
    series = Dataset()
    series.SeriesInstanceUID = source.header.SeriesInstanceUID
    series.ContourImageSequence = [reference(header) for header in source.headers]
    study = Dataset()
    study.ReferencedSOPClassUID = "1.2.840.10008.3.1.2.3.1"  # Detached Study Management, as the standard has it
    study.ReferencedSOPInstanceUID = source.header.StudyInstanceUID
    study.RTReferencedSeriesSequence = [series]
    frame = Dataset()
    frame.FrameOfReferenceUID = require_frame_of_reference(source)
    frame.RTReferencedStudySequence = [study]
    return frame


def _refer_to_plane(source: SourceSeries, number: int) -> Dataset:
    return reference(*source.refer_to_plane(number))


def _describe_roi(
    case: SavedCase, scan: SavedScan, found: FoundStructure, number: int, source: SourceSeries
) -> Dataset:
    making = scan.making_of(found)
    item = Dataset()
    item.ROINumber = number
    item.ReferencedFrameOfReferenceUID = require_frame_of_reference(source)
    item.ROIName = found.structure.name
    item.ROIGenerationAlgorithm = making
    item.ROIVolume = f"{found.volume_mm3 / 1000:.6g}"
    algorithm = describe_algorithm(case, making)[0]
    item.ROIGenerationDescription = f"{algorithm.AlgorithmName} {algorithm.AlgorithmVersion}"[:64]
    item.TrackingID, item.TrackingUID = found.structure.key, tracking_uid(source, found.structure.key)
    return item


def _describe_contours(
    found: FoundStructure, number: int, labels: sitk.Image, source: SourceSeries, references: list[Dataset]
) -> Dataset:
    item = Dataset()
    item.ROIDisplayColor = list(found.structure.color)
    item.ReferencedROINumber = number
    item.ContourSequence = []
    for contour in trace_structure(labels, found, source):
        entry = Dataset()
        entry.ContourImageSequence = [references[contour.plane]]
        entry.ContourGeometricType = "CLOSED_PLANAR"
        entry.NumberOfContourPoints = len(contour.points_mm)
        entry.ContourData = [f"{value:.{POSITION_DECIMALS}f}" for value in contour.points_mm.ravel()]
        item.ContourSequence.append(entry)
    return item


def _describe_observation(found: FoundStructure, number: int) -> Dataset:
    item = Dataset()
    item.ObservationNumber = item.ReferencedROINumber = number
    item.RTROIInterpretedType = "ORGAN"
    item.ROIInterpreter = ""
    item.SegmentedPropertyCategoryCodeSequence = [encode_category()]
    item.RTROIIdentificationCodeSequence = [encode_type(found.structure)]
    item.AnatomicRegionSequence = [encode_region(found.structure)]
    return item
