"""What a trained nnU-Net folder holds, read from its JSON files alone: no torch, no nnunetv2, nothing executed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from KneeSegLib.errors import ModelError
from KneeSegLib.nnunet.settings import CHECKPOINTS, CONFIGURATIONS, DEEPEST_FOLDER

_PLANS, _DATASET = "plans.json", "dataset.json"


@dataclass(frozen=True)
class ModelFolder:
    """One trained configuration.

    Attributes:
        path: the folder with ``plans.json``, ``dataset.json`` and the folds.
        plans, dataset: content of the two.
        configuration: its name, such as ``3d_fullres``.
        checkpoints: one file for each fold that is used.
        previous: the stage before it, of a cascade.
    """

    path: Path
    plans: dict[str, Any]
    dataset: dict[str, Any]
    configuration: str
    checkpoints: tuple[Path, ...]
    previous: ModelFolder | None = None

    @property
    def dataset_name(self) -> str:
        """Folder name of the data set, such as ``Dataset500_KneeMRI``."""
        return str(self.plans.get("dataset_name") or self.path.parent.name)

    @property
    def title(self) -> str:
        """The data set and the configuration, for messages."""
        return f"{self.dataset_name}, {self.configuration}"

    @property
    def modality(self) -> Literal["CT", "MR"]:
        """What it was trained on: nnU-Net calls the channel of a CT "CT", and every other one as it likes."""
        return "CT" if self.channels[0].upper() == "CT" else "MR"

    @property
    def channels(self) -> list[str]:
        """Names of the input images."""
        table = self.dataset.get("channel_names") or self.dataset.get("modality") or {}
        return [str(name) for name in table.values()]

    @property
    def label_names(self) -> dict[int, str]:
        """Names of the labels by the value that a prediction gives them, without background."""
        named = {name: value for name, value in self.dataset["labels"].items() if name != "ignore"}
        if not any(isinstance(value, list) for value in named.values()):
            return {int(value): name for name, value in named.items() if int(value) != 0}
        regions = [name for name, value in named.items() if value not in (0, [0])]
        return dict(zip(map(int, self.dataset["regions_class_order"]), regions))

    @property
    def folds(self) -> list[str]:
        """Names of the folds that are used."""
        return [checkpoint.parent.name.removeprefix("fold_") for checkpoint in self.checkpoints]


def find_model(path: str | Path) -> ModelFolder:
    """Return the model at ``path``: a checkpoint, a fold, a trained configuration, or a folder with some of those.

    Of several configurations the first of :data:`~KneeSegLib.nnunet.settings.CONFIGURATIONS` is taken; all folds that
    have a checkpoint of one name are used.

    Raises:
        ModelError: no such folder, no trained model in it, a damaged file, or a cascade without its first stage.
    """
    path = Path(path).expanduser()
    if not path.exists():
        raise ModelError(f"There is no file or folder {path}; give the folder of a trained nnU-Net model.")
    if path.is_file():
        return _read(path.parent.parent, [path])
    if path.name.startswith("fold_"):
        return _read(path.parent, [_choose_checkpoint([path])])
    found = sorted(_trained_below(path, DEEPEST_FOLDER), key=_rank)
    if not found:
        raise ModelError(
            f"{path} holds no trained nnU-Net model; expected is a folder with plans.json, dataset.json and "
            "fold_0/checkpoint_final.pth in it."
        )
    others = sorted({folder.parent.resolve() for folder in found})
    if len(others) > 1:
        listed = ", ".join(folder.name for folder in others)
        raise ModelError(f"{path} holds models of several data sets ({listed}); give the folder of one of them.")
    return _read(found[0], None)


def _trained_below(path: Path, depth: int) -> Iterator[Path]:
    if (path / _PLANS).is_file() and (path / _DATASET).is_file() and list(path.glob("fold_*/*.pth")):
        yield path
    elif depth > 0:
        for folder in path.iterdir():
            if folder.is_dir():
                yield from _trained_below(folder, depth - 1)


def _rank(folder: Path) -> tuple[int, str]:
    configuration = folder.name.rpartition("__")[2]
    order = CONFIGURATIONS.index(configuration) if configuration in CONFIGURATIONS else len(CONFIGURATIONS)
    return order, folder.name


def _read(folder: Path, checkpoints: list[Path] | None) -> ModelFolder:
    plans, dataset = _read_json(folder / _PLANS), _read_json(folder / _DATASET)
    labels = dataset.get("labels")
    if not isinstance(labels, dict) or "background" not in labels:
        raise ModelError(f"{folder / _DATASET} names no labels; give the folder of a trained nnU-Net v2 model.")
    configurations = plans.get("configurations")
    configuration = folder.name.rpartition("__")[2]
    if not isinstance(configurations, dict) or configuration not in configurations:
        known = ", ".join(configurations) if isinstance(configurations, dict) else "none"
        raise ModelError(
            f"The folder {folder.name} is not called after one of its configurations (known are {known}), expected is "
            "a name such as nnUNetTrainer__nnUNetPlans__3d_fullres; give it back the name it was trained under."
        )
    if checkpoints is None:
        folds = sorted(fold for fold in folder.glob("fold_*") if list(fold.glob("*.pth")))
        # A network that was trained on all cases is not one more of those that each left some out.
        several = [fold for fold in folds if fold.name != "fold_all"] or folds
        name = _choose_checkpoint(several).name
        checkpoints = [fold / name for fold in several if (fold / name).is_file()]
    previous = _find_previous(folder, plans, configuration)
    found = ModelFolder(folder, plans, dataset, configuration, tuple(checkpoints), previous)
    if len(found.channels) != 1:
        raise ModelError(
            f"The model {found.title} takes {len(found.channels)} images at a time ({', '.join(found.channels)}), and "
            "KneeSeg gives it one; use a model of one image."
        )
    return found


def _find_previous(folder: Path, plans: dict[str, Any], configuration: str) -> ModelFolder | None:
    wanted = _inherited(plans, configuration, "previous_stage")
    if wanted is None:
        return None
    stem = folder.name.rpartition("__")[0]
    beside = [folder.parent / f"{stem}__{wanted}", *sorted(folder.parent.glob(f"*__{wanted}"))]
    for candidate in beside:
        if (candidate / _PLANS).is_file():
            return _read(candidate, None)
    raise ModelError(
        f"The model {folder.name} is the second stage of a cascade and needs {stem}__{wanted} beside it; put that "
        "folder there, or choose another configuration."
    )


def _inherited(plans: dict[str, Any], configuration: str, field: str) -> str | None:
    seen = set()
    while configuration in plans["configurations"] and configuration not in seen:
        seen.add(configuration)
        content = plans["configurations"][configuration]
        if content.get(field) is not None:
            return str(content[field])
        configuration = content.get("inherits_from", "")
    return None


def _choose_checkpoint(folds: list[Path]) -> Path:
    found = [checkpoint for fold in folds for checkpoint in sorted(fold.glob("*.pth"))]
    if not found:
        where = folds[0] if folds else "The model"
        raise ModelError(f"{where} holds no checkpoint, expected is {CHECKPOINTS[0]}; copy the model once more.")
    known = [checkpoint for name in CHECKPOINTS for checkpoint in found if checkpoint.name == name]
    return (known or found)[0]


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ModelError(
            f"There is no {path.name} in {path.parent}; give the folder of a trained nnU-Net v2 model."
        ) from None
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ModelError(f"{path} cannot be read as JSON ({error}); copy the model once more.") from None
    if not isinstance(content, dict):
        raise ModelError(f"{path} is no table of plans or labels; give the folder of a trained nnU-Net v2 model.")
    return content
