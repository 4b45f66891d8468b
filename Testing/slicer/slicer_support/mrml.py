"""The real MRML scene and logics of slicer-core, set up as the desktop application does it."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import slicer
import vtk

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parents[2]


def addPaths() -> None:
    """Let ``import KneeSeg`` find the module as Slicer does, and the documented base classes under ``slicer``."""
    sys.path.insert(0, str(REPOSITORY / "KneeSeg"))
    slicer.__path__.append(str(HERE.parent / "documented_bases"))


def startScene(folder: Path):
    """Create ``slicer.mrmlScene`` and ``slicer.modules``; returns the application logic, which must be kept."""
    scene = slicer.vtkMRMLScene()
    scene.SetRootDirectory(str(folder))
    slicer.mrmlScene = scene
    application = slicer.vtkSlicerApplicationLogic()
    application.SetTemporaryPath(str(folder))
    application.SetMRMLScene(scene)
    application.GetColorLogic().SetMRMLScene(scene)
    application.GetColorLogic().AddDefaultColorNodes()

    def module(name, logic):
        logic.SetMRMLApplicationLogic(application)
        application.SetModuleLogic(name, logic)
        logic.SetMRMLScene(scene)
        return SimpleNamespace(logic=lambda: logic)

    terminologies = slicer.vtkSlicerTerminologiesModuleLogic()
    terminologies.SetModuleShareDirectory(str(folder))
    slicer.modules = SimpleNamespace(
        volumes=module("Volumes", slicer.vtkSlicerVolumesLogic()),
        subjecthierarchy=module("SubjectHierarchy", slicer.vtkSlicerSubjectHierarchyModuleLogic()),
        terminologies=module("Terminologies", terminologies),
        segmentations=module("Segmentations", slicer.vtkSlicerSegmentationsModuleLogic()),
    )
    return application


def obliqueMatrix(spacing=(0.61, 0.53, 1.25), origin=(-83.2, 41.7, 912.3), degrees=(12.0, -7.0, 21.0)) -> np.ndarray:
    """Return an IJK-to-RAS matrix with the given spacing, turned about all three axes."""
    transform = vtk.vtkTransform()
    transform.Translate(origin)
    for angle, axis in zip(degrees, "XYZ"):
        getattr(transform, f"Rotate{axis}")(angle)
    transform.Scale(spacing)
    return slicer.util.arrayFromVTKMatrix(transform.GetMatrix())


def addVolume(shape=(24, 32, 40), ijkToRas=None, name="Leg CT"):
    """Add a CT-like volume node: air, soft tissue, and two balls of bone (see :data:`balls`)."""
    array = np.full(shape, -1000, np.int16)
    array[:, 4:-4, 4:-4] = 40
    for ball in balls(shape).values():
        array[ball] = 900
    return slicer.util.addVolumeFromArray(array, ijkToRAS=obliqueMatrix() if ijkToRas is None else ijkToRas, name=name)


def loadVolume(path: Path):
    """Read an image file into a new volume node."""
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", path.name.split(".")[0])
    storageNode = slicer.vtkMRMLVolumeArchetypeStorageNode()
    storageNode.SetFileName(str(path))
    if not storageNode.ReadData(node):
        raise OSError(f"{path} could not be read")
    return node


def balls(shape) -> dict[str, np.ndarray]:
    """Return the voxels of two balls, which stand for bones, by structure key."""
    k, j, i = np.indices(shape)
    depth, height, width = shape
    distance = {
        "femur_right": np.sqrt((k - depth * 0.62) ** 2 + (j - height / 2) ** 2 + (i - width * 0.3) ** 2),
        "tibia_left": np.sqrt((k - depth * 0.4) ** 2 + (j - height / 2) ** 2 + (i - width * 0.7) ** 2),
    }
    return {key: values < 6 for key, values in distance.items()}


def addTransform(degrees=30.0, shift=(15.0, -8.0, 120.0), name="Registration"):
    """Add a linear transform node that turns and moves."""
    transform = vtk.vtkTransform()
    transform.Translate(shift)
    transform.RotateZ(degrees)
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode", name)
    node.SetMatrixTransformToParent(transform.GetMatrix())
    return node


def hierarchy():
    """Return the subject hierarchy of the scene."""
    return slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
