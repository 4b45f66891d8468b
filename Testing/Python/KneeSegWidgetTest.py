"""The module in a running Slicer: what only the real widgets can show. Started by ctest, see CMakeLists.txt."""

import unittest

import numpy as np
import slicer


class KneeSegWidgetTest(unittest.TestCase):
    def setUp(self):
        slicer.mrmlScene.Clear()
        slicer.util.selectModule("KneeSeg")
        self.widget = slicer.modules.kneeseg.widgetRepresentation().self()
        self.widget.initializeParameterNode()
        self.ui = self.widget.ui

    def addVolume(self):
        volumeNode = slicer.util.addVolumeFromArray(np.zeros((10, 20, 20), np.int16), name="Leg CT")
        self.ui.volumeSelector.setCurrentNode(volumeNode)
        return volumeNode

    def test_disabledButtonSaysWhy(self):
        self.ui.volumeSelector.setCurrentNode(None)
        self.assertFalse(self.ui.segmentButton.enabled)
        self.assertEqual(self.ui.segmentButton.toolTip, "Choose a CT or MR volume.")

    def test_chosenVolumeEnablesTheButton(self):
        volumeNode = self.addVolume()
        self.assertIs(self.widget.logic.getParameterNode().volume, volumeNode)
        self.assertTrue(self.ui.segmentButton.enabled)

    def test_comboBoxesShowLabelsAndSetParameters(self):
        self.assertEqual(self.ui.pipelineComboBox.itemText(0), "Automatic")
        self.ui.sideComboBox.setCurrentText("Left")
        self.assertEqual(self.widget.logic.getParameterNode().side.name, "left")

    def test_closedSceneLeavesAWorkingPanel(self):
        self.addVolume()
        slicer.mrmlScene.Clear()
        self.assertFalse(self.ui.segmentButton.enabled)
        self.assertFalse(self.ui.exportButton.enabled)
        self.assertEqual(self.ui.messageLabel.text + self.ui.warningsLabel.text, "")
        self.addVolume()
        self.assertTrue(self.ui.segmentButton.enabled)

    def test_unknownChoiceOfASavedSceneFallsBackToAutomatic(self):
        self.widget.setParameterNode(None)
        saved = slicer.mrmlScene.GetSingletonNode("KneeSeg", "vtkMRMLScriptedModuleNode")
        saved.SetParameter("pipeline", "of another version")
        self.widget.enter()
        self.assertEqual(self.ui.pipelineComboBox.currentText, "Automatic")

    def test_terminologyIsOffered(self):
        loaded = []
        slicer.modules.terminologies.logic().GetLoadedTerminologyNames(loaded)
        self.assertIn("KneeSeg", loaded)
