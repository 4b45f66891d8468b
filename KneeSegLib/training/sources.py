"""Where samples come from: which source renders which kind of network's, and what a training is given."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from KneeSegLib import TRAINING_STATEMENT
from KneeSegLib.training.bone_source import BoneSource
from KneeSegLib.training.ct_patches import PatchSource
from KneeSegLib.training.ct_sources import LocaliserSource, NamingSource, SliceSource
from KneeSegLib.training.ct_volumes import FemurVolumeSource
from KneeSegLib.training.mr_sources import MrPatchSource, MrSliceSource
from KneeSegLib.training.prepared_sources import list_sources
from KneeSegLib.training.recipe import Recipe
from KneeSegLib.training.samples import Renderer, SampleSource
from KneeSegLib.training.shape_box_source import ShapeBoxSource
from KneeSegLib.training.shape_source import ShapeSource

SOURCES: dict[str, type[SampleSource]] = {
    "slices": SliceSource,
    "localiser": LocaliserSource,
    "naming": NamingSource,
    "patches": PatchSource,
    "ct-volume": FemurVolumeSource,
    "mr-slices": MrSliceSource,
    "mr-patches": MrPatchSource,
    "mr-shape": ShapeSource,
    "mr-bone": BoneSource,
}


def choose_source(recipe: Recipe) -> type[SampleSource]:
    """Return the source of a recipe's samples."""
    if recipe.kind == "mr-shape" and recipe.shape.input == "signal":
        return ShapeBoxSource
    return SOURCES[recipe.kind]


class TrainingData(Protocol):
    """What a network is trained on."""

    @property
    def weights_file(self) -> str:
        """Of a training on it, the file whose weights become a bundle: the last ones or the best."""
        ...

    def open(self, recipe: Recipe, group: str) -> Renderer:
        """Return the source of a group's samples (``train``, ``validation``).

        Raises:
            InputError: there is nothing in it that the recipe can learn from.
        """
        ...

    def list_sources(self, recipe: Recipe) -> list[dict[str, str]]:
        """Return name, licence and use of everything that the samples are made from."""
        ...

    def state_training(self) -> str:
        """Return the sentence that goes with every use of the network."""
        ...


@dataclass(frozen=True)
class PreparedSubjects:
    """Synthetic images of the anatomy that is prepared in a folder."""

    folder: Path
    weights_file: str = "checkpoint.pt"

    def open(self, recipe: Recipe, group: str) -> Renderer:
        """As :meth:`TrainingData.open`."""
        return choose_source(recipe).of_folder(recipe, self.folder, group)

    def list_sources(self, recipe: Recipe) -> list[dict[str, str]]:
        """As :meth:`TrainingData.list_sources`."""
        return list_sources(self.folder, recipe.joints)

    def state_training(self) -> str:
        """As :meth:`TrainingData.state_training`."""
        return TRAINING_STATEMENT


def as_training_data(data: Path | TrainingData) -> TrainingData:
    """Return the data themselves, or those prepared in a folder."""
    return PreparedSubjects(data) if isinstance(data, Path) else data
