"""A user's own cases as training data: the samples of a recipe, their sources and the sentence about them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from KneeSegLib.anatomy import MENISCUS_OF_COMPARTMENT, OTHER, Side
from KneeSegLib.bundles import Bundle
from KneeSegLib.errors import InputError
from KneeSegLib.io.label_mapping import LabelMapping, find_label_mapping, read_label_mapping
from KneeSegLib.io.label_maps import parse_labels
from KneeSegLib.progress import Progress, no_progress
from KneeSegLib.training.own_cases.collections_of_others import Collection, read_collection
from KneeSegLib.training.own_cases.cube_sources import OwnBoneSource, OwnPatchSource
from KneeSegLib.training.own_cases.files import CaseFolder
from KneeSegLib.training.own_cases.label_tables import as_mapping
from KneeSegLib.training.own_cases.layouts import find_cases
from KneeSegLib.training.own_cases.mixing import MixedSource
from KneeSegLib.training.own_cases.parts import Part
from KneeSegLib.training.own_cases.preparing import prepare_parts
from KneeSegLib.training.own_cases.reading import Labelling
from KneeSegLib.training.own_cases.settings import SYNTHETIC_FRACTION
from KneeSegLib.training.own_cases.slice_sources import (
    OwnSagittalSource,
    OwnSliceSource,
    OwnSource,
    is_labelled,
    tissues_of,
)
from KneeSegLib.training.own_cases.splitting import Folds, split_cases
from KneeSegLib.training.recipe import Recipe
from KneeSegLib.training.samples import Renderer
from KneeSegLib.training.sources import PreparedSubjects

OWN_SOURCES: dict[str, type[OwnSource]] = {
    "slices": OwnSliceSource,
    "mr-slices": OwnSagittalSource,
    "mr-patches": OwnPatchSource,
    "mr-bone": OwnBoneSource,
}


@dataclass(frozen=True)
class Wanted:
    """How a folder of cases is to be understood and split.

    Attributes:
        layout: name or file of a published collection's layout; None to recognise it.
        labels: name or file of a label mapping, or "5=femur_right,..."; None for what the folder says.
        side: of labels that tell none.
        folds: for cross-validation.
        synthetic: folder of prepared subjects to mix in; None for own cases alone.
        fraction: of synthetic samples.
    """

    layout: str | None = None
    labels: str | None = None
    side: Side | None = None
    folds: Folds | None = None
    synthetic: Path | None = None
    fraction: float = SYNTHETIC_FRACTION


@dataclass(frozen=True)
class OwnCases:
    """Cases of a user's own, prepared for one recipe.

    Attributes:
        groups: their sets by group.
        start: the bundle that training starts from, for the record.
        notes: what a user should know of them.
    """

    folder: CaseFolder
    groups: dict[str, list[Part]]
    wanted: Wanted = field(default_factory=Wanted)
    start: Bundle | None = None
    notes: tuple[str, ...] = ()
    weights_file: str = "best.pt"

    @classmethod
    def prepare(
        cls,
        recipe: Recipe,
        folder: str | Path,
        store: str | Path,
        wanted: Wanted,
        progress: Progress = no_progress,
    ) -> OwnCases:
        """Find, read, check and cut the cases of a folder; what was prepared in ``store`` before is used again.

        Raises:
            InputError: the folder or a case of it cannot be used; or no network of the recipe's kind learns from cases.
        """
        if recipe.kind not in OWN_SOURCES:
            raise InputError(
                f"{recipe.name} is of the kind {recipe.kind}, which is trained on synthetic images alone; with --cases "
                f"choose a recipe of the kinds {', '.join(OWN_SOURCES)}."
            )
        if recipe.kind == "mr-bone" and recipe.mr.labelled_edge not in recipe.mr.edges:
            raise InputError(
                f"{recipe.name}: mr.labelled_edge is {recipe.mr.labelled_edge} and mr.edges are "
                f"{', '.join(recipe.mr.edges)}; cases teach the edge that their labels have: set one of these entries "
                "(--set ENTRY=VALUE)."
            )
        collection = read_collection(wanted.layout) if wanted.layout is not None else None
        found = find_cases(folder, collection)
        groups = split_cases(found.cases, wanted.folds, recipe.seed)
        used = replace(found, cases=tuple(case for case in found.cases if groups[case.name] != "test"))
        labelling = Labelling(found.names, _choose_mappings(found, collection, wanted), wanted.side)
        parts, notes = prepare_parts(used, labelling, recipe, Path(store), progress)
        by_group: dict[str, list[Part]] = {"train": [], "validation": []}
        for part in parts:
            by_group[groups[part.case]].append(part)
        for group, some in by_group.items():
            if not some:
                raise InputError(
                    f"None of the cases for {group} shows what {recipe.name} is for; add cases or choose others for it."
                )
        tested = len(found.cases) - len(used.cases)
        kept = [f"{tested} cases are kept for testing and were not read."] if tested else []
        return cls(found, by_group, wanted, notes=(*notes, *kept))

    def open(self, recipe: Recipe, group: str) -> Renderer:
        """As :meth:`~KneeSegLib.training.sources.TrainingData.open`."""
        known = tissues_of([part for parts in self.groups.values() for part in parts])
        if self.starts_from_nothing:
            known |= set(recipe.classes) | set(MENISCUS_OF_COMPARTMENT.values())
        own = OWN_SOURCES[recipe.kind](recipe, self.groups[group], known, varied=group == "train")
        if group != "train" or not self.is_mixed or self.wanted.synthetic is None:
            return own
        synthetic = PreparedSubjects(self.wanted.synthetic).open(recipe, group)
        return MixedSource(own, synthetic, self.wanted.fraction)

    @property
    def is_mixed(self) -> bool:
        """Whether synthetic samples are mixed in."""
        return self.wanted.synthetic is not None and self.wanted.fraction > 0.0

    @property
    def starts_from_nothing(self) -> bool:
        """Whether these cases are all that the network ever sees.

        What none of them has labelled counts as absent then. Left open, it would be told from background by chance.
        """
        return self.start is None and not self.is_mixed

    def describe_absent(self, recipe: Recipe) -> list[str]:
        """Return a sentence on structures that the network will take for background, where there are any."""
        if recipe.kind == "mr-bone" or not self.starts_from_nothing:  # its classes are edges, which a recipe chooses
            return []
        known = tissues_of([part for parts in self.groups.values() for part in parts])
        absent = [name for name in recipe.classes if not is_labelled(name, known)]
        if not absent:
            return []
        return [
            f"No case has {' or '.join(map(_describe_class, absent))} labelled: a network trained on these cases alone "
            "takes it for background. Start from one that knows it with --from, or mix in synthetic images with "
            "--prepared."
        ]

    def list_sources(self, recipe: Recipe) -> list[dict[str, str]]:
        """As :meth:`~KneeSegLib.training.sources.TrainingData.list_sources`; names of cases and files stay out."""
        train, validation = (len({part.case for part in self.groups[group]}) for group in ("train", "validation"))
        sources = [
            {
                "name": self.folder.title or "Cases of the user's own",
                "licence": self.folder.licence or "the user's own; not stated",
                "use": f"{train} cases trained on, {validation} to choose the best weights by",
            }
        ]
        if self.is_mixed and self.wanted.synthetic is not None:
            sources += PreparedSubjects(self.wanted.synthetic).list_sources(recipe)
        if self.start is not None:
            before = f"weights of {self.start.name} {self.start.spec.version} that training started from"
            sources += [{**source, "use": f"{source['use']} ({before})"} for source in self.start.spec.sources]
        return sources

    def state_training(self) -> str:
        """As :meth:`~KneeSegLib.training.sources.TrainingData.state_training`."""
        cases = {part.case for part in self.groups["train"]}
        subjects = {part.subject for part in self.groups["train"]}
        whose = f"of {self.folder.title}" if self.folder.title else "of their own"
        start = f", starting from {self.start.name} {self.start.spec.version}" if self.start is not None else ""
        mixed = " and on synthetic images" if self.is_mixed else ""
        return (
            f"Trained by its user on {_count(len(cases), 'case')} ({_count(len(subjects), 'subject')}) {whose}{mixed}"
            f"{start}; not a medical device."
        )


def _choose_mappings(
    found: CaseFolder, collection: Collection | None, wanted: Wanted
) -> dict[str, LabelMapping | None]:
    """The mapping of each label file, by the name it gives; one that the user gives is for all."""
    names: Sequence[str] = sorted({file.mapping for case in found.cases for file in case.labels} | {""})
    if wanted.labels is not None:
        given = as_mapping(parse_labels(wanted.labels)) if "=" in wanted.labels else read_label_mapping(wanted.labels)
        return {name: given for name in names}
    return {name: read_label_mapping(name) if name else find_label_mapping(found.path.name) for name in names}


def _describe_class(name: str) -> str:
    return "other bones" if name == OTHER else name.replace("_", " ")


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
