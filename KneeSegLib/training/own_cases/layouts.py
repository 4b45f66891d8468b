"""Find the cases of a folder by its layout: nnU-Net, Medical Segmentation Decathlon, or ``images/`` and ``labels/``."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from KneeSegLib.errors import InputError
from KneeSegLib.io.documents import UnreadableDocument, read_document
from KneeSegLib.training.own_cases.collections_of_others import Collection, find_collection_cases
from KneeSegLib.training.own_cases.files import CaseFiles, CaseFolder, LabelFile, list_named, strip_ending

TABLE = "cases.csv"
"""Beside the folders: columns ``case``, ``subject`` and, if wanted, ``split`` (train, validation, test)."""
GROUPS = ("train", "validation", "test")
_FIRST_CHANNEL = "_0000"
_LAYOUTS = (
    "nnU-Net (dataset.json, imagesTr, labelsTr), Medical Segmentation Decathlon (dataset.json with a list "
    '"training"), or images/ and labels/ with the same file names'
)


def find_cases(folder: str | Path, collection: Collection | None = None) -> CaseFolder:
    """Return the cases that a folder holds.

    Args:
        collection: the layout of a published collection; without it the layout is recognised.

    Raises:
        InputError: no such folder, an unknown layout, no cases, labels without an image, or one subject in two splits.
    """
    folder = Path(folder).expanduser()
    if not folder.is_dir():
        raise InputError(f"There is no folder of cases {folder}; check the spelling.")
    if collection is not None:
        found = find_collection_cases(folder, collection)
    elif (folder / "dataset.json").is_file():
        found = _read_dataset(folder)
    elif (folder / "images").is_dir() and (folder / "labels").is_dir():
        found = _read_plain(folder)
    else:
        there = ", ".join(sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))[:5])
        raise InputError(
            f"The layout of {folder} is not known: it holds {there or 'nothing'}, expected {_LAYOUTS}; name a "
            "published collection with --layout."
        )
    if not found.cases:
        raise InputError(f"The folder {folder} ({found.layout}) holds no case with an image and labels; add some.")
    found = _take_table(found)
    require_separate_subjects(found.cases)
    return found


def require_separate_subjects(cases: tuple[CaseFiles, ...]) -> None:
    """Raise an InputError if the folder puts cases of one subject into different splits."""
    seen: dict[str, CaseFiles] = {}
    for case in cases:
        other = seen.setdefault(case.subject, case)
        if case.group != other.group:
            raise InputError(
                f"The subject {case.subject} is in two splits: {other.name} in {other.group or 'none'} and {case.name} "
                f"in {case.group or 'none'}; keep all cases of a subject in one."
            )


def _read_dataset(folder: Path) -> CaseFolder:
    try:
        content = json.loads((folder / "dataset.json").read_text(encoding="utf-8"))
        labels = content["labels"]
        if not isinstance(labels, dict):
            raise TypeError
    except (OSError, ValueError, KeyError, TypeError):
        raise InputError(
            f"{folder / 'dataset.json'} has no table of labels that can be read, expected the file of an nnU-Net or "
            "Decathlon data set; write it anew."
        ) from None
    names = _read_label_names(labels, folder)
    if isinstance(content.get("training"), list):
        return _read_decathlon(folder, content["training"], names)
    return _read_nnunet(folder, names)


def _read_label_names(labels: Mapping[str, Any], folder: Path) -> dict[int, str]:
    """Names by value, from either way of writing them; without background."""
    names: dict[int, str] = {}
    for key, value in labels.items():
        pair = (int(key), str(value)) if str(key).isdecimal() else (value, str(key))
        if not isinstance(pair[0], int):
            raise InputError(
                f'The label "{key}" of {folder / "dataset.json"} stands for {value!r}, expected one number; regions '
                "of several labels are not read, give each label its own."
            )
        if pair[0] != 0:
            names[pair[0]] = pair[1]
    return names


def _read_nnunet(folder: Path, names: Mapping[int, str]) -> CaseFolder:
    cases, notes = [], []
    for images, labels, group in (("imagesTr", "labelsTr", ""), ("imagesTs", "labelsTs", "test")):
        if not (folder / images).is_dir() or not (folder / labels).is_dir():
            continue
        pictures = list_named(folder / images)
        if any(name.endswith("_0001") for name in pictures):
            notes.append(f"The cases in {images} have several channels; the first of each is used.")
        firsts = {
            name.removesuffix(_FIRST_CHANNEL): path for name, path in pictures.items() if name.endswith(_FIRST_CHANNEL)
        }
        cases += _pair(firsts or pictures, list_named(folder / labels), folder, group)
    return CaseFolder(folder, "nnU-Net", tuple(cases), names, notes=tuple(notes))


def _read_decathlon(folder: Path, listed: list[Any], names: Mapping[int, str]) -> CaseFolder:
    cases = []
    for entry in listed:
        try:
            image, labels = folder / entry["image"], folder / entry["label"]
        except (TypeError, KeyError):
            raise InputError(
                f'The list "training" of {folder / "dataset.json"} has the entry {entry!r}, expected image and label; '
                "correct it."
            ) from None
        name = strip_ending(image.name) or image.name
        first = image.with_name(f"{name}{_FIRST_CHANNEL}{image.name.removeprefix(name)}")
        image = image if image.is_file() or not first.is_file() else first
        for path in (image, labels):
            if not path.is_file():
                raise InputError(f"{folder / 'dataset.json'} lists {path}, which is not there; correct the list.")
        name = name.removesuffix(_FIRST_CHANNEL)
        cases.append(CaseFiles(name, name, image, (LabelFile(labels),)))
    return CaseFolder(folder, "Medical Segmentation Decathlon", tuple(cases), names)


def _read_plain(folder: Path) -> CaseFolder:
    cases = _pair(list_named(folder / "images"), list_named(folder / "labels"), folder, "")
    without = sorted(set(list_named(folder / "images")) - {case.name for case in cases})
    notes = (f"Images without labels were left out: {len(without)}, the first is {without[0]}.",) if without else ()
    return CaseFolder(folder, "images/ and labels/", tuple(cases), notes=notes)


def _pair(images: Mapping[str, Path], labels: Mapping[str, Path], folder: Path, group: str) -> list[CaseFiles]:
    lonely = sorted(set(labels) - set(images))
    if lonely:
        raise InputError(
            f"The labels {lonely[0]} in {folder} have no image of that name; name image and labels alike, or take "
            "them out."
        )
    return [CaseFiles(name, name, images[name], (LabelFile(path),), group) for name, path in labels.items()]


def _take_table(found: CaseFolder) -> CaseFolder:
    """The same cases with the subjects and splits that ``cases.csv`` says."""
    path = found.path / TABLE
    if not path.is_file():
        return found
    try:
        rows = list(csv.DictReader(io.StringIO(read_document(path), newline="")))
    except (UnreadableDocument, csv.Error) as error:
        what = error if isinstance(error, UnreadableDocument) else f"is no CSV ({error})"
        raise InputError(f"{path} {what}; save the table as CSV in UTF-8.") from error
    if not rows or not {"case", "subject"} <= set(rows[0]):
        raise InputError(f"{path} has no columns case and subject; see docs/own_cases.md.")
    by_name = {case.name: case for case in found.cases}
    cases = dict(by_name)
    for row in rows:
        name, group = row["case"], (row.get("split") or "").strip()
        if name not in by_name:
            raise InputError(f"{path} lists the case {name}, which is not in the folder; correct the list.")
        if group and group not in GROUPS:
            raise InputError(f"{path} puts {name} into the split {group!r}, expected one of {', '.join(GROUPS)}.")
        other = cases[name]
        if other is not by_name[name] and other.group != (group or by_name[name].group):
            raise InputError(f"{path} lists the case {name} in two splits; keep it in one.")
        cases[name] = dataclasses.replace(
            by_name[name], subject=row["subject"] or name, group=group or by_name[name].group
        )
    return dataclasses.replace(found, cases=tuple(cases.values()))
