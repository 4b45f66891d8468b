"""Draw a volume and its result as Slicer shows them: ``python Testing/slicer/draw_views.py VOLUME RESULT OUT``.

The scene, the slice and 3D displayable managers and the rendering are those of 3D Slicer (slicer-core), off screen;
only the window around them is missing. VOLUME is an image file, RESULT a folder that ``kneeseg segment`` wrote, OUT
a PNG file.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

if sys.platform == "linux":
    os.environ.setdefault("VTK_DEFAULT_OPENGL_WINDOW", "vtkEGLRenderWindow")  # needs no display

sys.path[:0] = [str(Path(__file__).resolve().parent), str(Path(__file__).resolve().parents[2])]

import numpy as np
import slicer
import vtk
import vtk.util.numpy_support
from slicer_support import mrml

mrml.addPaths()

from KneeSegModule.scene import addResult

VIEW_SIZE = (560, 420)
GAP = 4
ORIENTATIONS = {"Red": "Axial", "Green": "Coronal", "Yellow": "Sagittal"}


def shownVolume(path: Path):
    volumeNode = mrml.loadVolume(path)
    volumeNode.CreateDefaultDisplayNodes()
    displayNode = volumeNode.GetDisplayNode()
    displayNode.SetAndObserveColorNodeID("vtkMRMLColorTableNodeGrey")
    displayNode.AutoWindowLevelOff()
    displayNode.SetWindowLevel(1600, 400)
    return volumeNode


def shownPoint(segmentationNode) -> np.ndarray:
    """Return where the slices meet, in RAS mm: the middle of what was found, at the patella's height and side."""
    bounds = np.zeros(6)
    segmentationNode.GetRASBounds(bounds)
    center = bounds.reshape(3, 2).mean(axis=1)
    for segmentId in segmentationNode.GetSegmentation().GetSegmentIDs():
        if segmentId.startswith("patella"):
            center[[0, 2]] = np.array(segmentationNode.GetSegmentCenterRAS(segmentId))[[0, 2]]
    return center


def newWindow(layers: int = 1):
    window = vtk.vtkRenderWindow()
    window.SetOffScreenRendering(True)
    window.SetSize(*VIEW_SIZE)
    window.SetMultiSamples(8)
    window.SetNumberOfLayers(layers)
    window.SetInteractor(vtk.vtkGenericRenderWindowInteractor())  # displayable managers ask for one
    renderers = []
    for layer in range(layers):
        renderer = vtk.vtkRenderer()
        renderer.SetLayer(layer)
        window.AddRenderer(renderer)
        renderers.append(renderer)
    return window, renderers


def pixels(window) -> np.ndarray:
    window.Render()
    grabbed = vtk.vtkWindowToImageFilter()
    grabbed.SetInput(window)
    grabbed.ReadFrontBufferOff()
    grabbed.Update()
    image = grabbed.GetOutput()
    array = vtk.util.numpy_support.vtk_to_numpy(image.GetPointData().GetScalars())
    return array.reshape(image.GetDimensions()[1], image.GetDimensions()[0], -1)[::-1]


def managersOn(factory, names: list[str], application, renderer, viewNode):
    for name in names:
        if not factory.IsDisplayableManagerRegistered(name):
            factory.RegisterDisplayableManager(name)
    factory.SetMRMLApplicationLogic(application)
    group = factory.InstantiateDisplayableManagers(renderer)
    group.SetMRMLDisplayableNode(viewNode)
    return group


def sliceView(name: str, volumeNode, center, application) -> np.ndarray:
    logic = slicer.vtkMRMLSliceLogic()
    logic.SetMRMLApplicationLogic(application)
    logic.SetMRMLScene(slicer.mrmlScene)
    sliceNode = logic.AddSliceNode(name)
    sliceNode.SetOrientation(ORIENTATIONS[name])
    sliceNode.SetDimensions(*VIEW_SIZE, 1)
    compositeNode = logic.GetSliceCompositeNode()
    compositeNode.SetBackgroundVolumeID(volumeNode.GetID())
    logic.FitSliceToAll(*VIEW_SIZE)
    sliceNode.JumpSliceByOffsetting(*center)
    logic.UpdatePipeline()

    window, (background, overlay) = newWindow(layers=2)
    mapper = vtk.vtkImageMapper()
    mapper.SetInputConnection(logic.GetImageDataConnection())
    mapper.SetColorWindow(255)
    mapper.SetColorLevel(127.5)
    actor = vtk.vtkActor2D()
    actor.SetMapper(mapper)
    background.AddViewProp(actor)
    for renderer in (background, overlay):
        renderer.GetActiveCamera().ParallelProjectionOn()
    factory = slicer.vtkMRMLSliceViewDisplayableManagerFactory.GetInstance()
    group = managersOn(factory, ["vtkMRMLSegmentationsDisplayableManager2D"], application, overlay, sliceNode)
    picture = pixels(window)
    del group
    return picture


def threeDView(segmentationNode, application) -> np.ndarray:
    viewNode = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLViewNode", "View1")
    viewNode.SetLayoutName("1")
    window, (renderer,) = newWindow()
    renderer.GradientBackgroundOn()
    renderer.SetBackground(0.76, 0.76, 0.91)
    renderer.SetBackground2(0.46, 0.47, 0.75)
    factory = slicer.vtkMRMLThreeDViewDisplayableManagerFactory.GetInstance()
    group = managersOn(factory, ["vtkMRMLSegmentationsDisplayableManager3D"], application, renderer, viewNode)
    camera = renderer.GetActiveCamera()
    camera.SetPosition(0.35, 1, 0.1)  # from the front and a little from the patient's right, in RAS
    camera.SetFocalPoint(0, 0, 0)
    camera.SetViewUp(0, 0, 1)
    window.Render()
    renderer.ResetCamera()
    camera.Zoom(1.2)
    picture = pixels(window)
    del group
    return picture


def main(volumeFile: Path, resultFolder: Path, target: Path) -> None:
    with tempfile.TemporaryDirectory() as name:
        application = mrml.startScene(Path(name))
        volumeNode = shownVolume(volumeFile)
        segmentationNode = addResult(resultFolder, volumeNode)
        center = shownPoint(segmentationNode)
        views = {name: sliceView(name, volumeNode, center, application) for name in ORIENTATIONS}
        views["3D"] = threeDView(segmentationNode, application)
    width, height = VIEW_SIZE
    sheet = np.zeros((2 * height + GAP, 2 * width + GAP, 3), np.uint8)
    for position, name in enumerate(("Red", "3D", "Green", "Yellow")):
        top, left = position // 2 * (height + GAP), position % 2 * (width + GAP)
        sheet[top : top + height, left : left + width] = views[name][..., :3]
    from PIL import Image

    Image.fromarray(sheet).save(target, optimize=True)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
