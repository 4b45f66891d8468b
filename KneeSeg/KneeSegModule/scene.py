"""Volumes out of the MRML scene and segmentations into it."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from pathlib import Path

import slicer
import vtk

from KneeSegLib.edges.measurement import EDGE_MEANINGS
from KneeSegLib.errors import KneeSegError, ModelError, OutputError
from KneeSegLib.io.resources import terminology_file
from KneeSegLib.io.terminology import TERMINOLOGY_NAME
from KneeSegModule.wording import useWordsOfPanel

LPS_FROM_RAS = (-1.0, -1.0, 1.0)
"""Factors of the coordinates, either way."""

CLOSED_SURFACE = "Closed surface"
ATTRIBUTE = "KneeSeg."
"""Prefix of the attributes that a result carries along when the scene is saved."""

QUALITY_TAG = ATTRIBUTE + "Quality"
"""Tag of each segment: its quality control result."""

UNREADABLE = "The result of the segmentation could not be read; try again, and report it if it happens twice."


def findVolumeProblem(volumeNode) -> str:
    """Return in a sentence why ``volumeNode`` cannot be segmented; empty if it can."""
    if volumeNode is None:
        return "Choose a CT or MR volume."
    imageData = volumeNode.GetImageData()
    if imageData is None or imageData.GetNumberOfPoints() == 0 or imageData.GetPointData().GetScalars() is None:
        return f"{volumeNode.GetName()} holds no image; load it again or choose another volume."
    if volumeNode.IsA("vtkMRMLLabelMapVolumeNode"):
        return f"{volumeNode.GetName()} is a label map; choose the volume it was made from."
    if imageData.GetNumberOfScalarComponents() != 1:
        return f"{volumeNode.GetName()} is a colour image; choose a volume with one value per voxel."
    return ""


def readGrid(volumeNode) -> tuple[float, ...]:
    """Return RAS-from-index matrix (by rows) and size, to compare."""
    rasFromIndex = vtk.vtkMatrix4x4()
    volumeNode.GetIJKToRASMatrix(rasFromIndex)
    elements = (rasFromIndex.GetElement(row, column) for row in range(4) for column in range(4))
    return (*elements, *volumeNode.GetImageData().GetDimensions())


def writeVolume(volumeNode, path: Path) -> None:
    """Write the volume with its own grid, not that of a parent transform; uncompressed, since it is read once.

    Raises:
        OutputError: the file cannot be written.
    """
    storageNode = slicer.vtkMRMLNRRDStorageNode()
    storageNode.SetFileName(str(path))
    storageNode.SetUseCompression(0)
    if not storageNode.WriteData(volumeNode):
        raise OutputError(f"The volume could not be written to {path.parent}; check that the disk has room.")


def addResult(folder: Path, volumeNode):
    """Return a new segmentation node that holds what a run left in ``folder``.

    A case of several scans gives a node of each, of which the first is returned; they lie together in the patient. The
    node goes where the volume is: its grid, its subject-hierarchy folder, under its parent transform. Nothing else
    in the scene changes.

    Raises:
        KneeSegError: the result cannot be read; the scene is as it was.
    """
    from KneeSegLib.case_record import RECORD_NAME

    scene = slicer.mrmlScene
    try:
        case = json.loads((folder / RECORD_NAME).read_text(encoding="utf-8"))
        scans = case.get("scans", [case])
        surfaces = [
            {found["key"]: _readSurface(folder / found["surface"]["file"]) for found in scan["structures"]}
            for scan in scans
        ]
        files = [folder / scan["files"]["segmentation"] for scan in scans]
    except (OSError, ValueError, KeyError) as error:
        raise KneeSegError(UNREADABLE) from error
    scene.SaveStateForUndo()
    nodes = []
    for scan, file, ofScan in zip(scans, files, surfaces):
        called = f" {scan['name']}" if len(scans) > 1 else ""
        node = _readSegmentation(file, volumeNode, called)
        if node is None:
            for made in nodes:
                scene.RemoveNode(made)
            raise KneeSegError(UNREADABLE)
        nodes.append(node)
        if len(scans) == 1 or _isScan(volumeNode, scan):
            node.SetReferenceImageGeometryParameterFromVolumeNode(volumeNode)
        _placeBeside(volumeNode, node)
        _describe(node, case, scan, volumeNode.GetName())
        _show(node, ofScan)
    return nodes[0]


def _isScan(volumeNode, scan: dict) -> bool:
    """Return whether a scan of a case lies on the volume's grid."""
    x, y, z = volumeNode.GetOrigin()
    near = all(abs(a - b) < 0.01 for a, b in zip((-x, -y, z), scan["input"]["origin_lps_mm"]))
    return near and list(volumeNode.GetImageData().GetDimensions()) == list(scan["input"]["size"])


def _readSegmentation(file: Path, volumeNode, called: str):
    """Return a new node with the segments in a file, under the volume's transform; None if it cannot be read."""
    scene = slicer.mrmlScene
    name = scene.GenerateUniqueName(f"{volumeNode.GetName()}{called} bones")
    segmentationNode = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", name)
    # Before the voxels: under another transform than its reference volume's, a segmentation loses voxels.
    segmentationNode.SetAndObserveTransformNodeID(volumeNode.GetTransformNodeID())
    # Not the node's own storage node: that would point at a temporary file.
    storageNode = slicer.vtkMRMLSegmentationStorageNode()
    storageNode.SetFileName(str(file))
    if not storageNode.ReadData(segmentationNode):
        scene.RemoveNode(segmentationNode)
        return None
    return segmentationNode


def readStatement(segmentationNode) -> str:
    """Return the sentence on what the networks that made a result were trained on."""
    return segmentationNode.GetAttribute(ATTRIBUTE + "Statement") or ""


def readEdge(segmentationNode) -> str:
    """Return in a sentence where the bones of a result end; empty where that is not known."""
    edge = segmentationNode.GetAttribute(ATTRIBUTE + "Edge")
    return f"Bones end {EDGE_MEANINGS[edge]}." if edge in EDGE_MEANINGS else ""


def readWarnings(segmentationNode) -> list[str]:
    """Return the warnings that the run gave which made this node."""
    return json.loads(segmentationNode.GetAttribute(ATTRIBUTE + "Warnings") or "[]")


def readQualityLevel(segmentationNode, segmentId: str) -> str:
    """Return the quality control result of a segment: "good", "limited" or "check"; empty where there is none."""
    value = vtk.mutable("")
    segmentationNode.GetSegmentation().GetSegment(segmentId).GetTag(QUALITY_TAG, value)
    return str(value)


def listNamesWithQuality(segmentationNode) -> list[str]:
    """Return the segments' names, with a flag at those that have to be checked."""
    segmentation = segmentationNode.GetSegmentation()
    names = []
    for segmentId in segmentation.GetSegmentIDs():
        flag = " (check)" if readQualityLevel(segmentationNode, segmentId) == "check" else ""
        names.append(segmentation.GetSegment(segmentId).GetName() + flag)
    return names


def isResult(segmentationNode) -> bool:
    """Return whether a run of this module made the node."""
    return segmentationNode is not None and segmentationNode.GetAttribute(ATTRIBUTE + "Warnings") is not None


def findLatestResult(volumeNode):
    """Return the newest segmentation that a run of this module made from the volume; None if there is none."""
    if volumeNode is None:
        return None
    role = slicer.vtkMRMLSegmentationNode.GetReferenceImageGeometryReferenceRole()
    nodes = slicer.util.getNodesByClass("vtkMRMLSegmentationNode")
    made = [node for node in nodes if isResult(node) and node.GetNodeReference(role) is volumeNode]
    return made[-1] if made else None


def registerTerminology() -> None:
    """Offer our names in Slicer's terminology selector; tibia and talus are in none of its own lists."""
    logic = slicer.modules.terminologies.logic()
    loaded: list[str] = []
    logic.GetLoadedTerminologyNames(loaded)
    if TERMINOLOGY_NAME in loaded:
        return
    try:
        logic.LoadTerminologyFromFile(str(terminology_file()))
    except ModelError as error:  # segments carry their names all the same
        logging.error("KneeSeg: %s", error)


def _placeBeside(volumeNode, segmentationNode) -> None:
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    volumeItem = hierarchy.GetItemByDataNode(volumeNode)
    if not volumeItem:
        return
    parent = hierarchy.GetItemParent(volumeItem)
    item = hierarchy.GetItemByDataNode(segmentationNode)
    if item:
        hierarchy.SetItemParent(item, parent)
    else:
        hierarchy.CreateItem(parent, segmentationNode)


def _describe(segmentationNode, case: dict, scan: dict, volumeName: str) -> None:
    """Record in the node how it was made, wherever the scene is opened."""
    warnings = [*scan["input"]["notes"], *case["warnings"]]
    warnings += [warning for found in scan["structures"] for warning in found["warnings"]]
    warnings = [useWordsOfPanel(warning, volumeName) for warning in warnings]
    segmentationNode.SetAttribute(ATTRIBUTE + "Statement", case["statement"])
    segmentationNode.SetAttribute(ATTRIBUTE + "Warnings", json.dumps(warnings))
    segmentationNode.SetAttribute(ATTRIBUTE + "Edge", case["provenance"].get("edge") or "")
    segmentationNode.SetAttribute(ATTRIBUTE + "Provenance", json.dumps(case["provenance"]))
    for found in scan["structures"]:
        if found.get("quality"):
            segmentationNode.GetSegmentation().GetSegment(found["key"]).SetTag(QUALITY_TAG, found["quality"]["level"])
    sentences = [f"KneeSeg {case['provenance']['version']}.", readEdge(segmentationNode), case["statement"]]
    segmentationNode.SetDescription(" ".join(filter(None, sentences)))


def _show(segmentationNode, surfaces: Mapping[str, vtk.vtkPolyData]) -> None:
    """Show in slices and in 3D, with the run's own surfaces: they follow the bone more closely than voxels do."""
    for segmentId, surface in surfaces.items():
        segmentationNode.GetSegmentation().GetSegment(segmentId).AddRepresentation(CLOSED_SURFACE, surface)
    segmentationNode.CreateDefaultDisplayNodes()
    segmentationNode.GetDisplayNode().SetVisibility3D(True)


def _readSurface(path: Path) -> vtk.vtkPolyData:
    """Read a surface; return it in RAS, with normals for smooth shading."""
    from KneeSegLib.geometry.mesh import points_of, polydata_from, triangles_of
    from KneeSegLib.surfaces import read_surface

    surface = read_surface(path)
    normals = vtk.vtkPolyDataNormals()
    normals.SetInputData(polydata_from(points_of(surface) * LPS_FROM_RAS, triangles_of(surface)))
    normals.SplittingOff()
    normals.ConsistencyOff()
    normals.Update()
    return normals.GetOutput()
