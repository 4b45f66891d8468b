"""The module's ``.ui`` file in real Qt (PySide6, off screen), with stand-ins for the widgets that only Slicer has."""

from __future__ import annotations

import locale
import os

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from PySide6.QtCore import Property, QFile, QObject, QTimer, Signal
from PySide6.QtUiTools import QUiLoader
from PySide6.QtWidgets import QApplication, QComboBox, QPushButton, QWidget

from slicer_support.mrml import REPOSITORY

UI_FILE = REPOSITORY / "KneeSeg" / "Resources" / "UI" / "KneeSeg.ui"


def application() -> QApplication:
    """The application, made without its change of the process's locale: tests of other rooms run here as well."""
    before = locale.setlocale(locale.LC_ALL)
    made = QApplication.instance() or QApplication(["tests"])
    locale.setlocale(locale.LC_ALL, before)
    return made


class CollapsibleButton(QWidget):
    """Stands in for ``ctkCollapsibleButton``: a heading that hides what is below it."""

    HEADING_HEIGHT = 26

    def __init__(self, parent=None):
        super().__init__(parent)
        self._heading = QPushButton(self)
        self._heading.setObjectName(f"{id(self)}_heading")
        self._heading.setStyleSheet(
            "border: none; background: palette(midlight); font-weight: bold; text-align: left; padding-left: 6px;"
        )
        self._text = ""
        self._collapsed = False
        self.setContentsMargins(0, self.HEADING_HEIGHT, 0, 0)

    def resizeEvent(self, event):
        self._heading.setGeometry(0, 0, self.width(), self.HEADING_HEIGHT)

    def _readText(self):
        return self._text

    def _writeText(self, text):
        self._text = text
        self._label()

    def _readCollapsed(self):
        return self._collapsed

    def _writeCollapsed(self, collapsed):
        self._collapsed = collapsed
        self._label()

    def _label(self):
        self._heading.setText(("▸  " if self._collapsed else "▾  ") + self._text)

    def applyCollapsed(self):
        """Hide the contents; to be called when the file is loaded."""
        for child in self.findChildren(QWidget):
            if child is not self._heading:
                child.setVisible(not self._collapsed)
        self.setFixedHeight(self.HEADING_HEIGHT) if self._collapsed else None

    text = Property(str, _readText, _writeText)
    collapsed = Property(bool, _readCollapsed, _writeCollapsed)


class NodeComboBox(QComboBox):
    """Stands in for ``qMRMLNodeComboBox``: holds one node of the scene, or none; a node that is removed is let go."""

    currentNodeChanged = Signal()

    def __init__(self, parent=None):
        super().__init__(parent)
        self._node = None

    def setMRMLScene(self, scene):
        scene.AddObserver(scene.NodeRemovedEvent, self._letGo)

    def currentNode(self):
        return self._node

    def setCurrentNode(self, node):
        if node is not self._node:
            self._node = node
            self.currentNodeChanged.emit()

    def _letGo(self, scene, event):
        if self._node is not None and self._node.GetScene() is None:
            self.setCurrentNode(None)


class MrmlWidget(QWidget):
    """Stands in for ``qMRMLWidget``, which hands the scene to the selectors that the ``.ui`` file connects with it."""

    def setMRMLScene(self, scene):
        for selector in self.findChildren(NodeComboBox):
            selector.setMRMLScene(scene)


class Loader(QUiLoader):
    """Qt's own loader, with the stand-ins where the file asks for widgets of Slicer."""

    def createWidget(self, className, parent=None, name=""):
        standIns = {
            "qMRMLWidget": MrmlWidget,
            "ctkCollapsibleButton": CollapsibleButton,
            "qMRMLNodeComboBox": NodeComboBox,
        }
        if className not in standIns:
            return super().createWidget(className, parent, name)
        widget = standIns[className](parent)
        widget.setObjectName(name)
        widget.setProperty("slicerClass", className)
        return widget


def loadUi() -> QWidget:
    """Load ``KneeSeg.ui``; raises ``RuntimeError`` with Qt's complaint if it does not load."""
    application()
    loader = Loader()
    file = QFile(str(UI_FILE))
    file.open(QFile.OpenModeFlag.ReadOnly)
    widget = loader.load(file)
    if widget is None:
        raise RuntimeError(loader.errorString())
    for collapsible in widget.findChildren(CollapsibleButton):
        if collapsible.property("collapsed"):
            collapsible.applyCollapsed()
    return widget


class PythonQtStyle:
    """A Qt object whose properties are attributes, as in Slicer's Python."""

    def __init__(self, wrapped: QObject) -> None:
        object.__setattr__(self, "wrapped", wrapped)

    def __getattr__(self, name):
        if self.wrapped.metaObject().indexOfProperty(name) >= 0:
            return self.wrapped.property(name)
        return getattr(self.wrapped, name)

    def __setattr__(self, name, value):
        if self.wrapped.metaObject().indexOfProperty(name) < 0:
            raise AttributeError(f"{type(self.wrapped).__name__} has no property {name}")
        self.wrapped.setProperty(name, value)


class Widgets:
    """The named widgets of a loaded file, as ``slicer.util.childWidgetVariables`` gives them."""

    def __init__(self, root: QWidget) -> None:
        for widget in [root, *root.findChildren(QWidget)]:
            if widget.objectName() and not widget.objectName().startswith("qt_"):
                setattr(self, widget.objectName(), PythonQtStyle(widget))


def newTimer() -> QTimer:
    application()
    return QTimer()
