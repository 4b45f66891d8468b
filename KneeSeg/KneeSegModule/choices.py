"""What the user chooses between. A member's name is what the command line calls it, its label what the panel shows."""

from __future__ import annotations

import enum

from KneeSegLib.pipelines.table import DEVICE_CHOICES, PIPELINES, QUALITIES, SIDE_CHOICES

_SIDE_LABELS = {"auto": "Automatic", "right": "Right", "left": "Left", "both": "Both"}
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


Pipeline = Choice("Pipeline", {name: pipeline.title for name, pipeline in PIPELINES.items()})
Side = Choice("Side", {name: _SIDE_LABELS[name] for name in SIDE_CHOICES})
Quality = Choice("Quality", {name: quality.title for name, quality in QUALITIES.items()})
Device = Choice("Device", {name: _DEVICE_LABELS[name] for name in DEVICE_CHOICES})
SurfaceFormat = Choice("SurfaceFormat", {"stl": "STL", "ply": "PLY", "obj": "OBJ"})
