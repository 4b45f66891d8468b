"""Surfaces of a segmentation into files."""

from __future__ import annotations

import numpy as np
import pytest
import slicer
import vtk
from KneeSegModule import export
from KneeSegModule import scene as kneeSegScene
from slicer_support import mrml

from KneeSegLib.errors import InputError
from KneeSegLib.geometry.mesh import enclosed_volume, points_of, triangles_of
from KneeSegLib.surfaces import read_surface

FORMATS = ("stl", "ply", "obj")


@pytest.fixture
def segmentationNode(volumeNode, resultFolder):
    return kneeSegScene.addResult(resultFolder, volumeNode)


def ballCenterLps(volumeNode, key, worldFromRas=None):
    ball = mrml.balls(slicer.util.arrayFromVolume(volumeNode).shape)[key]
    index = np.append(np.argwhere(ball).mean(axis=0)[::-1], 1.0)
    ras = mrml.obliqueMatrix() @ index
    return (ras if worldFromRas is None else worldFromRas @ ras)[:3] * (-1, -1, 1)


@pytest.mark.parametrize("surfaceFormat", FORMATS)
def test_one_file_per_segment_named_by_structure_and_side(segmentationNode, tmp_path, surfaceFormat):
    written = export.exportSurfaces(segmentationNode, tmp_path, surfaceFormat).files
    assert written == [tmp_path / f"femur_right.{surfaceFormat}", tmp_path / f"tibia_left.{surfaceFormat}"]
    assert all(path.is_file() for path in written)


@pytest.mark.parametrize("surfaceFormat", FORMATS)
def test_surfaces_are_in_lps_mm_and_face_outwards(segmentationNode, volumeNode, tmp_path, surfaceFormat):
    export.exportSurfaces(segmentationNode, tmp_path, surfaceFormat)
    surface = read_surface(tmp_path / f"femur_right.{surfaceFormat}")
    np.testing.assert_allclose(surface.GetCenter(), ballCenterLps(volumeNode, "femur_right"), atol=0.3)
    assert enclosed_volume(points_of(surface), triangles_of(surface)) > 0
    assert b"SPACE=LPS" in (tmp_path / f"femur_right.{surfaceFormat}").read_bytes()[:200]


def test_surfaces_stand_where_the_scene_shows_them(volumeNode, resultFolder, tmp_path):
    transformNode = mrml.addTransform()
    volumeNode.SetAndObserveTransformNodeID(transformNode.GetID())
    segmentationNode = kneeSegScene.addResult(resultFolder, volumeNode)
    export.exportSurfaces(segmentationNode, tmp_path)

    worldFromRas = slicer.util.arrayFromTransformMatrix(transformNode)
    center = ballCenterLps(volumeNode, "tibia_left", worldFromRas)
    np.testing.assert_allclose(read_surface(tmp_path / "tibia_left.stl").GetCenter(), center, atol=0.3)


def test_surfaces_face_outwards_under_a_transform_that_mirrors(segmentationNode, tmp_path):
    mirror = vtk.vtkMatrix4x4()
    mirror.SetElement(0, 0, -1)
    transformNode = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    transformNode.SetMatrixTransformToParent(mirror)
    segmentationNode.SetAndObserveTransformNodeID(transformNode.GetID())
    export.exportSurfaces(segmentationNode, tmp_path)
    surface = read_surface(tmp_path / "femur_right.stl")
    assert enclosed_volume(points_of(surface), triangles_of(surface)) > 0


def test_segment_of_the_users_own_is_exported_under_its_name(segmentationNode, volumeNode, tmp_path):
    segmentation = segmentationNode.GetSegmentation()
    segmentation.AddEmptySegment("Segment_1", "Bone graft (left)")
    mask = np.zeros(slicer.util.arrayFromVolume(volumeNode).shape, np.uint8)
    mask[5:12, 5:12, 5:12] = 1
    slicer.util.updateSegmentBinaryLabelmapFromArray(mask, segmentationNode, "Segment_1", volumeNode)
    export.exportSurfaces(segmentationNode, tmp_path)
    assert (tmp_path / "bone_graft_left.stl").is_file()


def test_segments_of_the_same_name_do_not_overwrite_each_other(scene, tmp_path):
    segmentationNode = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    for segmentId in ("a", "b", "c"):
        segmentationNode.GetSegmentation().AddEmptySegment(segmentId, "Screw")
    files = export.listSurfaceFiles(segmentationNode, tmp_path, "stl")
    assert len(set(files.values())) == 3


def test_edited_segment_is_exported_as_edited(segmentationNode, volumeNode, tmp_path):
    mask = slicer.util.arrayFromSegmentBinaryLabelmap(segmentationNode, "femur_right", volumeNode).astype(np.uint8)
    whole = float(mask.sum())
    mask[:14] = 0
    slicer.util.updateSegmentBinaryLabelmapFromArray(mask, segmentationNode, "femur_right", volumeNode)
    export.exportSurfaces(segmentationNode, tmp_path)
    surface = read_surface(tmp_path / "femur_right.stl")
    volume = enclosed_volume(points_of(surface), triangles_of(surface)) / np.prod(volumeNode.GetSpacing())
    assert volume == pytest.approx(mask.sum(), rel=0.15) and volume < 0.8 * whole


def test_export_does_not_change_the_segmentation(volumeNode, tmp_path):
    segmentationNode = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    segmentationNode.SetReferenceImageGeometryParameterFromVolumeNode(volumeNode)
    segmentationNode.GetSegmentation().AddEmptySegment("femur_right", "Right femur")
    ball = mrml.balls(slicer.util.arrayFromVolume(volumeNode).shape)["femur_right"].astype(np.uint8)
    slicer.util.updateSegmentBinaryLabelmapFromArray(ball, segmentationNode, "femur_right", volumeNode)
    export.exportSurfaces(segmentationNode, tmp_path)
    assert (tmp_path / "femur_right.stl").is_file()
    assert not segmentationNode.GetSegmentation().ContainsRepresentation("Closed surface")


def test_empty_segments_are_skipped_and_named(segmentationNode, volumeNode, tmp_path):
    segmentation = segmentationNode.GetSegmentation()
    segmentation.AddEmptySegment("Segment_1", "Never drawn")
    nothing = np.zeros(slicer.util.arrayFromVolume(volumeNode).shape, np.uint8)
    slicer.util.updateSegmentBinaryLabelmapFromArray(nothing, segmentationNode, "femur_right", volumeNode)
    exported = export.exportSurfaces(segmentationNode, tmp_path)
    assert exported.files == [tmp_path / "tibia_left.stl"]
    assert exported.emptySegments == ["Right femur", "Never drawn"]
    assert [path.name for path in tmp_path.iterdir()] == ["tibia_left.stl"]


def test_nothing_but_empty_segments_is_an_error(scene, tmp_path):
    segmentationNode = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Blank")
    segmentationNode.GetSegmentation().AddEmptySegment("a", "Screw")
    with pytest.raises(InputError, match="Every segment of Blank is empty"):
        export.exportSurfaces(segmentationNode, tmp_path)


def test_unknown_format_is_an_error(segmentationNode, tmp_path):
    with pytest.raises(InputError, match="'step'; choose one of stl, ply, obj"):
        export.exportSurfaces(segmentationNode, tmp_path, "step")


def test_reason_is_given_when_there_is_nothing_to_export(scene, tmp_path):
    empty = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Empty")
    assert export.findExportProblem(None) == "Choose a segmentation."
    assert export.findExportProblem(empty) == "Empty has no segments."
    with pytest.raises(InputError, match="Empty has no segments"):
        export.exportSurfaces(empty, tmp_path)
