"""The widgets of the module and what happens when they are used."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import slicer

from KneeSegLib import TRAINING_STATEMENT
from KneeSegLib.errors import KneeSegError
from KneeSegLib.pipelines.table import PIPELINES
from KneeSegModule import scene
from KneeSegModule.export import exportSurfaces, findExportProblem, listSurfaceFiles
from KneeSegModule.run import Options, SegmentationRun, State

POLL_MS = 100
ERROR_STYLE = "color: #c0392b;"


class Panel:
    """Keeps the widgets in step with the parameter node and with the run.

    Args:
        ui: the widgets of ``KneeSeg.ui`` by name.
        logic: the module's logic.
        timer: a ``qt.QTimer``; while a run lasts it calls :meth:`onTick`.
        askFolder: asks the user for a folder under a title and returns its path, or an empty text.
    """

    def __init__(self, ui, logic, timer, askFolder: Callable[[str], str]) -> None:
        self.ui = ui
        self.logic = logic
        self.timer = timer
        self.askFolder = askFolder
        self.parameterNode: Any = None
        self.run: SegmentationRun | None = None
        self._volumeId = ""
        self._message = ""
        self._messageIsError = False
        ui.trainingLabel.text = TRAINING_STATEMENT
        ui.segmentButton.clicked.connect(self.onSegmentButton)
        ui.exportButton.clicked.connect(self.onExportButton)
        ui.modelsButton.clicked.connect(self.onModelsButton)
        timer.setInterval(POLL_MS)
        timer.timeout.connect(self.onTick)

    def setParameterNode(self, parameterNode) -> None:
        """Show the given parameter node; None while a scene closes or is loaded: nothing of it may stay on the page."""
        sceneChanges = self.parameterNode is None or parameterNode is None
        self.parameterNode = parameterNode
        if sceneChanges:
            self._showMessage("")
            self._volumeId = self._readVolumeId()
        self.update()

    @property
    def isRunning(self) -> bool:
        return self._findRunning() is not None

    def onSegmentButton(self) -> None:
        running = self._findRunning()
        if running is not None:
            running.cancel()
        else:
            self._start()
        self.update()

    def onTick(self) -> None:
        try:
            if self.run is not None:
                self.run.poll()
        except Exception:
            self.stop()
            self.run = None
            self._showMessage("The segmentation broke off; see the Python console for details.", isError=True)
            raise
        finally:
            self._takeResult()
            if not self.isRunning:
                self.timer.stop()
            self.update()

    def onExportButton(self) -> None:
        segmentationNode = self.parameterNode.segmentation
        surfaceFormat = self.parameterNode.surfaceFormat.name
        folder = self.askFolder("Folder for the surfaces")
        if not folder:
            return
        present = [path for path in listSurfaceFiles(segmentationNode, folder, surfaceFormat).values() if path.exists()]
        if present and not slicer.util.confirmOkCancelDisplay(
            f"{len(present)} of the files are in {folder} already. Replace them?", "Replace files?"
        ):
            return
        try:
            done = exportSurfaces(segmentationNode, folder, surfaceFormat)
        except KneeSegError as error:
            self._showMessage(str(error), isError=True)
        else:
            skipped = f" Skipped, because empty: {', '.join(done.emptySegments)}." if done.emptySegments else ""
            self._showMessage(f"{len(done.files)} surfaces written to {folder}, in mm and LPS.{skipped}")
        self.update()

    def onModelsButton(self) -> None:
        folder = self.askFolder("Folder of your own models")
        if folder:
            self.parameterNode.models = folder

    def stop(self) -> None:
        """End a run at once: the module is closing or the application quits."""
        self.timer.stop()
        if self.run is not None:
            self.run.stop()

    def update(self) -> None:
        """Bring every widget in step."""
        self._followVolume()
        self._updateInputs()
        self._updateSegmentButton()
        self._updateProgress()
        self._updateResult()

    def _findRunning(self) -> SegmentationRun | None:
        return self.run if self.run is not None and not self.run.finished else None

    def _followVolume(self) -> None:
        """Show what belongs to the volume that is chosen now, and nothing of the one before."""
        volumeId = self._readVolumeId()
        if volumeId == self._volumeId:
            return
        self._volumeId = volumeId
        self._showMessage("")
        if self.parameterNode is not None:
            self.parameterNode.segmentation = scene.findLatestResult(self.parameterNode.volume)

    def _readVolumeId(self) -> str:
        volumeNode = self.parameterNode.volume if self.parameterNode is not None else None
        return volumeNode.GetID() if volumeNode is not None else ""

    def _start(self) -> None:
        chosen = self.parameterNode
        chosen.segmentation = None  # a run that is refused must not leave an earlier result beside its sentence
        self._showMessage("")
        try:
            names = {name: getattr(chosen, name).name for name in ("pipeline", "side", "quality", "device", "edge")}
            options = Options(**names, models=chosen.models.strip())
            self.logic.ensurePackages(options.pipeline)
            self.run = self.logic.start(chosen.volume, options)
        except KneeSegError as error:
            self._showMessage(str(error), isError=True)
        else:
            self.timer.start()

    def _takeResult(self) -> None:
        run = self.run
        if run is None or not run.finished:
            return
        if run.state is State.done:
            self._showMessage(f"Found: {', '.join(scene.listNamesWithQuality(run.segmentationNode))}.")
            if self.parameterNode is not None:
                self.parameterNode.segmentation = run.segmentationNode
            if getattr(slicer, "app", None) is not None:
                slicer.util.resetThreeDViews()
        else:
            self._showMessage(str(run.error), isError=run.state is State.failed)
        self.run = None

    def _showMessage(self, message: str, isError: bool = False) -> None:
        self._message = message
        self._messageIsError = isError
        if isError:
            logging.error("KneeSeg: %s", message)

    def _updateInputs(self) -> None:
        self.ui.inputsWidget.enabled = self.parameterNode is not None and not self.isRunning
        if self.parameterNode is not None:
            self.ui.pipelineDescriptionLabel.text = PIPELINES[self.parameterNode.pipeline.name].description

    def _updateSegmentButton(self) -> None:
        button = self.ui.segmentButton
        running = self._findRunning()
        if running is not None:
            cancelling = running.state is State.cancelling
            button.text = "Cancelling…" if cancelling else "Cancel"
            button.enabled = not cancelling
            button.toolTip = (
                "Waiting for the step at work to end."
                if cancelling
                else "Stop the segmentation; nothing is added to the scene."
            )
            return
        problem = scene.findVolumeProblem(self.parameterNode.volume if self.parameterNode is not None else None)
        button.text = "Segment"
        button.enabled = not problem
        button.toolTip = problem or "Segment the volume; the result is a new segmentation, nothing else changes."

    def _updateProgress(self) -> None:
        bar, label = self.ui.progressBar, self.ui.messageLabel
        running = self._findRunning()
        bar.visible = running is not None
        bar.value = round(100 * running.fraction) if running is not None else 0
        label.text = running.message if running is not None else self._message
        label.styleSheet = ERROR_STYLE if self._messageIsError and running is None else ""
        label.visible = bool(label.text)

    def _updateResult(self) -> None:
        segmentationNode = self.parameterNode.segmentation if self.parameterNode is not None else None
        isResult = scene.isResult(segmentationNode)
        warnings = scene.readWarnings(segmentationNode) if isResult else []
        self.ui.warningsLabel.text = "\n".join(f"• {warning}" for warning in warnings)
        self.ui.warningsLabel.visible = bool(warnings)
        self.ui.trainingLabel.visible = isResult
        said = [scene.readEdge(segmentationNode), scene.readStatement(segmentationNode)] if isResult else []
        self.ui.trainingLabel.text = " ".join(filter(None, said)) if isResult else TRAINING_STATEMENT
        problem = findExportProblem(segmentationNode)
        self.ui.exportButton.enabled = not problem
        self.ui.exportButton.toolTip = problem or "Write one file per segment, in mm and LPS, as placed in the scene."
