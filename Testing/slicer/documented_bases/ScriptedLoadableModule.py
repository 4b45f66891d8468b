"""The base classes of scripted modules as Slicer's developer guide documents them, for tests on the MRML libraries.

``slicer-core`` has the scene and the logics of 3D Slicer but no application. What needs no window behaves as
documented; what needs one raises ``NoGuiError``, so that nothing can seem to work here that was never tried.
"""

from __future__ import annotations

import unittest

import slicer


class NoGuiError(RuntimeError):
    """A widget was needed, and there is no application."""


class ScriptedLoadableModule:
    def __init__(self, parent):
        self.parent = parent
        self.moduleName = type(self).__name__


class ScriptedLoadableModuleWidget:
    def __init__(self, parent=None):
        raise NoGuiError("A module widget was made, but this is slicer-core: no GUI.")


class ScriptedLoadableModuleLogic:
    def __init__(self, parent=None):
        self.moduleName = type(self).__name__.removesuffix("Logic")

    def getParameterNode(self):
        node = slicer.mrmlScene.GetSingletonNode(self.moduleName, "vtkMRMLScriptedModuleNode")
        if node is None:
            node = slicer.mrmlScene.CreateNodeByClass("vtkMRMLScriptedModuleNode")
            node.UnRegister(None)
            node.SetSingletonTag(self.moduleName)
            node.SetModuleName(self.moduleName)
            node = slicer.mrmlScene.AddNode(node)
        return node


class ScriptedLoadableModuleTest(unittest.TestCase):
    def __init__(self, *arguments, **keywords):
        super().__init__(*arguments, **keywords)
        self.messageDelay = 0

    def delayDisplay(self, message, requestedDelay=None, msec=None):
        print(message)
