"""What a folder of cases holds: which image belongs to which labels, and to whom."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

ENDINGS = (".seg.nrrd", ".nii.gz", ".nii", ".nrrd", ".nhdr", ".mha", ".mhd", ".hdr", ".gipl")
"""Of image and label files; the second file of a pair (.raw, .img, .zraw) is not listed."""


@dataclass(frozen=True)
class LabelFile:
    """A label map, or the mask of one structure.

    Attributes:
        mask_of: what the mask shows, by its file's name; empty for a label map.
        mapping: name or file of its label mapping; empty where nothing says one.
    """

    path: Path
    mask_of: str = ""
    mapping: str = ""


@dataclass(frozen=True)
class CaseFiles:
    """One case: an image and the files that its labels are in.

    Attributes:
        subject: whom it shows; cases of one subject stay together.
        group: ``train``, ``validation`` or ``test`` where the folder says it; empty where it leaves it open.
    """

    name: str
    subject: str
    image: Path
    labels: tuple[LabelFile, ...]
    group: str = ""


@dataclass(frozen=True)
class CaseFolder:
    """The cases of a folder.

    Attributes:
        layout: what it is laid out like, for messages.
        names: of its labels by value, where it says them (``dataset.json``).
        title, licence: of a published collection; empty for a folder of one's own.
        modality: ``CT`` or ``MR`` where the layout says it.
        placeless_labels: its label maps have no position; they lie on the image's grid turned to LPS.
        notes: what was left out.
    """

    path: Path
    layout: str
    cases: tuple[CaseFiles, ...]
    names: Mapping[int, str] = field(default_factory=lambda: MappingProxyType({}))
    title: str = ""
    licence: str = ""
    modality: str = ""
    placeless_labels: bool = False
    notes: tuple[str, ...] = ()


def strip_ending(name: str) -> str | None:
    """Return a file's name without the ending of its format; None if it is no image's or label map's."""
    for ending in ENDINGS:
        if name.lower().endswith(ending) and len(name) > len(ending):
            return name[: -len(ending)]
    return None


def list_named(folder: Path) -> dict[str, Path]:
    """Return the image files and sub-folders of a folder by their names without ending; hidden ones are left out."""
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.name.startswith("."):
            continue
        name = path.name if path.is_dir() else strip_ending(path.name)
        if name:
            found[name] = path
    return found
