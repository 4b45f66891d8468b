"""What is compared: pipelines that are run on the images, and folders of label maps that anything else predicted."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path

from KneeSegLib.errors import InputError
from KneeSegLib.io.label_meaning import LabelMeaning
from KneeSegLib.pipelines.table import EDGES, PIPELINES

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._+-]*")
_NAMED = re.compile(r"([^=/\\,]+)=(.+)", re.DOTALL)
_NEXT_KEY = re.compile(r",(?=[a-z][a-z_-]*=)")


@dataclass(frozen=True)
class System:
    """One way to label the cases.

    Attributes:
        name: of its rows, and of the folder of its runs.
        pipeline: a key of :data:`~KneeSegLib.pipelines.table.PIPELINES` that is run; None for a folder.
        options: of ``kneeseg segment``, by name without hyphens in front; ``yes`` for one without a value.
        folder: of label maps or result folders named like the cases; None for a pipeline.
        meaning: what the values of its label maps stand for.
        edge: the convention of the edge as it was given; empty where nobody said it.
        cases: pattern of the names of the cases that it is for: those of its modality.
    """

    name: str
    pipeline: str | None = None
    options: Mapping[str, str] = field(default_factory=dict)
    folder: Path | None = None
    meaning: LabelMeaning = field(default_factory=LabelMeaning)
    edge: str = ""
    cases: str = "*"

    def is_for(self, case: str) -> bool:
        """Return whether the case of that name is one of its cases."""
        return fnmatchcase(case, self.cases)

    def looks_for(self, tissue: str) -> bool:
        """Return whether it labels the tissue of that key; of folders and of models of the user's it is not known."""
        info = PIPELINES[self.pipeline] if self.pipeline else None
        return info is None or info.modality is None or tissue in info.tissues

    @property
    def description(self) -> str:
        """What it is, in a few words."""
        if self.pipeline is None:
            return f"label maps in {self.folder}"
        rest = "".join(f", {key} {value}" for key, value in self.options.items())
        return f"pipeline {self.pipeline}{rest}"

    @property
    def own_edge(self) -> str:
        """The convention of the edge that its results follow: as given, or the pipeline's; empty where not known."""
        return self.edge or (PIPELINES[self.pipeline].edge if self.pipeline else "") or ""


def parse_system(text: str) -> System:
    """Return a system given as ``[NAME=]PIPELINE_OR_FOLDER[,KEY=VALUE]...``.

    Keys of a pipeline are the options of ``kneeseg segment``; those of a folder ``labels``, what its values stand for.
    Both know ``edge``, the convention of the edge, and ``cases``, a pattern of the names of those that they are for.

    Raises:
        InputError: not of that form, no such pipeline or folder, or a value that is not known.
    """
    what, *pairs = _NEXT_KEY.split(text)
    named = _NAMED.fullmatch(what)
    given, what = (named[1].strip(), named[2].strip()) if named else ("", what.strip())
    keys = dict(pair.split("=", 1) for pair in pairs)
    edge, cases = keys.get("edge", ""), keys.pop("cases", "*")
    if edge and edge not in EDGES:
        raise InputError(f"There is no convention of the edge {edge!r}; choose one of {', '.join(EDGES)}.")
    if what in PIPELINES:
        options = {key: value for key, value in keys.items() if key != "edge" or value in PIPELINES[what].edges}
        return System(_check_name(given or what), pipeline=what, options=options, edge=edge, cases=cases)
    folder = Path(what).expanduser()
    if not folder.is_dir():
        raise InputError(
            f"There is neither a pipeline nor a folder {what!r}; a system is NAME=PIPELINE or NAME=FOLDER. "
            f"Pipelines are {', '.join(PIPELINES)}."
        )
    strange = sorted(set(keys) - {"edge", "labels"})
    if strange:
        raise InputError(f"A folder of label maps has no option {strange[0]!r}; it knows labels, edge and cases.")
    name = _check_name(given or folder.resolve().name)
    meaning = LabelMeaning.parse(keys.get("labels"))
    return System(name, folder=folder, meaning=meaning, edge=edge, cases=cases)


def parse_systems(texts: Sequence[str]) -> list[System]:
    """Return systems with different names; arguments as of :func:`parse_system`.

    Raises:
        InputError: also where there are none, or two of a name.
    """
    if not texts:
        raise InputError("Say what to compare: --system NAME=PIPELINE or --system NAME=FOLDER, once for each system.")
    systems = [parse_system(text) for text in texts]
    names = [system.name for system in systems]
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"Two systems are called {name!r}; give each a name of its own: NAME=PIPELINE.")
    return systems


def _check_name(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise InputError(
            f"A system cannot be called {name!r}; use letters, digits, spaces, dots, hyphens, plus and underscores."
        )
    return name
