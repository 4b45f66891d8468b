"""What prepared subjects were made from, for the metadata of bundles."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from KneeSegLib.training.synthesis.anatomy_file import Anatomy
from KneeSegLib.training.synthesis.mr.anatomy_file import JOINT as MR_JOINT
from KneeSegLib.training.synthesis.mr.subjects import read_knees


def list_sources(prepared: Path, joints: Iterable[str]) -> list[dict[str, str]]:
    """Return name, licence and use of every source that the training subjects of some joints were made from."""
    names: dict[str, set[str]] = {}
    mr = tuple(joints) == (MR_JOINT,)
    for subject in read_knees(prepared, "train") if mr else _read_training_anatomy(prepared, joints):
        for source in subject.sources:
            names.setdefault(source, set()).add(subject.name)
    return [_describe_source(source, len(subjects)) for source, subjects in sorted(names.items())]


def _describe_source(source: str, subjects: int) -> dict[str, str]:
    """Take a source "name (licence)" apart."""
    found = re.fullmatch(r"(.*?)(?: \(([^()]*)\))?", source)
    name, licence = found.groups() if found else (source, None)
    return {"name": name, "licence": licence or "unknown", "use": f"bone shapes of {subjects} prepared subjects"}


def _read_training_anatomy(folder: Path, joints: Iterable[str]) -> list[Anatomy]:
    found = [Anatomy.load(path) for path in sorted(Path(folder).rglob("*.npz"))]
    return [anatomy for anatomy in found if anatomy.joint in joints and anatomy.group == "train"]
