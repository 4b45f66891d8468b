"""Segmentation files, read back by 3D Slicer's own reader and as plain images."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk

from KneeSegLib.anatomy import structure
from KneeSegLib.errors import OutputError
from KneeSegLib.io.segmentation_file import write_segmentation
from KneeSegLib.io.terminology import serialize_terminology_entry
from KneeSegLib.measurements.structures import measure_structures

FEMUR_RIGHT = structure("femur_right")
FEMUR_LEFT = structure("femur_left")
TALUS_LEFT = structure("talus_left")


@pytest.fixture(params=["right-handed", "left-handed"])
def labels(request) -> sitk.Image:
    """Two femora and a talus whose boxes overlap, on a grid that is oblique and has unequal spacings."""
    array = np.zeros((12, 20, 30), np.uint8)
    array[2:9, 4:15, 3:9] = FEMUR_RIGHT.label_value
    array[1:10, 6:12, 15:25] = FEMUR_LEFT.label_value
    array[4:6, 10:14, 20:28] = TALUS_LEFT.label_value
    array[3, 5, 4] = 0
    image = sitk.GetImageFromArray(array)
    image.SetSpacing((0.5, 0.75, 1.25))
    image.SetOrigin((-40.25, 12.5, 311.0))
    turn = sitk.Euler3DTransform()
    turn.SetRotation(0.3, -0.2, 0.5)
    flipped = np.diag([1.0, -1.0, -1.0 if request.param == "right-handed" else 1.0])
    image.SetDirection((np.reshape(turn.GetMatrix(), (3, 3)) @ flipped).ravel())
    return image


@pytest.fixture
def written(labels, tmp_path):
    path = tmp_path / "segmentation.seg.nrrd"
    write_segmentation(labels, {found.structure: found.box for found in measure_structures(labels)}, path)
    return path


@pytest.fixture
def segmentation(written):
    """The file as 3D Slicer's storage node reads it."""
    slicer = pytest.importorskip("slicer")
    scene = slicer.vtkMRMLScene()
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    storage = slicer.vtkMRMLSegmentationStorageNode()
    scene.AddNode(storage)
    storage.SetFileName(str(written))
    assert storage.ReadData(node) == 1
    yield node.GetSegmentation()
    scene.Clear(True)


def test_slicer_reads_the_structures_that_are_there_in_the_order_of_the_table(segmentation):
    keys = [segmentation.GetNthSegmentID(number) for number in range(segmentation.GetNumberOfSegments())]
    assert keys == ["femur_right", "femur_left", "talus_left"]


@pytest.mark.parametrize("part", [FEMUR_RIGHT, FEMUR_LEFT, TALUS_LEFT], ids=lambda part: part.key)
def test_slicer_reads_name_colour_value_and_terminology(segmentation, part):
    from vtkmodules.vtkCommonCore import mutable

    segment = segmentation.GetSegment(part.key)
    assert segment.GetName() == part.name
    assert np.allclose(np.multiply(segment.GetColor(), 255), part.color, atol=1e-3)
    assert segment.GetLabelValue() == part.label_value
    entry = mutable("")
    assert segment.GetTag("TerminologyEntry", entry)
    assert str(entry) == serialize_terminology_entry(part)


@pytest.mark.parametrize("part", [FEMUR_RIGHT, FEMUR_LEFT, TALUS_LEFT], ids=lambda part: part.key)
def test_slicer_reads_every_voxel_where_it_is_in_the_patient(segmentation, labels, part):
    from vtkmodules.util.numpy_support import vtk_to_numpy
    from vtkmodules.vtkCommonMath import vtkMatrix4x4

    image = segmentation.GetSegment(part.key).GetRepresentation("Binary labelmap")
    first_i, last_i, first_j, last_j, first_k, last_k = image.GetExtent()
    shape = (last_k - first_k + 1, last_j - first_j + 1, last_i - first_i + 1)
    voxels = vtk_to_numpy(image.GetPointData().GetScalars()).reshape(shape) == part.label_value
    matrix = vtkMatrix4x4()
    image.GetImageToWorldMatrix(matrix)
    ras_from_index = np.array([[matrix.GetElement(row, column) for column in range(4)] for row in range(4)])
    indices = np.argwhere(voxels)[:, ::-1] + (first_i, first_j, first_k)
    in_slicer_lps = (indices @ ras_from_index[:3, :3].T + ras_from_index[:3, 3]) * (-1, -1, 1)

    given = np.argwhere(sitk.GetArrayViewFromImage(labels) == part.label_value)[:, ::-1]
    expected_lps = np.array([labels.TransformIndexToPhysicalPoint(index.tolist()) for index in given])
    assert in_slicer_lps.shape == expected_lps.shape
    assert np.allclose(in_slicer_lps, expected_lps, atol=1e-6)


def test_slicer_keeps_the_whole_grid_of_the_scan_as_reference_geometry(segmentation, labels):
    slicer = pytest.importorskip("slicer")
    from vtkmodules.vtkCommonMath import vtkMatrix4x4

    text = segmentation.GetConversionParameter(slicer.vtkSegmentationConverter.GetReferenceImageGeometryParameterName())
    grid = slicer.vtkOrientedImageData()
    assert slicer.vtkSegmentationConverter.DeserializeImageGeometry(text, grid, False)
    matrix = vtkMatrix4x4()
    grid.GetImageToWorldMatrix(matrix)
    last = [size - 1 for size in labels.GetSize()]
    assert grid.GetExtent() == (0, last[0], 0, last[1], 0, last[2])
    for index in ((0, 0, 0), tuple(last), (last[0], 0, last[2])):
        x, y, z, _ = matrix.MultiplyPoint((*map(float, index), 1.0))
        assert np.allclose((-x, -y, z), labels.TransformIndexToPhysicalPoint(index), atol=1e-6)


def test_other_readers_see_the_label_image_itself(written, labels):
    read = sitk.ReadImage(str(written))
    assert np.array_equal(sitk.GetArrayViewFromImage(read), sitk.GetArrayViewFromImage(labels))
    assert np.allclose(read.GetDirection(), labels.GetDirection(), atol=1e-12)
    assert np.allclose(read.GetOrigin(), labels.GetOrigin(), atol=1e-12)
    assert np.allclose(read.GetSpacing(), labels.GetSpacing(), atol=1e-12)


def test_the_input_file_s_own_metadata_does_not_travel_along(labels, tmp_path):
    labels.SetMetaData("0010|0010", "DOE^JANE")
    write_segmentation(labels, {}, tmp_path / "anonymous.seg.nrrd")
    assert b"DOE" not in (tmp_path / "anonymous.seg.nrrd").read_bytes()[:2000]
    assert labels.GetMetaData("0010|0010") == "DOE^JANE"


def test_a_name_that_slicer_would_not_take_for_a_segmentation_is_refused(labels, tmp_path):
    with pytest.raises(OutputError, match="seg.nrrd"):
        write_segmentation(labels, {}, tmp_path / "labels.nrrd")
