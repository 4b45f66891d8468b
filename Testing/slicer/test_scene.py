"""Volumes out of the scene and results into it, on the real MRML."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import SimpleITK as sitk
import slicer
import vtk
from KneeSegModule import scene as kneeSegScene
from slicer_support import mrml
from slicer_support.results import judgedResult, saveBlocks

from KneeSegLib import TRAINING_STATEMENT
from KneeSegLib.anatomy import structure
from KneeSegLib.errors import KneeSegError, OutputError
from KneeSegLib.io.terminology import serialize_terminology_entry

KEYS = ("femur_right", "tibia_left")


@pytest.fixture
def segmentationNode(volumeNode, resultFolder):
    return kneeSegScene.addResult(resultFolder, volumeNode)


def voxels(segmentationNode, key, volumeNode):
    return slicer.util.arrayFromSegmentBinaryLabelmap(segmentationNode, key, volumeNode) > 0


def test_written_volume_has_exactly_the_grid_and_voxels_of_the_node(volumeNode, tmp_path):
    kneeSegScene.writeVolume(volumeNode, tmp_path / "volume.nrrd")

    image = sitk.ReadImage(tmp_path / "volume.nrrd")
    lpsFromIndex = np.diag((-1, -1, 1)) @ mrml.obliqueMatrix()[:3, :3]
    np.testing.assert_allclose(
        np.reshape(image.GetDirection(), (3, 3)) @ np.diag(image.GetSpacing()), lpsFromIndex, rtol=0, atol=1e-12
    )
    np.testing.assert_allclose(image.GetOrigin(), mrml.obliqueMatrix()[:3, 3] * (-1, -1, 1), rtol=0, atol=1e-9)
    np.testing.assert_array_equal(sitk.GetArrayViewFromImage(image), slicer.util.arrayFromVolume(volumeNode))


def test_written_volume_ignores_the_parent_transform(volumeNode, tmp_path):
    kneeSegScene.writeVolume(volumeNode, tmp_path / "plain.nrrd")
    volumeNode.SetAndObserveTransformNodeID(mrml.addTransform().GetID())
    kneeSegScene.writeVolume(volumeNode, tmp_path / "moved.nrrd")

    assert (tmp_path / "plain.nrrd").read_bytes() == (tmp_path / "moved.nrrd").read_bytes()


def test_volume_that_cannot_be_written_is_an_error_with_the_folder_in_it(volumeNode, tmp_path):
    with pytest.raises(OutputError, match="missing_folder"):
        kneeSegScene.writeVolume(volumeNode, tmp_path / "missing_folder" / "volume.nrrd")


def test_each_scan_of_a_case_becomes_a_node_in_its_place(volumeNode, tmp_path):
    kneeSegScene.writeVolume(volumeNode, tmp_path / "volume.nrrd")
    saveBlocks(tmp_path / "volume.nrrd", tmp_path / "result", above_mm=300.0)
    first = kneeSegScene.addResult(tmp_path / "result", volumeNode)
    knee, hip = slicer.util.getNodesByClass("vtkMRMLSegmentationNode")
    assert first is knee
    assert (knee.GetName(), hip.GetName()) == ("Leg CT knee bones", "Leg CT hip bones")
    role = knee.GetReferenceImageGeometryReferenceRole()
    assert knee.GetNodeReference(role) is volumeNode and hip.GetNodeReference(role) is None
    lower, upper = [0.0] * 6, [0.0] * 6
    knee.GetRASBounds(lower)
    hip.GetRASBounds(upper)
    assert np.subtract(upper, lower) == pytest.approx([0, 0, 0, 0, 300.0, 300.0], abs=1e-3)
    assert kneeSegScene.readWarnings(hip) == ["The patient may have moved."]


def test_segments_carry_our_names_colours_and_terminology(segmentationNode):
    segmentation = segmentationNode.GetSegmentation()
    assert tuple(segmentation.GetSegmentIDs()) == KEYS
    for key in KEYS:
        segment = segmentation.GetSegment(key)
        assert segment.GetName() == structure(key).name
        np.testing.assert_allclose(segment.GetColor(), np.array(structure(key).color) / 255, atol=1e-5)
        entry = vtk.mutable("")
        segment.GetTag(segment.GetTerminologyEntryTagName(), entry)
        assert str(entry) == serialize_terminology_entry(structure(key))


def test_segments_carry_how_far_they_can_be_relied_on(volumeNode, resultFolder, tmp_path):
    judged = judgedResult(resultFolder, tmp_path / "judged", femur_right="check", tibia_left="good")
    segmentationNode = kneeSegScene.addResult(judged, volumeNode)
    assert [kneeSegScene.readQualityLevel(segmentationNode, key) for key in KEYS] == ["check", "good"]
    assert kneeSegScene.listNamesWithQuality(segmentationNode) == ["Right femur (check)", "Left tibia"]


def test_a_result_that_nobody_judged_says_nothing_of_its_quality(segmentationNode):
    assert [kneeSegScene.readQualityLevel(segmentationNode, key) for key in KEYS] == ["", ""]
    assert kneeSegScene.listNamesWithQuality(segmentationNode) == ["Right femur", "Left tibia"]


def test_segments_are_voxel_for_voxel_those_of_an_oblique_volume(segmentationNode, volumeNode):
    expected = mrml.balls(slicer.util.arrayFromVolume(volumeNode).shape)
    for key in KEYS:
        np.testing.assert_array_equal(voxels(segmentationNode, key, volumeNode), expected[key])


def test_reference_geometry_is_that_of_the_volume(segmentationNode, volumeNode):
    role = segmentationNode.GetReferenceImageGeometryReferenceRole()
    assert segmentationNode.GetNodeReference(role) is volumeNode


def test_result_stands_under_the_transform_of_the_volume_and_loses_no_voxel(volumeNode, resultFolder):
    transformNode = mrml.addTransform()
    volumeNode.SetAndObserveTransformNodeID(transformNode.GetID())
    segmentationNode = kneeSegScene.addResult(resultFolder, volumeNode)

    assert segmentationNode.GetParentTransformNode() is transformNode
    expected = mrml.balls(slicer.util.arrayFromVolume(volumeNode).shape)
    for key in KEYS:
        np.testing.assert_array_equal(voxels(segmentationNode, key, volumeNode), expected[key])


def test_result_stands_in_the_hierarchy_folder_of_the_volume(volumeNode, resultFolder):
    hierarchy = mrml.hierarchy()
    study = hierarchy.CreateFolderItem(hierarchy.GetSceneItemID(), "Study")
    hierarchy.CreateItem(study, volumeNode)
    segmentationNode = kneeSegScene.addResult(resultFolder, volumeNode)

    assert hierarchy.GetItemParent(hierarchy.GetItemByDataNode(segmentationNode)) == study


def test_result_is_named_after_the_volume_and_a_second_one_differs(volumeNode, resultFolder):
    first = kneeSegScene.addResult(resultFolder, volumeNode)
    second = kneeSegScene.addResult(resultFolder, volumeNode)
    assert first.GetName() == "Leg CT bones"
    assert second.GetName() != first.GetName() and second.GetName().startswith("Leg CT bones")


def test_existing_segmentations_are_not_touched(volumeNode, resultFolder):
    existing = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "By hand")
    existing.SetReferenceImageGeometryParameterFromVolumeNode(volumeNode)
    existing.GetSegmentation().AddEmptySegment("femur_right", "My femur", (0.1, 0.2, 0.3))
    byHand = np.zeros(slicer.util.arrayFromVolume(volumeNode).shape, np.uint8)
    byHand[3:9, 10:20, 8:16] = 1
    slicer.util.updateSegmentBinaryLabelmapFromArray(byHand, existing, "femur_right", volumeNode)
    before = existing.GetSegmentation().GetMTime()

    kneeSegScene.addResult(resultFolder, volumeNode)

    assert existing.GetSegmentation().GetMTime() == before
    assert existing.GetSegmentation().GetSegment("femur_right").GetName() == "My femur"
    np.testing.assert_array_equal(voxels(existing, "femur_right", volumeNode), byHand > 0)


def test_result_is_shown_in_3d_with_the_surfaces_of_the_run(segmentationNode, volumeNode, resultFolder):
    displayNode = segmentationNode.GetDisplayNode()
    assert displayNode.GetVisibility() and displayNode.GetVisibility3D()
    assert displayNode.GetDisplayRepresentationName3D() == "Closed surface"
    for key in KEYS:
        inScene = vtk.vtkPolyData()
        assert segmentationNode.GetClosedSurfaceRepresentation(key, inScene)
        reader = vtk.vtkSTLReader()
        reader.SetFileName(str(resultFolder / "surfaces" / f"{key}.stl"))
        reader.Update()
        left, right, anterior, posterior, bottom, top = reader.GetOutput().GetBounds()
        np.testing.assert_allclose(inScene.GetBounds(), (-right, -left, -posterior, -anterior, bottom, top), atol=1e-3)


def test_surface_stands_where_its_voxels_are(segmentationNode, volumeNode):
    rasFromIndex = mrml.obliqueMatrix()
    for key, ball in mrml.balls(slicer.util.arrayFromVolume(volumeNode).shape).items():
        center = rasFromIndex[:3, :3] @ np.argwhere(ball).mean(axis=0)[::-1] + rasFromIndex[:3, 3]
        surface = vtk.vtkPolyData()
        segmentationNode.GetClosedSurfaceRepresentation(key, surface)
        np.testing.assert_allclose(surface.GetCenter(), center, atol=0.3)


def test_surface_follows_when_a_segment_is_edited(segmentationNode, volumeNode):
    edited = voxels(segmentationNode, "femur_right", volumeNode).astype(np.uint8)
    edited[:, :, :12] = 0
    slicer.util.updateSegmentBinaryLabelmapFromArray(edited, segmentationNode, "femur_right", volumeNode)
    segmentationNode.CreateClosedSurfaceRepresentation()

    surface = vtk.vtkPolyData()
    segmentationNode.GetClosedSurfaceRepresentation("femur_right", surface)
    toIndex = vtk.vtkMatrix4x4()
    volumeNode.GetRASToIJKMatrix(toIndex)
    columns = [toIndex.MultiplyPoint((*surface.GetPoint(n), 1))[0] for n in range(surface.GetNumberOfPoints())]
    assert min(columns) > 10


def test_result_says_how_it_was_made(segmentationNode):
    assert kneeSegScene.isResult(segmentationNode)
    assert segmentationNode.GetAttribute("KneeSeg.Statement") == TRAINING_STATEMENT
    assert TRAINING_STATEMENT in segmentationNode.GetDescription()
    assert "The femur is cut by the edge of the scan." in kneeSegScene.readWarnings(segmentationNode)


def test_result_does_not_point_at_the_temporary_file(segmentationNode):
    assert segmentationNode.GetStorageNode() is None


def test_result_survives_a_segmentation_file_of_the_users(segmentationNode, volumeNode, tmp_path):
    storageNode = slicer.vtkMRMLSegmentationStorageNode()
    storageNode.SetFileName(str(tmp_path / "saved.seg.nrrd"))
    assert storageNode.WriteData(segmentationNode)
    again = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    assert storageNode.ReadData(again)
    for key in KEYS:
        np.testing.assert_array_equal(voxels(again, key, volumeNode), voxels(segmentationNode, key, volumeNode))
        assert again.GetSegmentation().GetSegment(key).GetName() == structure(key).name


def test_one_undo_takes_the_result_back(volumeNode, resultFolder):
    slicer.mrmlScene.SetUndoOn()
    default = slicer.vtkMRMLSegmentationNode()
    default.UndoEnabledOn()
    slicer.mrmlScene.AddDefaultNode(default)
    kneeSegScene.addResult(resultFolder, volumeNode)
    slicer.mrmlScene.Undo()
    default.UndoEnabledOff()
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode") == 0


@pytest.mark.parametrize("lost", ["case.json", "segmentation.seg.nrrd", "surfaces/femur_right.stl"])
def test_incomplete_result_leaves_the_scene_as_it_was(volumeNode, resultFolder, tmp_path, lost):
    folder = tmp_path / "result"
    shutil.copytree(resultFolder, folder)
    (folder / lost).unlink()
    with pytest.raises(KneeSegError):
        kneeSegScene.addResult(folder, volumeNode)
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode") == 0


def test_terminology_of_ours_is_offered_and_only_once(scene):
    for _ in range(2):
        kneeSegScene.registerTerminology()
    loaded: list[str] = []
    slicer.modules.terminologies.logic().GetLoadedTerminologyNames(loaded)
    assert loaded.count("KneeSeg") == 1


@pytest.mark.parametrize("key", ["femur_right", "tibia_left", "talus_right", "medial_meniscus_left"])
def test_segments_are_known_to_the_loaded_terminology(scene, key):
    kneeSegScene.registerTerminology()
    logic = slicer.modules.terminologies.logic()
    entry = slicer.vtkSlicerTerminologyEntry()
    assert logic.DeserializeTerminologyEntry(serialize_terminology_entry(structure(key)), entry)
    assert logic.UpdateEntryFromLoadedTerminologies(entry, ["KneeSeg"], [])
    assert entry.GetTypeObject().GetCodeMeaning() == structure(key).code.meaning
    assert entry.GetTypeModifierObject().GetCodeMeaning() == structure(key).side_code.meaning


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: None, "Choose a CT or MR volume"),
        (lambda: slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "Empty"), "Empty holds no image"),
        (lambda: mrml.addVolume(name="Leg CT"), ""),
        (
            lambda: slicer.util.addVolumeFromArray(
                np.zeros((4, 4, 4), np.uint8), name="Labels", nodeClassName="vtkMRMLLabelMapVolumeNode"
            ),
            "Labels is a label map",
        ),
        (
            lambda: slicer.util.addVolumeFromArray(
                np.zeros((4, 4, 4, 3), np.uint8), name="Photo", nodeClassName="vtkMRMLVectorVolumeNode"
            ),
            "Photo is a colour image",
        ),
    ],
)
def test_unusable_volume_is_named_with_the_reason(scene, make, said):
    problem = kneeSegScene.findVolumeProblem(make())
    assert problem.startswith(said) and bool(problem) == bool(said)
