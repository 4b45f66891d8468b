"""The module's panel on the off-screen display, with a process that the test speaks for."""

from __future__ import annotations

import enum
from pathlib import Path

from KneeSegModule.panel import Panel
from KneeSegModule.run import Options, SegmentationRun

from KneeSeg import KneeSegLogic, KneeSegParameterNode
from slicer_support import qt
from slicer_support.runners import FakeRunner


class Logic:
    """The module's logic with a process that the test speaks for."""

    def __init__(self) -> None:
        self.runner = FakeRunner()
        self.problem: Exception | None = None
        self.options: Options | None = None

    def ensurePackages(self, pipeline: str) -> None:
        if self.problem is not None:
            raise self.problem

    def start(self, volumeNode, options) -> SegmentationRun:
        self.options = options
        run = SegmentationRun(volumeNode, options, self.runner)
        run.start()
        return run


class Shown:
    """A panel on the screen of the tests."""

    def __init__(self, folder: Path) -> None:
        self.root = qt.loadUi()
        self.root.show()
        self.ui = qt.Widgets(self.root)
        self.logic = Logic()
        self.timer = qt.newTimer()
        self.folder = folder
        self.panel = Panel(self.ui, self.logic, self.timer, self.answer)
        self.parameters = KneeSegLogic().getParameterNode()
        self.panel.setParameterNode(self.parameters)

    def answer(self, title: str) -> str:
        self.title = title
        return str(self.folder)

    def choose(self, **parameters) -> None:
        for name, value in parameters.items():
            setattr(self.parameters, name, value)
        self.panel.update()

    def segment(self) -> FakeRunner:
        self.ui.segmentButton.click()
        return self.logic.runner

    def fillChoices(self) -> None:
        """Show the parameters in the selectors, as Slicer does when the parameter node is connected with the GUI."""
        for widget in self.root.findChildren(qt.QComboBox):
            name = widget.property("SlicerParameterName")
            value = getattr(self.parameters, name)
            widget.clear()
            if issubclass(KneeSegParameterNode.__annotations__[name], enum.Enum):
                widget.addItem(value.label())
            else:
                widget.addItem("None" if value is None else value.GetName())
