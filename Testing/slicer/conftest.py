"""Fixtures of the tests of the Slicer module, which run on the real MRML libraries of slicer-core."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))

from slicer_support import mrml

mrml.addPaths()


@pytest.fixture(scope="session")
def application(tmp_path_factory):
    """The application logic, with ``slicer.mrmlScene`` and ``slicer.modules``."""
    return mrml.startScene(tmp_path_factory.mktemp("scene"))


@pytest.fixture
def scene(application):
    """An empty scene."""
    import slicer

    slicer.mrmlScene.Clear(True)
    slicer.mrmlScene.SetUndoOff()
    yield slicer.mrmlScene
    slicer.mrmlScene.Clear(True)


@pytest.fixture
def volumeNode(scene):
    """An oblique CT-like volume with two balls of bone."""
    return mrml.addVolume()


@pytest.fixture(scope="session")
def resultFolder(application, tmp_path_factory):
    """What a run on :func:`volumeNode` leaves behind."""
    import slicer
    from KneeSegModule.scene import writeVolume
    from slicer_support.results import saveResult

    folder = tmp_path_factory.mktemp("run")
    node = mrml.addVolume()
    writeVolume(node, folder / "volume.nrrd")
    slicer.mrmlScene.RemoveNode(node)
    saveResult(folder / "volume.nrrd", folder / "result", warnings=("The femur is cut by the edge of the scan.",))
    return folder / "result"
