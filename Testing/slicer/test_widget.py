"""The module's widget between parameter node, scene and application; the tests that ship run here too."""

from __future__ import annotations

import importlib.util
import unittest

import pytest
import slicer
from slicer_support import mrml, window
from slicer_support.mrml import REPOSITORY


def shippedTests() -> type[unittest.TestCase]:
    path = REPOSITORY / "Testing" / "Python" / "KneeSegWidgetTest.py"
    specification = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module.KneeSegWidgetTest


@pytest.fixture
def kneeSegWindow(scene, monkeypatch):
    opened = window.openWindow(monkeypatch)
    yield opened
    opened.close()


@pytest.fixture
def widget(kneeSegWindow):
    kneeSegWindow.select("KneeSeg")
    return kneeSegWindow.widgetRepresentation().self()


@pytest.mark.parametrize("name", unittest.TestLoader().getTestCaseNames(shippedTests()))
def test_shipped_test_passes(kneeSegWindow, name):
    shippedTests()(name).debug()


def test_the_first_usable_volume_of_the_scene_is_chosen(scene, kneeSegWindow):
    slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "Empty")
    volumeNode = mrml.addVolume()
    kneeSegWindow.select("KneeSeg")
    assert kneeSegWindow.widgetRepresentation().self().ui.volumeSelector.currentNode() is volumeNode


def test_a_scene_with_an_unknown_choice_opens_with_automatic(scene, widget):
    saved = slicer.mrmlScene.GetSingletonNode("KneeSeg", "vtkMRMLScriptedModuleNode")
    slicer.mrmlScene.InvokeEvent(slicer.mrmlScene.StartImportEvent)
    saved.SetParameter("pipeline", "ct-shoulder")
    slicer.mrmlScene.InvokeEvent(slicer.mrmlScene.EndImportEvent)
    assert widget.ui.pipelineComboBox.currentText == "Automatic"
    widget.ui.sideComboBox.currentIndex = 1
    assert widget.logic.getParameterNode().side.name == "right"


def test_what_is_chosen_in_a_loaded_scene_is_shown(scene, widget):
    saved = slicer.mrmlScene.GetSingletonNode("KneeSeg", "vtkMRMLScriptedModuleNode")
    slicer.mrmlScene.InvokeEvent(slicer.mrmlScene.StartImportEvent)
    saved.SetParameter("pipeline", "mr-knee")
    slicer.mrmlScene.InvokeEvent(slicer.mrmlScene.EndImportEvent)
    assert widget.ui.pipelineComboBox.currentText == "MR: knee"


def test_a_closed_module_listens_to_nothing(kneeSegWindow, widget):
    kneeSegWindow.close()
    slicer.mrmlScene.Clear(False)
    assert widget._parameterNode is None
    assert "aboutToQuit()" not in dict(slicer.app.connected)
