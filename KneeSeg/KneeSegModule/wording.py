"""Sentences of the command line in the words of the panel: its labels for options, the scene's name for the volume."""

from __future__ import annotations

import re
from pathlib import Path

from KneeSegModule.choices import Choice, Device, Edge, Pipeline, Quality, Side

VOLUME_FILE = "volume.nrrd"
"""The file through which the child process is given the volume."""

LABELS: dict[str, tuple[str, type[Choice]]] = {
    "pipeline": ("Pipeline", Pipeline),
    "side": ("Leg", Side),
    "quality": ("Quality", Quality),
    "device": ("Computed on", Device),
    "edge": ("Bones end", Edge),
}
"""By the command line's option: its label in the panel, and its choices."""

_OPTION = re.compile(rf"--({'|'.join(LABELS)}) ([\w-]+)")
_FOLDER_OPTION = re.compile(r"with --(?:models|nnunet)(?: FOLDER)?")


def useWordsOfPanel(sentence: str, volumeName: str, folder: Path | None = None) -> str:
    """Return ``sentence`` of the child process as the reader of the panel understands it.

    ``--pipeline mr-knee`` becomes ``"MR: knee" under "Pipeline"``, the file that was handed over ``'volumeName'``, and
    what lies in ``folder``, that of the run, "Slicer's temporary folder".
    """
    if folder is not None:
        sentence = re.sub(re.escape(str(folder)) + r"(?:[\\/][\w.-]*\w)*", "Slicer's temporary folder", sentence)
    sentence = re.sub(f"'?{re.escape(VOLUME_FILE)}'?", lambda found: f"'{volumeName}'", sentence)
    sentence = _FOLDER_OPTION.sub('under "Own models" (Advanced)', sentence)
    return _OPTION.sub(_label, sentence)


def _label(option: re.Match[str]) -> str:
    label, choices = LABELS[option[1]]
    if option[2] not in choices.__members__:
        return option[0]
    return f'"{choices[option[2]].label()}" under "{label}"'
