"""The application around the module's widget, as far as the widget asks for it: stand-ins on real Qt, off screen."""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace

import slicer

from slicer_support import qt
from slicer_support.mrml import REPOSITORY

MODULE_FILE = REPOSITORY / "KneeSeg" / "KneeSeg.py"


class Signals:
    """Stands in for ``slicer.app``: remembers what is connected with its signals."""

    def __init__(self) -> None:
        self.connected: list[tuple[str, object]] = []

    def connect(self, signal, slot) -> None:
        self.connected.append((signal, slot))

    def disconnect(self, signal, slot) -> None:
        self.connected.remove((signal, slot))

    def processEvents(self) -> None:
        qt.application().processEvents()


class ModuleWindow:
    """Stands in for what holds a module's widget: makes it when the module is selected, and enters it."""

    def __init__(self) -> None:
        self.isEntered = False
        self.root = None
        self._widget = None

    def layout(self):
        return SimpleNamespace(addWidget=lambda widget: None)

    def widgetRepresentation(self):
        return SimpleNamespace(self=lambda: self._widget)

    def select(self, name: str) -> None:
        from KneeSeg import KneeSegWidget

        if self._widget is None:
            self._widget = KneeSegWidget(self)
            self._widget.setup()
        self.isEntered = True
        self._widget.enter()

    def loadUI(self, path: str):
        self.root = qt.loadUi()
        self.root.show()
        return qt.PythonQtStyle(self.root)

    def close(self) -> None:
        if self._widget is not None:
            self._widget.cleanup()
            self._widget = None
            self.root.close()


def openWindow(monkeypatch) -> ModuleWindow:
    """Give Slicer an application with one module in it until the test ends; close the window before."""
    window = ModuleWindow()
    qtModule = ModuleType("qt")
    qtModule.QTimer = lambda parent: qt.newTimer()
    monkeypatch.setitem(sys.modules, "qt", qtModule)
    monkeypatch.setattr(slicer, "app", Signals(), raising=False)
    monkeypatch.setattr(slicer.modules, "kneeseg", window, raising=False)
    monkeypatch.setattr(slicer.util, "selectModule", window.select)
    monkeypatch.setattr(slicer.util, "loadUI", window.loadUI)
    monkeypatch.setattr(slicer.util, "childWidgetVariables", lambda uiWidget: qt.Widgets(uiWidget.wrapped))
    monkeypatch.setattr(slicer.util, "modulePath", lambda name: str(MODULE_FILE))
    monkeypatch.setattr(slicer.util, "resetThreeDViews", lambda: None)
    return window
