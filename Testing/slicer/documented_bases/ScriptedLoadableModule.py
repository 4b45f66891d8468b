"""The base classes of scripted modules as Slicer's developer guide documents them, for tests on the MRML libraries.

``slicer-core`` has the scene and the logics of 3D Slicer but no application. What needs no window behaves as
documented; a module's widget needs the application of ``slicer_support.window`` and raises ``NoGuiError`` without it.
"""

from __future__ import annotations

import os
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
        if getattr(slicer, "app", None) is None:
            raise NoGuiError("A module widget was made, but this is slicer-core: no GUI.")
        super().__init__()  # of a mixin
        self.moduleName = type(self).__name__.removesuffix("Widget")
        self.parent = parent
        self.layout = parent.layout()

    def resourcePath(self, filename):
        return os.path.join(os.path.dirname(slicer.util.modulePath(self.moduleName)), "Resources", filename)

    def setup(self):
        pass


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
