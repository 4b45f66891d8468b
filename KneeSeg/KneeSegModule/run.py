"""One segmentation from a volume node to a segmentation node: started, polled some ten times a second, cancelled."""

from __future__ import annotations

import enum
import json
import logging
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import slicer

from KneeSegLib import errors
from KneeSegLib.pipelines.table import AUTO, NNUNET
from KneeSegModule import scene
from KneeSegModule.choices import Choice, Device, Edge, Pipeline, Quality, Side
from KneeSegModule.dicom_facts import DicomFacts, readDicomFacts
from KneeSegModule.process import ChildProcess, Runner, findPython, makeChildEnvironment
from KneeSegModule.wording import VOLUME_FILE, useWordsOfPanel

GRACE_S = 10.0
"""How long a cancelled process may take to stop by itself (between two slices) before it is ended."""

KILLED_STATUSES = (-9, 128 + 9)
"""Of a process that the system ended for its memory: the second by way of Slicer's Python, which is a launcher."""


@dataclass(frozen=True)
class Options:
    """The options of ``kneeseg segment``, by the names of the command line.

    Attributes:
        models: a folder with networks of the user's; of the pipeline ``nnunet`` the trained folder itself.

    Raises:
        InputError: an unknown choice, or no folder for a pipeline that runs a model of the user's.
    """

    pipeline: str = "auto"
    side: str = "auto"
    quality: str = "standard"
    device: str = "auto"
    models: str = ""
    edge: str = "auto"

    def __post_init__(self) -> None:
        known = {"pipeline": Pipeline, "side": Side, "quality": Quality, "device": Device, "edge": Edge}
        for option, choices in known.items():
            _requireKnown(option, getattr(self, option), choices)
        if self.pipeline == NNUNET and not self.models:
            raise errors.InputError(
                f'"{Pipeline.nnunet.label()}" runs a folder that nnU-Net v2 has trained, and none is chosen; choose it '
                'under "Own models" (Advanced).'
            )

    def arguments(self, facts: DicomFacts) -> list[str]:
        """Return the command line's options, completed by what is known of the volume from DICOM."""
        side = facts.side if self.side == "auto" and facts.modality == "MR" and facts.side else self.side
        values = {"pipeline": self.pipeline, "side": side, "quality": self.quality, "device": self.device}
        values["modality"] = facts.modality or "auto"
        if self.models:
            values["nnunet" if self.pipeline == NNUNET else "models"] = self.models
        if self.edge != "auto":
            values["edge"] = self.edge
        return [argument for name, value in values.items() for argument in (f"--{name}", value)]


class State(enum.Enum):
    running = "running"
    cancelling = "cancelling"
    done = "done"
    cancelled = "cancelled"
    failed = "failed"


class SegmentationRun:
    """A run in a child process. Read ``state``, ``fraction`` and ``message`` after each :meth:`poll`.

    When ``finished``, ``segmentationNode`` holds the new node, or ``error`` says in a sentence why there is none.
    """

    def __init__(
        self,
        volumeNode,
        options: Options,
        runner: Runner | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.volumeNode: Any = volumeNode
        self.options = options
        self.state = State.running
        self.fraction = 0.0
        self.message = "Starting"
        self.error: errors.KneeSegError | None = None
        self.segmentationNode: Any = None
        self._runner = runner if runner is not None else ChildProcess()
        self._clock = clock
        self._folder: Path | None = None
        self._volumeName = ""
        self._grid: tuple[float, ...] = ()
        self._resultFolder: Path | None = None
        self._childError: errors.KneeSegError | None = None
        self._cancelReason = ""
        self._killAt: float | None = None

    @property
    def finished(self) -> bool:
        return self.state in (State.done, State.cancelled, State.failed)

    def start(self) -> None:
        """Hand the volume to a new child process.

        Raises:
            KneeSegError: the volume cannot be used or handed over, or no process can be started; nothing is left.
        """
        problem = scene.findVolumeProblem(self.volumeNode)
        if problem:
            raise errors.InputError(problem)
        self._volumeName = self.volumeNode.GetName()
        facts = readDicomFacts(self.volumeNode)
        if self.options.pipeline == AUTO and facts.modality == "MR" and facts.isNoKnee:
            sentence = (
                f"'{self._volumeName}' is an MR of the {facts.bodyPart.lower()}, as DICOM has it, expected one of the "
                "knee; choose another volume, or --pipeline mr-knee if it does show a knee."
            )
            raise errors.InputError(useWordsOfPanel(sentence, self._volumeName))
        try:
            self._folder = Path(tempfile.mkdtemp(prefix="KneeSeg-", dir=_findTemporaryPath()))
            volumeFile, target = self._folder / VOLUME_FILE, self._folder / "result"
            scene.writeVolume(self.volumeNode, volumeFile)
            self._grid = scene.readGrid(self.volumeNode)
            command = [findPython(), "-m", "KneeSegLib", "segment", str(volumeFile), "-o", str(target)]
            command += [*self.options.arguments(facts), "--progress", "json", "--cancel-on-stdin-close"]
            self._runner.start(command, makeChildEnvironment(), self._folder)
        except OSError as error:
            self._cleanUp()
            raise errors.ResourceError(f"The segmentation process could not be started: {error}.") from error
        except errors.KneeSegError:
            self._cleanUp()
            raise

    def poll(self) -> None:
        """Take what the child has reported since the last poll; adds the result to the scene when it is there."""
        if self.finished:
            return
        for line in self._runner.takeLines():
            self._takeEvent(line)
        if self.state is State.running and self.volumeNode.GetScene() is None:
            self.cancel("The volume was removed from the scene while it was segmented; nothing was added.")
        if self._killAt is not None and self._clock() > self._killAt:
            self._runner.kill()
        exitStatus = self._runner.exitStatus()
        if exitStatus is None or (exitStatus == 0 and slicer.mrmlScene.IsBatchProcessing()):
            return
        for line in self._runner.takeLines():
            self._takeEvent(line)
        self._finish(exitStatus)

    def cancel(self, reason: str = "Cancelled; nothing was added to the scene.") -> None:
        """Ask the child to stop; the run is finished once it has."""
        if self.state is not State.running:
            return
        self.state = State.cancelling
        self.message = "Cancelling"
        self._cancelReason = reason
        self._killAt = self._clock() + GRACE_S
        self._runner.cancel()

    def stop(self, patience_s: float = 2.0) -> None:
        """End the child now and wait for its end: the module is closing or the application quits."""
        if self.finished:
            return
        self.cancel("The module was closed; nothing was added to the scene.")
        deadline = time.monotonic() + patience_s
        while self._runner.exitStatus() is None:
            if time.monotonic() > deadline:
                self._runner.kill()
                break
            time.sleep(0.02)
        self._conclude(State.cancelled, errors.Cancelled(self._cancelReason))

    def _takeEvent(self, line: str) -> None:
        try:
            event = json.loads(line)
            kind = event["event"]
            if kind == "progress" and self.state is State.running:
                self.fraction = min(max(float(event["fraction"]), 0.0), 1.0)
                self.message = str(event["message"])
            elif kind == "result":
                self._resultFolder = Path(event["folder"])
            elif kind == "error":
                sentence = useWordsOfPanel(str(event["message"]), self._volumeName, self._folder)
                self._childError = _findErrorClass(int(event["exit_status"]))(sentence)
        except (ValueError, KeyError, TypeError):
            logging.info("KneeSeg: %s", line)  # some package wrote to standard output

    def _finish(self, exitStatus: int) -> None:
        if self.state is State.cancelling:
            self._conclude(State.cancelled, errors.Cancelled(self._cancelReason))
        elif self._childError is not None:
            self._conclude(State.failed, self._childError)
        elif exitStatus != 0 or self._resultFolder is None:
            self._conclude(State.failed, errors.KneeSegError(self._explainCrash(exitStatus)))
        else:
            self._addResult(self._resultFolder)

    def _addResult(self, folder: Path) -> None:
        if scene.findVolumeProblem(self.volumeNode) or scene.readGrid(self.volumeNode) != self._grid:
            sentence = "The volume was changed while it was segmented and the result no longer fits; segment it again."
            self._conclude(State.failed, errors.InputError(sentence))
            return
        try:
            self.segmentationNode = scene.addResult(folder, self.volumeNode)
        except errors.KneeSegError as error:
            self._conclude(State.failed, error)
        else:
            for warning in scene.readWarnings(self.segmentationNode):
                logging.warning("KneeSeg: %s", warning)
            self.fraction = 1.0
            self.message = "Done"
            self._conclude(State.done)

    def _conclude(self, state: State, error: errors.KneeSegError | None = None) -> None:
        self.state = state
        self.error = error
        if error is not None:
            self.message = str(error)
        self.volumeNode = None  # a node that was removed from the scene may go now
        self._cleanUp()

    def _cleanUp(self) -> None:
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None

    def _explainCrash(self, exitStatus: int) -> str:
        if exitStatus in KILLED_STATUSES:
            return (
                "The system ended the segmentation, most often because memory ran out; close other programs or crop "
                "the volume."
            )
        if exitStatus == 0:
            return "The segmentation ended without a result; try again, and report it if it happens twice."
        written = [line for line in self._runner.lastErrorLines() if line.strip()]
        for line in written:
            logging.info("KneeSeg: %s", line)
        lastLine = f" Its last line of output: {written[-1].strip()}" if written else ""
        return f"The segmentation process broke off unexpectedly (exit status {exitStatus}).{lastLine}"


def _requireKnown(option: str, name: str, known: type[Choice]) -> None:
    if name not in known.__members__:
        raise errors.InputError(f"There is no {option} called {name!r}; choose one of {', '.join(known.__members__)}.")


def _findErrorClass(exitStatus: int) -> type[errors.KneeSegError]:
    """Return the class of error that the child reported by its exit status, so that a script can tell them apart."""
    for error in errors.KneeSegError.__subclasses__():
        if error.exit_status == exitStatus:
            return error
    return errors.KneeSegError


def _findTemporaryPath() -> str | None:
    application = getattr(slicer, "app", None)
    return application.temporaryPath if application is not None else None
