"""Mapping files: what the labels of other networks and data sets stand for in KneeSeg's anatomy.

A mapping file is JSON::

    {
      "format": "KneeSeg label mapping",
      "format_version": 1,
      "title": "My knees",
      "modality": "MR",
      "datasets": ["Dataset042_MyKnees"],
      "labels": {
        "1": "femur_right",
        "2": "tibia",
        "medial tibial cartilage": "tibial_cartilage"
      },
      "left_out": {"7": "skin"}
    }

``labels`` is keyed by label value or by the label's name where the data name their labels (``dataset.json`` of nnU-Net,
segments of 3D Slicer); upper case, spaces, hyphens and underscores in names do not matter. Each stands for a structure
with its side (``femur_right``) or, where the data do not tell sides, without (``femur``). Several labels may stand for
one structure. ``left_out`` says in words what the labels are that KneeSeg has no name for. ``orientation`` says how the
images lay in memory that a network was trained on, such as ``"RAS"``: towards where the indices i, j, k grow; without
it an image is given to it as its file holds it. Only ``format``, ``format_version`` and ``labels`` are needed.
``license`` and ``source`` say where such data are had.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from types import MappingProxyType
from typing import Any

from KneeSegLib.anatomy import STRUCTURES, TISSUES, Side, Structure, structure
from KneeSegLib.errors import InputError
from KneeSegLib.geometry.orientation import direction_of_letters
from KneeSegLib.io.documents import UnreadableDocument, read_json
from KneeSegLib.io.resources import label_mappings_folder

MAPPING_FORMAT = "KneeSeg label mapping"
MAPPING_FORMAT_VERSION = 1

MAPPING_NAME = "label_mapping.json"
"""A mapping of this name in a model's folder, or in that of its data set, is taken."""

MAPPING_FIELD = "kneeseg_label_mapping"
"""Field of nnU-Net's ``dataset.json`` that may hold a mapping: nnU-Net copies the file to what it trains."""

_MOST_DIGITS = 9
"""Of a label value; Python reads none of thousands of digits."""

_FIELDS = {
    "format",
    "format_version",
    "title",
    "modality",
    "datasets",
    "labels",
    "left_out",
    "license",
    "source",
    "orientation",
}


@dataclass(frozen=True)
class Target:
    """What a label stands for: a tissue's key of :mod:`KneeSegLib.anatomy`, and the side where the label tells it."""

    tissue: str
    side: Side | None

    def on(self, side: Side) -> Structure:
        """The structure; ``side`` counts where the label tells none."""
        return structure(self.tissue, self.side or side)


@dataclass(frozen=True)
class LabelMapping:
    """A mapping file as read.

    Attributes:
        source: file or name, for messages.
        labels: by label value (``int``) or by the label's name as :func:`plain_name` writes it.
        left_out: the same for labels without a structure, with what they are.
        datasets: folder names of the nnU-Net data sets that it is for.
        orientation: of the images that a network was trained on, such as ``"RAS"``; empty for that of the file.
    """

    source: str
    labels: Mapping[int | str, Target]
    left_out: Mapping[int | str, str] = field(default_factory=lambda: MappingProxyType({}))
    title: str = ""
    modality: str | None = None
    datasets: tuple[str, ...] = ()
    orientation: str = ""

    def target_of(self, value: int, name: str = "") -> Target | None:
        """What the label with this value, called ``name``, stands for; None where the mapping names no structure."""
        return self.labels.get(value) or self.labels.get(plain_name(name))

    def resolve(self, names: Mapping[int, str]) -> tuple[dict[int, Target], dict[int, str]]:
        """Return what each label of a data set stands for, and by value what the labels left out are called.

        Args:
            names: the data set's labels by value, without background; a name may be empty.

        Raises:
            InputError: none of the labels is in the mapping, or it lists values that the data set does not have.
        """
        strange = sorted(value for value in self.labels if isinstance(value, int) and value not in names)
        known = ", ".join(f"{value} {name}".strip() for value, name in names.items())
        if strange:
            raise InputError(
                f"The label mapping {self.source} names the label {strange[0]}, but the labels are {known}; "
                "choose the mapping that belongs to them."
            )
        targets = {value: target for value, name in names.items() if (target := self.target_of(value, name))}
        if not targets:
            raise InputError(
                f"The label mapping {self.source} names none of the labels {known}; choose the mapping that belongs "
                "to them."
            )
        rest = {value: self._call(value, name) for value, name in names.items() if value not in targets}
        return targets, rest

    def structures(self, values: Iterable[int], side: Side) -> dict[int, Structure]:
        """Return the structures of a label map whose labels are numbers, as :func:`read_label_map` takes them.

        Args:
            values: those to look up; what the mapping leaves out is not in the result.
            side: of labels that tell none.
        """
        return {value: target.on(side) for value in values if (target := self.labels.get(value))}

    def _call(self, value: int, name: str) -> str:
        return self.left_out.get(value) or self.left_out.get(plain_name(name)) or name or f"label {value}"


def read_label_mapping(name: str | Path) -> LabelMapping:
    """Return a mapping by its file, or by the name of one that comes with KneeSeg.

    Raises:
        InputError: no such file or name, no mapping file, or an entry that names no structure.
    """
    shipped = shipped_mappings()
    if str(name) in shipped:
        return _parse(shipped[str(name)], str(name))
    path = Path(name)
    if not path.is_file():
        raise InputError(
            f"There is no label mapping {name}; give a mapping file, or one of those that come with KneeSeg: "
            f"{', '.join(shipped)}."
        )
    return _parse(path, path.name)


def find_label_mapping(dataset: str) -> LabelMapping | None:
    """Return the mapping that comes with KneeSeg for an nnU-Net data set, by the name of its folder; None if none."""
    for name, path in shipped_mappings().items():
        mapping = _parse(path, name)
        if plain_name(dataset) in map(plain_name, mapping.datasets):
            return mapping
    return None


def shipped_mappings() -> dict[str, Path]:
    """Return the mapping files that come with KneeSeg by name, in alphabetical order."""
    return {path.stem: path for path in sorted(label_mappings_folder().glob("*.json"))}


def map_own_names(names: Mapping[int, str], source: str) -> LabelMapping | None:
    """Return a mapping of labels that are called as KneeSeg's own structures are; None if not one of them is."""
    by_name = {plain_name(word): Target(entry.tissue.key, entry.side) for entry in STRUCTURES
               for word in (entry.key, entry.name)}  # fmt: skip
    by_name |= {plain_name(word): Target(tissue.key, None) for tissue in TISSUES for word in (tissue.key, tissue.name)}
    found: dict[int | str, Target] = {
        value: by_name[plain_name(name)] for value, name in names.items() if plain_name(name) in by_name
    }
    return LabelMapping(source, found) if found else None


def plain_name(name: str) -> str:
    """Return a label's name as names are compared: lower case, words apart by one space."""
    return re.sub(r"[\s_-]+", " ", name).strip().casefold()


def describe_mapping(labels: Mapping[str, str], **fields: Any) -> dict[str, Any]:
    """Return the content of a mapping file, ready for JSON.

    Args:
        labels: keys of structures or tissues, by label value or name.
        fields: the other fields of the file.
    """
    return {"format": MAPPING_FORMAT, "format_version": MAPPING_FORMAT_VERSION, **fields, "labels": dict(labels)}


def _parse(path: Path, source: str) -> LabelMapping:
    try:
        content = read_json(path)
    except UnreadableDocument as error:
        raise InputError(
            f"The label mapping {source} cannot be read as JSON (it {error}); see docs/nnunet.md for how one looks."
        ) from None
    return parse_label_mapping(content, source)


def parse_label_mapping(content: Any, source: str) -> LabelMapping:
    """Return the mapping that the content of a mapping file describes.

    Args:
        source: where it is from, for messages.

    Raises:
        InputError: it is no mapping, or an entry names no structure.
    """
    _check_fields(content, source)
    labels = {_key(key): _target(str(key), value, source) for key, value in content["labels"].items()}
    left_out = {_key(key): str(value) for key, value in content.get("left_out", {}).items()}
    return LabelMapping(
        source,
        MappingProxyType(labels),
        MappingProxyType(left_out),
        content.get("title", ""),
        content.get("modality"),
        tuple(content.get("datasets", ())),
        content.get("orientation", ""),
    )


def _check_fields(content: Any, source: str) -> None:
    if not isinstance(content, dict) or content.get("format") != MAPPING_FORMAT:
        raise InputError(
            f'{source} is no label mapping: it does not say "format": "{MAPPING_FORMAT}"; see docs/nnunet.md for how '
            "one looks."
        )
    if content.get("format_version") != MAPPING_FORMAT_VERSION:
        raise InputError(
            f"The label mapping {source} has format version {content.get('format_version')}, expected "
            f"{MAPPING_FORMAT_VERSION}; write it anew or use another version of KneeSeg."
        )
    if strange := sorted(set(content) - _FIELDS):
        raise InputError(
            f'The label mapping {source} has a field "{strange[0]}" that nobody knows; known are '
            f"{', '.join(sorted(_FIELDS))}."
        )
    for name in ("labels", "left_out"):
        if not isinstance(content.get(name, {}), dict):
            raise InputError(f'"{name}" of the label mapping {source} is no table of labels; see docs/nnunet.md.')
    for name in ("title", "license", "source"):
        if not isinstance(content.get(name, ""), str):
            raise InputError(f'"{name}" of the label mapping {source} is no text; see docs/nnunet.md.')
    datasets = content.get("datasets", [])
    if not (isinstance(datasets, list) and all(isinstance(entry, str) for entry in datasets)):
        raise InputError(f'"datasets" of the label mapping {source} is no list of names; see docs/nnunet.md.')
    if content.get("modality") not in (None, "CT", "MR"):
        raise InputError(f'"modality" of the label mapping {source} is {content["modality"]!r}, expected CT or MR.')
    try:
        direction_of_letters(str(content.get("orientation", "LPS")))
    except ValueError as error:
        raise InputError(f'"orientation" of the label mapping {source} is of no use: {error}') from None
    if not content.get("labels"):
        raise InputError(f'The label mapping {source} has no "labels"; name at least one, such as "1": "femur_right".')


def _key(key: str) -> int | str:
    return int(key) if key.strip().isdecimal() and len(key) <= _MOST_DIGITS else plain_name(key)


def _target(label: str, meant: Any, source: str) -> Target:
    for entry in STRUCTURES:
        if meant == entry.key:
            return Target(entry.tissue.key, entry.side)
    tissues = [tissue.key for tissue in TISSUES]
    if meant in tissues:
        return Target(meant, None)
    close = get_close_matches(str(meant), [*(entry.key for entry in STRUCTURES), *tissues], n=2, cutoff=0.4)
    raise InputError(
        f'The label mapping {source} says that "{label[:60]}" is "{str(meant)[:60]}", which is no structure of '
        "KneeSeg; " + (f"did you mean {' or '.join(close)}?" if close else 'put it into "left_out".')
    )
