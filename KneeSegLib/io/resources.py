"""Where the files that come with KneeSeg lie: network bundles and the terminology.

They have three homes: ``Resources/`` beside the package in a checkout, and ``KneeSegLib/Resources/`` inside the package
in an installed wheel and in Slicer's extension tree. The variable ``KNEESEG_RESOURCES`` names another folder.
"""

from __future__ import annotations

import os
from pathlib import Path

from KneeSegLib.errors import ModelError

OVERRIDE = "KNEESEG_RESOURCES"


def resources_folder() -> Path:
    """Return the folder that holds ``Models`` and ``Terminology``.

    Raises:
        ModelError: there is none; the message names the places that were looked at.
    """
    override = os.environ.get(OVERRIDE)
    if override:
        folder = Path(override).expanduser()
        if not _holds_resources(folder):
            raise ModelError(
                f"{OVERRIDE} names {folder}, but that is not a folder with Models or Terminology in it; "
                "correct the variable or remove it."
            )
        return folder.resolve()
    package = Path(__file__).resolve().parents[1]
    homes = (package / "Resources", package.parent / "Resources")
    for home in homes:
        if _holds_resources(home):
            return home
    raise ModelError(
        f"The models and terminology of KneeSeg were expected in {homes[0]} or {homes[1]} and are in neither; "
        f"install KneeSeg again or set {OVERRIDE} to the folder that has them."
    )


def models_folder() -> Path:
    """Return the folder with one sub-folder per network bundle; raises ``ModelError`` if it is missing."""
    return _existing(resources_folder() / "Models", "models")


def shape_models_file() -> Path:
    """Return the shape models of the knee, ``ShapeModels/knee.safetensors``; raises ``ModelError`` if missing."""
    return _existing(resources_folder() / "ShapeModels" / "knee.safetensors", "shape models")


def samples_folder() -> Path:
    """Return the folder with prepared subjects to generate a case from; raises ``ModelError`` if it is missing."""
    return _existing(resources_folder() / "Samples", "sample subjects")


def terminology_file() -> Path:
    """Return the terminology that Slicer loads, ``KneeSeg.term.json``; raises ``ModelError`` if it is missing."""
    return _existing(resources_folder() / "Terminology" / "KneeSeg.term.json", "terminology")


def label_mappings_folder() -> Path:
    """Return the folder with label mappings of published networks and data sets; raises ``ModelError`` if missing."""
    return _existing(resources_folder() / "LabelMappings", "label mappings")


def _holds_resources(folder: Path) -> bool:
    return (folder / "Models").is_dir() or (folder / "Terminology").is_dir()


def _existing(path: Path, what: str) -> Path:
    if not path.exists():
        raise ModelError(f"The {what} of KneeSeg should be at {path}, but nothing is there; install KneeSeg again.")
    return path
