"""The Slicer module KneeSeg: bones in CT of the leg, bones and cartilage in MR of the knee, at one click."""

import json
import os
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import slicer
import vtk
from slicer import vtkMRMLScalarVolumeNode, vtkMRMLSegmentationNode
from slicer.parameterNodeWrapper import parameterNodeWrapper
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleTest,
    ScriptedLoadableModuleWidget,
)
from slicer.util import VTKObservationMixin

try:
    import KneeSegLib
except ModuleNotFoundError:  # developer mode: the library stands beside this module's folder
    sys.path.append(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    import KneeSegLib

from KneeSegModule import export, requirements, sample_data, scene
from KneeSegModule.choices import Device, Edge, Pipeline, Quality, Side, SurfaceFormat
from KneeSegModule.panel import Panel
from KneeSegModule.run import Options, SegmentationRun

import KneeSegLib.anatomy
import KneeSegLib.errors
from KneeSegLib.io.resources import samples_folder
from KneeSegLib.progress import no_progress


class KneeSeg(ScriptedLoadableModule):
    """What Slicer shows of the module before it is opened."""

    def __init__(self, parent):
        super().__init__(parent)
        self.parent.title = "KneeSeg"
        self.parent.categories = ["Segmentation"]
        self.parent.dependencies = ["Segmentations", "SubjectHierarchy", "Terminologies"]
        self.parent.contributors = ["KneeSeg contributors"]
        self.parent.helpText = (
            "<p>Segments femur, tibia, patella, fibula, hip bone, talus and calcaneus, right and left, in CT volumes "
            "of the leg, and bones, cartilages and menisci in MR of the knee; exports their surfaces. Choose a volume "
            "and press <i>Segment</i>. For an MR that was not loaded from DICOM choose the pipeline <i>MR: knee</i>. "
            "The <i>Sample Data</i> module has a knee to try. Nothing leaves this computer.</p>"
            f"<p>Version {KneeSegLib.__version__}. Research software, not a medical device.</p>"
        )
        self.parent.acknowledgementText = "Networks after published methods, which the documentation names."
        if getattr(slicer, "app", None) is not None:
            slicer.app.connect("startupCompleted()", scene.registerTerminology)
            slicer.app.connect("startupCompleted()", sample_data.registerSampleData)


@parameterNodeWrapper
class KneeSegParameterNode:
    """What is chosen in the panel."""

    volume: vtkMRMLScalarVolumeNode
    pipeline: Pipeline = Pipeline.auto
    side: Side = Side.auto
    quality: Quality = Quality.standard
    device: Device = Device.auto
    edge: Edge = Edge.auto
    models: str = ""
    segmentation: vtkMRMLSegmentationNode
    surfaceFormat: SurfaceFormat = SurfaceFormat.stl


CHOICES = {
    "pipeline": Pipeline,
    "side": Side,
    "quality": Quality,
    "device": Device,
    "edge": Edge,
    "surfaceFormat": SurfaceFormat,
}
"""The fields of the parameter node that are kept by the name of a choice."""


class KneeSegWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    """Connects the panel with Slicer: scene, parameter node, application."""

    # Set in setup and not in __init__: the base class calls setup from there when it has no parent.
    logic: "KneeSegLogic"
    panel: Panel
    _parameterNode: KneeSegParameterNode | None = None
    _parameterNodeGuiTag: int | None = None

    def setup(self):
        import qt

        super().setup()
        uiWidget = slicer.util.loadUI(self.resourcePath("UI/KneeSeg.ui"))
        self.layout.addWidget(uiWidget)
        self.ui = slicer.util.childWidgetVariables(uiWidget)
        uiWidget.setMRMLScene(slicer.mrmlScene)
        scene.registerTerminology()
        self.logic = KneeSegLogic()
        timer = qt.QTimer(uiWidget)
        self.panel = Panel(self.ui, self.logic, timer, _askFolder)
        mrmlScene = slicer.mrmlScene
        for event in (mrmlScene.StartCloseEvent, mrmlScene.StartImportEvent):
            self.addObserver(mrmlScene, event, self.onSceneAboutToChange)
        for event in (mrmlScene.EndCloseEvent, mrmlScene.EndImportEvent):
            self.addObserver(mrmlScene, event, self.onSceneChanged)
        slicer.app.connect("aboutToQuit()", self.panel.stop)
        self.initializeParameterNode()

    def cleanup(self):
        slicer.app.disconnect("aboutToQuit()", self.panel.stop)
        self.panel.stop()
        self.setParameterNode(None)
        self.removeObservers()

    def enter(self):
        self.initializeParameterNode()

    def onSceneAboutToChange(self, caller, event):
        self.setParameterNode(None)

    def onSceneChanged(self, caller, event):
        if self.parent.isEntered:
            self.initializeParameterNode()

    def initializeParameterNode(self):
        parameterNode = self.logic.getParameterNode()
        self.setParameterNode(parameterNode)
        if parameterNode.volume is None:
            volumeNodes = slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")
            volumeNodes = [node for node in volumeNodes if not scene.findVolumeProblem(node)]
            parameterNode.volume = volumeNodes[0] if volumeNodes else None

    def setParameterNode(self, parameterNode):
        if self._parameterNode is not None:
            self._parameterNode.disconnectGui(self._parameterNodeGuiTag)
            self.removeObserver(self._parameterNode, vtk.vtkCommand.ModifiedEvent, self.onParameterNodeModified)
        self._parameterNode = parameterNode
        if parameterNode is not None:
            self._parameterNodeGuiTag = parameterNode.connectGui(self.ui)
            self.addObserver(parameterNode, vtk.vtkCommand.ModifiedEvent, self.onParameterNodeModified)
        self.panel.setParameterNode(parameterNode)

    def onParameterNodeModified(self, caller=None, event=None):
        self.panel.update()


class KneeSegLogic(ScriptedLoadableModuleLogic):
    """Segmentation of volume nodes and export of surfaces, with or without the panel.

    In the Python console::

        segmentationNode = KneeSegLogic().segment(volumeNode, pipeline="ct-knee")
        KneeSegLogic().exportSurfaces(segmentationNode, "surfaces", "stl")
    """

    def getParameterNode(self):
        """Return what is chosen in the panel; a choice that a saved scene has and this version has not is forgotten."""
        node = super().getParameterNode()
        for name, choices in CHOICES.items():
            if node.GetParameter(name) not in choices.__members__:
                node.UnsetParameter(name)
        return KneeSegParameterNode(node)  # pyright: ignore[reportCallIssue]  (the decorator makes its constructor)

    def segment(
        self,
        volumeNode,
        pipeline="auto",
        side="auto",
        quality="standard",
        device="auto",
        models="",
        edge="auto",
        progress=no_progress,
    ):
        """Segment ``volumeNode`` and return the new segmentation node; Slicer stays responsive meanwhile.

        The options are those of ``kneeseg segment``; ``models`` is a folder with networks of your own, of
        the pipeline ``nnunet`` the folder that nnU-Net has trained. ``progress`` is
        called with a fraction and a message; it may raise ``KneeSegLib.errors.Cancelled``.

        Raises:
            KneeSegError: says in a sentence what is wrong; the scene is unchanged.
        """
        run = self.start(volumeNode, Options(pipeline, side, quality, device, str(models), edge))
        application = getattr(slicer, "app", None)
        try:
            while not run.finished:
                progress(run.fraction, run.message)
                time.sleep(0.05)
                if application is not None:
                    application.processEvents()
                run.poll()
        finally:
            run.stop()
        if run.error is not None:
            raise run.error
        return run.segmentationNode

    def start(self, volumeNode, options):
        """Start a segmentation and return its :class:`SegmentationRun`, to be polled some ten times a second.

        Raises:
            KneeSegError: it cannot be started; the sentence says why.
        """
        requirements.requirePackages(options.pipeline)
        run = SegmentationRun(volumeNode, options)
        run.start()
        return run

    def ensurePackages(self, pipeline="auto"):
        """Install what a pipeline lacks, after asking; raises ``ResourceError`` if some packages are missing still."""
        requirements.ensurePackages(pipeline)

    def exportSurfaces(self, segmentationNode, folder, surfaceFormat="stl"):
        """Write one surface file per segment that is not empty, in mm and LPS; return their paths."""
        return export.exportSurfaces(segmentationNode, folder, surfaceFormat).files


SAMPLE_VOLUMES_CM3 = {"femur_right": 200.7, "tibia_right": 136.5, "patella_right": 21.3, "fibula_right": 9.6}
"""Of the bones that the sample was made from (Testing/slicer/make_sample.py), to the end of the cortex."""


def _askFolder(title):
    import qt

    return qt.QFileDialog.getExistingDirectory(slicer.util.mainWindow(), title)


class KneeSegTest(ScriptedLoadableModuleTest):
    """Self-tests for Slicer's own runner: what the module does in this Slicer.

    With the Python packages there, the sample is segmented with the networks that ship, which takes some ten seconds.
    """

    def setUp(self):
        slicer.mrmlScene.Clear()

    def runTest(self):
        for name in sorted(dir(self)):
            if name.startswith("test_"):
                self.setUp()
                getattr(self, name)()
        self.delayDisplay("KneeSeg: all self-tests passed")

    def test_volumeIsHandedOverAndResultComesBack(self):
        import SimpleITK as sitk

        volumeNode = self._addVolume()
        transformNode = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
        volumeNode.SetAndObserveTransformNodeID(transformNode.GetID())
        with tempfile.TemporaryDirectory() as folder:
            volumeFile = Path(folder) / "volume.nrrd"
            scene.writeVolume(volumeNode, volumeFile)
            self._writeResult(sitk.ReadImage(str(volumeFile)), Path(folder))
            segmentationNode = scene.addResult(Path(folder), volumeNode)
        self.assertIs(segmentationNode.GetParentTransformNode(), transformNode)
        segment = segmentationNode.GetSegmentation().GetSegment("femur_right")
        self.assertEqual(segment.GetName(), "Right femur")
        found = slicer.util.arrayFromSegmentBinaryLabelmap(segmentationNode, "femur_right", volumeNode)
        np.testing.assert_array_equal(found > 0, slicer.util.arrayFromVolume(volumeNode) > 500)

    def test_unusableVolumeIsRefusedInASentence(self):
        empty = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "Empty")
        with self.assertRaisesRegex(KneeSegLib.errors.InputError, "Empty holds no image"):
            SegmentationRun(empty, Options()).start()

    def test_surfacesAreExported(self):
        self.test_volumeIsHandedOverAndResultComesBack()
        segmentationNode = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLSegmentationNode")
        with tempfile.TemporaryDirectory() as folder:
            for surfaceFormat in SurfaceFormat:
                files = KneeSegLogic().exportSurfaces(segmentationNode, folder, surfaceFormat.name)
                self.assertEqual([path.name for path in files], [f"femur_right.{surfaceFormat.name}"])

    def test_refusalOfTheChildProcessArrives(self):
        if self._lacksPackages():
            return
        flat = slicer.util.addVolumeFromArray(np.zeros((40, 64, 64), np.int16), name="Flat")
        with self.assertRaisesRegex(KneeSegLib.errors.InputError, "Every voxel of 'Flat' has the value 0"):
            KneeSegLogic().segment(flat, device="cpu")

    def test_sampleIsSegmented(self):
        if self._lacksPackages():
            return
        volumeNode = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", sample_data.NAME)
        storageNode = slicer.vtkMRMLVolumeArchetypeStorageNode()
        storageNode.SetFileName(str(samples_folder() / sample_data.FILE_NAME))
        self.assertTrue(storageNode.ReadData(volumeNode))
        segmentationNode = KneeSegLogic().segment(
            volumeNode, pipeline="ct-knee", quality="fast", device="cpu", edge="cortex"
        )
        voxel_cm3 = np.prod(volumeNode.GetSpacing()) / 1000
        volumes_cm3 = {
            segmentId: voxel_cm3
            * np.count_nonzero(slicer.util.arrayFromSegmentBinaryLabelmap(segmentationNode, segmentId, volumeNode))
            for segmentId in segmentationNode.GetSegmentation().GetSegmentIDs()
        }
        self.assertEqual(set(volumes_cm3), set(SAMPLE_VOLUMES_CM3))
        for segmentId, volume_cm3 in SAMPLE_VOLUMES_CM3.items():
            self.assertAlmostEqual(volumes_cm3[segmentId] / volume_cm3, 1, delta=0.05)

    def _lacksPackages(self):
        missing = requirements.findMissingPackages()
        if missing:
            self.delayDisplay(f"Not tried, because Python packages are missing: {', '.join(missing)}")
        return bool(missing)

    def _addVolume(self):
        k, j, i = np.indices((20, 30, 40))
        ball = (k - 10) ** 2 + (j - 15) ** 2 + (i - 20) ** 2 < 49
        return slicer.util.addVolumeFromArray(np.where(ball, 900, 0).astype(np.int16), name="Ball")

    def _writeResult(self, image, folder):
        import SimpleITK as sitk

        from KneeSegLib.case_record import RECORD_NAME
        from KneeSegLib.io.segmentation_file import SEGMENTATION_NAME, write_segmentation
        from KneeSegLib.measurements.structures import measure_structures
        from KneeSegLib.surfaces import surface_of, write_surface

        femur = KneeSegLib.anatomy.structure("femur_right")
        labels = sitk.Cast(image > 500, sitk.sitkUInt8) * femur.label_value
        boxes = {found.structure: found.box for found in measure_structures(labels)}
        write_segmentation(labels, boxes, folder / SEGMENTATION_NAME)
        write_surface(surface_of(labels, femur), folder / "femur_right.stl", femur)
        record = {
            "statement": KneeSegLib.TRAINING_STATEMENT,
            "files": {"segmentation": SEGMENTATION_NAME},
            "structures": [{"key": femur.key, "surface": {"file": "femur_right.stl"}, "warnings": []}],
            "warnings": [],
            "input": {"notes": []},
            "provenance": {"version": KneeSegLib.__version__},
        }
        (folder / RECORD_NAME).write_text(json.dumps(record), encoding="utf-8")
