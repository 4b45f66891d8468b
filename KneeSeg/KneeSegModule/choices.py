"""What the user chooses between. A member's name is what the command line calls it, its label what the panel shows."""

from __future__ import annotations

import enum

from KneeSegLib.pipelines.table import DEVICE_CHOICES, EDGES, PIPELINES, QUALITIES, SIDE_CHOICES

_SIDE_LABELS = {"auto": "Automatic", "right": "Right", "left": "Left", "both": "Both"}
_EDGE_LABELS = {
    "cortex": "Where the cortex ends",
    "half-maximum": "At half-maximum (CT)",
    "marrow": "Where marrow ends (MR)",
}
_DEVICE_LABELS = {
    "auto": "Automatic",
    "cpu": "Processor (CPU)",
    "cuda": "NVIDIA graphics card",
    "mps": "Apple graphics processor",
}


class Choice(enum.Enum):
    """A choice whose value is its label; ``label`` is what Slicer asks for when it fills a combo box."""

    def label(self) -> str:
        return self.value


class Pipeline(Choice):
    _ignore_ = "members key pipeline"
    members = vars()
    for key, pipeline in PIPELINES.items():
        members[key] = pipeline.label


class Side(Choice):
    _ignore_ = "members key"
    members = vars()
    for key in SIDE_CHOICES:
        members[key] = _SIDE_LABELS[key]


class Quality(Choice):
    _ignore_ = "members key quality"
    members = vars()
    for key, quality in QUALITIES.items():
        members[key] = quality.title


class Edge(Choice):
    """Where bones end; ``auto`` leaves it to the pipeline."""

    _ignore_ = "members key"
    members = vars()
    members["auto"] = "Automatic"
    for key in EDGES:
        members[key] = _EDGE_LABELS[key]


class Device(Choice):
    _ignore_ = "members key"
    members = vars()
    for key in DEVICE_CHOICES:
        members[key] = _DEVICE_LABELS[key]


class SurfaceFormat(Choice):
    stl = "STL"
    ply = "PLY"
    obj = "OBJ"
