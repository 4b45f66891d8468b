"""RT structure sets: contours filled again are the label map, and lie on the boundary of its voxels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk

from KneeSegLib.exporting.contours import trace_polygons
from KneeSegLib.exporting.grids import find_turn
from KneeSegLib.exporting.headers import write_object
from KneeSegLib.exporting.rtstruct import build_structure_set
from KneeSegLib.exporting.saved_case import read_saved_case
from KneeSegLib.exporting.source import find_source

pytest.importorskip("highdicom")


def fill(polygon: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Return the pixels whose centres lie within a polygon of (column, row), by matplotlib's path."""
    from matplotlib.path import Path

    rows, columns = np.indices(shape)
    centres = np.column_stack([columns.ravel(), rows.ravel()])
    return Path(np.concatenate([polygon, polygon[:1]])).contains_points(centres).reshape(shape)


def fill_contours(roi: pydicom.Dataset, source) -> np.ndarray:
    """Return the voxels of a ROI on the slices of the source, every contour filled and joined (exclusive or)."""
    filled = np.zeros(source.grid.GetSize()[::-1], bool)
    numbers = {header.SOPInstanceUID: number for number, header in enumerate(source.headers)}
    for contour in roi.ContourSequence:
        number = numbers[contour.ContourImageSequence[0].ReferencedSOPInstanceUID]
        header = source.headers[number]
        points = np.reshape(contour.ContourData, (-1, 3)).astype(float) - np.array(header.ImagePositionPatient, float)
        across, down = np.reshape(header.ImageOrientationPatient, (2, 3)).astype(float)
        assert np.abs(points @ np.cross(across, down)).max() < 1e-3, "a contour lies beside the plane of its image"
        polygon = np.column_stack([points @ across, points @ down]) / source.planes[number].spacing
        filled[number] ^= fill(polygon, filled.shape[1:])
    return filled


def test_filled_contours_are_the_label_map(export, tmp_path):
    write_object(build_structure_set(export.case, export.scan, export.source), tmp_path / "rt.dcm")
    made = pydicom.dcmread(tmp_path / "rt.dcm")
    same = find_turn(export.scan.labels, export.source.grid) is not None
    rois = dict(zip((item.ROIName for item in made.StructureSetROISequence), made.ROIContourSequence, strict=True))
    for found in export.scan.found:
        mask = sitk.Cast(export.scan.labels == found.structure.label_value, sitk.sitkFloat32)
        method = sitk.sitkNearestNeighbor if same else sitk.sitkLinear
        placed = sitk.GetArrayFromImage(sitk.Resample(mask, export.source.grid, sitk.Transform(), method, 0.0))
        filled = fill_contours(rois[found.structure.name], export.source)
        wrong = filled != (placed >= 0.5)
        assert not (wrong & (np.abs(placed - 0.5) > 1e-4)).any(), found.structure.key


def test_sets_refer_to_every_image_and_name_structures_in_codes(export):
    made = build_structure_set(export.case, export.scan, export.source)
    (frame,) = made.ReferencedFrameOfReferenceSequence
    images = frame.RTReferencedStudySequence[0].RTReferencedSeriesSequence[0].ContourImageSequence
    assert [item.ReferencedSOPInstanceUID for item in images] == [h.SOPInstanceUID for h in export.source.headers]
    assert {item.ReferencedFrameOfReferenceUID for item in made.StructureSetROISequence} == {frame.FrameOfReferenceUID}
    names = [item.ROIName for item in made.StructureSetROISequence]
    assert names == ["Right femur", "Right patella", "Left medial meniscus"]
    code = made.RTROIObservationsSequence[0].RTROIIdentificationCodeSequence[0]
    assert (code.CodeValue, code.SegmentedPropertyTypeModifierCodeSequence[0].CodeMeaning) == ("71341001", "Right")
    assert made.ROIContourSequence[0].ROIDisplayColor == list(export.scan.found[0].structure.color)


def test_outlines_of_thousands_of_points_stay_numbers(saved, tmp_path):
    case = read_saved_case(saved)
    made = build_structure_set(case, case.scans[0], find_source(case.scans[0], None))
    turn = np.linspace(0.0, 2 * np.pi, 3000, endpoint=False)
    ring = np.column_stack([90 * np.cos(turn), 90 * np.sin(turn), np.full(3000, -1234.5)])
    made.ROIContourSequence[0].ContourSequence[0].ContourData = [f"{value:.4f}" for value in ring.ravel()]
    write_object(made, tmp_path / "rt.dcm")
    contour = pydicom.dcmread(tmp_path / "rt.dcm").ROIContourSequence[0].ContourSequence[0]
    assert contour["ContourData"].VR == "DS", "more than 64 KiB"
    assert np.allclose(np.reshape(contour.ContourData, (-1, 3)).astype(float), ring, atol=1e-4)


def test_outlines_refer_to_the_frame_of_the_file_that_holds_their_slice(saved):
    case = read_saved_case(saved)
    source = find_source(case.scans[0], None)
    files = [plane.path for plane in source.planes[:2]]
    planes = tuple(replace(plane, path=files[n // 9], frame=n % 9) for n, plane in enumerate(source.planes))
    made = build_structure_set(case, case.scans[0], replace(source, planes=planes, headers=source.headers[:2]))
    contours = [contour for item in made.ROIContourSequence for contour in item.ContourSequence]
    found = {
        (image.ReferencedSOPInstanceUID, image.ReferencedFrameNumber)
        for contour in contours
        for image in contour.ContourImageSequence
    }
    assert len(found) > 9
    assert found <= {(header.SOPInstanceUID, frame) for header in source.headers[:2] for frame in range(1, 10)}


@pytest.mark.parametrize("seed", range(6))
def test_polygons_of_any_shape_fill_it_again(seed):
    from scipy.ndimage import gaussian_filter

    noise = gaussian_filter(np.random.default_rng(seed).normal(size=(40, 50)), 1.0 + seed / 3)
    mask = noise > np.quantile(noise, 0.4)
    filled, together = np.zeros_like(mask), np.zeros_like(mask)
    for polygon in trace_polygons(mask, 0.55):
        filled ^= fill(polygon, mask.shape)
        together |= fill(polygon, mask.shape)
    assert np.array_equal(filled, mask) and np.array_equal(together, mask)


def test_a_contour_lies_within_a_twentieth_of_a_pixel_of_the_boundary_and_a_ring_is_one_polygon():
    mask = np.zeros((30, 30), bool)
    mask[5:20, 4:24] = True
    mask[10:12, 8:15] = False
    (polygon,) = trace_polygons(mask, 0.55)
    assert np.allclose([polygon.min(axis=0), polygon.max(axis=0)], [(3.55, 4.55), (23.45, 19.45)])
