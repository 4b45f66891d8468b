"""The layouts of published collections, as YAML files in ``collections/``: where images and labels lie.

A file says::

    title: SKI10
    modality: MR
    licence: ...
    source: https://...
    checked: what of this was compared with the collection's own files
    images: "image-{case}.mhd"
    labels:
      - {files: "labels-{case}.mhd", mapping: ski10}

``{case}`` is what image and labels have in common; without it the folder is one case. ``{structure}`` in ``files``
makes each file the mask of what it is called. ``mapping`` is the name of a label mapping
(:mod:`KneeSegLib.io.label_mapping`). A folder of numbered pictures is a mask of all bones, which are named by size and
position.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from KneeSegLib.errors import InputError
from KneeSegLib.training.own_cases.files import CaseFiles, CaseFolder, LabelFile

FOLDER = Path(__file__).parent / "collections"
_FIELDS = ("title", "modality", "licence", "source", "checked", "images", "labels", "test_images", "placeless_labels")


@dataclass(frozen=True)
class LabelPattern:
    """Where labels lie, and the mapping of their values or names."""

    files: str
    mapping: str


@dataclass(frozen=True)
class Collection:
    """A published collection, as its file describes it; ``test_images`` marks cases that it keeps for testing."""

    name: str
    title: str
    modality: str
    licence: str
    source: str
    images: tuple[str, ...]
    labels: tuple[LabelPattern, ...]
    test_images: str = ""
    placeless_labels: bool = False
    checked: str = ""


def list_collections() -> list[str]:
    """Return the names of the collections whose layouts come with KneeSeg."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def read_collection(name_or_path: str | Path) -> Collection:
    """Return a collection by its name, or by a file of one's own.

    Raises:
        InputError: no such collection, or a field is missing or unknown.
    """
    import yaml

    path = Path(name_or_path)
    if not path.is_file():
        path = FOLDER / f"{name_or_path}.yaml"
    if not path.is_file():
        raise InputError(
            f"There is no layout {str(name_or_path)!r}; give a YAML file or one of {', '.join(list_collections())}."
        )
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    if not isinstance(content, dict):
        raise InputError(f"The layout {path.name} holds no table of entries; see those that come with KneeSeg.")
    strange = sorted(set(content) - set(_FIELDS))
    missing = [field for field in ("title", "modality", "images", "labels") if field not in content]
    if strange or missing:
        said = f"an unknown entry {strange[0]!r}" if strange else f"no entry {missing[0]!r}"
        raise InputError(f"The layout {path.name} has {said}; known are {', '.join(_FIELDS)}.")
    return _parse(path, content)


def find_collection_cases(folder: Path, collection: Collection) -> CaseFolder:
    """Return the cases of a folder that is laid out as a collection.

    Raises:
        InputError: no image lies where the collection has them.
    """
    images: dict[str, Path] = {}
    for pattern in collection.images:
        for path, found in _match(folder, pattern):
            images.setdefault(found.get("case", folder.name), path)
    if not images:
        raise InputError(
            f"{folder} is not laid out as {collection.title}: nothing lies at {' or '.join(collection.images)}; give "
            "the folder that holds these, or another --layout."
        )
    labels: dict[str, list[LabelFile]] = {}
    for pattern in collection.labels:
        for path, found in _match(folder, pattern.files):
            file = LabelFile(path, found.get("structure", ""), pattern.mapping)
            labels.setdefault(found.get("case", folder.name), []).append(file)
    kept_for_test = {found["case"] for _, found in _match(folder, collection.test_images)}
    cases = [
        CaseFiles(name, name, path, tuple(labels[name]), "test" if name in kept_for_test else "")
        for name, path in sorted(images.items())
        if name in labels
    ]
    without = [name for name in sorted(images) if name not in labels]
    notes = (f"Images without labels were left out: {len(without)}, the first is {without[0]}.",) if without else ()
    return CaseFolder(
        folder,
        collection.title,
        tuple(cases),
        title=collection.title,
        licence=collection.licence,
        modality=collection.modality,
        placeless_labels=collection.placeless_labels,
        notes=notes,
    )


def _parse(path: Path, content: dict[str, Any]) -> Collection:
    images = content["images"] if isinstance(content["images"], list) else [content["images"]]
    try:
        labels = tuple(LabelPattern(str(entry["files"]), str(entry.get("mapping", ""))) for entry in content["labels"])
    except (TypeError, KeyError, AttributeError):
        raise InputError(
            f"The labels of the layout {path.name} are {content['labels']!r}, expected a list of files and mapping."
        ) from None
    return Collection(
        path.stem,
        str(content["title"]),
        str(content["modality"]),
        str(content.get("licence", "")),
        str(content.get("source", "")),
        tuple(map(str, images)),
        labels,
        str(content.get("test_images", "")),
        bool(content.get("placeless_labels", False)),
        str(content.get("checked", "")),
    )


def _match(folder: Path, pattern: str) -> list[tuple[Path, dict[str, str]]]:
    """Return the paths below a folder that fit a pattern, each with what stands for its names in braces."""
    if not pattern:
        return []
    pieces = re.split(r"(\{\w+\})", pattern)
    expression = "".join(
        f"(?P<{piece[1:-1]}>[^/]+?)" if piece.startswith("{") else re.escape(piece) for piece in pieces
    )
    found = []
    for path in sorted(folder.glob(re.sub(r"\{\w+\}", "*", pattern))):
        fits = re.fullmatch(expression, path.relative_to(folder).as_posix())
        if fits and not path.name.startswith("."):
            found.append((path, fits.groupdict()))
    return found
