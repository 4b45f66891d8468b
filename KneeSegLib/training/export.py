"""From a finished training to a bundle that ships."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from KneeSegLib import TRAINING_STATEMENT
from KneeSegLib.bundles import Bundle
from KneeSegLib.bundles.kinds import MrInput
from KneeSegLib.bundles.metadata import TRAINING_SECONDS
from KneeSegLib.errors import InputError
from KneeSegLib.training.bundle_files import write_bundle
from KneeSegLib.training.checkpoints import read_checkpoint
from KneeSegLib.training.initialisation import build_network, initialise_network
from KneeSegLib.training.log import read_training_seconds
from KneeSegLib.training.recipe import Recipe
from KneeSegLib.training.sources import TrainingData, as_training_data
from KneeSegLib.training.synthesis.mr.landmarks_file import Landmarks

_DESCRIPTIONS = {
    "slices": "2D U-Net that labels {classes} on transverse CT slices of right legs (left ones in a mirror).",
    "localiser": "Coarse 3D U-Net that localises the bones of each leg in a CT scan, averaged to 4 mm.",
    "naming": "Coarse 3D U-Net that labels the parts of a bone mask ({classes}); it sees no grey values.",
    "patches": "3D U-Net that refines the probability of one bone in patches along its surface in a CT scan.",
    "ct-volume": "V-Net that labels the femur of a right leg (a left one in a mirror) in its box of a CT scan.",
    "mr-slices": "2D U-Net that labels {classes} on sagittal slices of knee MR of any sequence.",
    "mr-shape": "3D network that fits a shape model to a bone of the knee; it sees the predicted bone or grey values.",
    "mr-bone": "3D U-Net that says of each voxel of low-field knee MR whether it is bone; any view of it will do.",
    "mr-patches": "3D U-Net that labels {classes} in small volumes where cartilage is, in knee MR of any sequence.",
}


@dataclass(frozen=True)
class Interpolation:
    """Weights between those that a training started from and those that it came to.

    After a further training they often do better on images of several kinds than either (Wortsman et al., *Robust
    fine-tuning of zero-shot models*, CVPR 2022).

    Attributes:
        start: the bundle that the training started from.
        weight: of the trained weights, 0 to 1.
    """

    start: Path
    weight: float = 0.5


def export_bundle(
    recipe: Recipe,
    training_folder: Path,
    data: Path | TrainingData,
    bundle_folder: Path,
    figures: dict[str, Any] | None = None,
    interpolation: Interpolation | None = None,
) -> Bundle:
    """Write the averaged weights of ``training_folder`` as the bundle ``bundle_folder``.

    Args:
        data: what was trained on, or a folder of prepared subjects; sources and licences go into the bundle.
        figures: what was measured, and on what.
        interpolation: ships weights between the first and the averaged ones instead of these.
    """
    given = as_training_data(data)
    averaged, step, origin = read_averaged_weights(training_folder, given.weights_file)
    network = build_network(recipe)
    network.load_state_dict(averaged)
    if interpolation is not None:
        first, _ = initialise_network(recipe, interpolation.start)
        weight = interpolation.weight
        network.load_state_dict(interpolate_weights(first.state_dict(), network.state_dict(), weight))
        origin = f"{origin}; the weights are {1.0 - weight:g} of it and {weight:g} of this run"
    facts = describe_bundle(recipe, step, given.list_sources(recipe), figures or {"note": "not measured yet"}, origin)
    facts["training_statement"] = given.state_training()
    seconds = read_training_seconds(training_folder)
    if seconds is not None:
        facts[TRAINING_SECONDS] = round(seconds, 1)
    if recipe.kind == "mr-shape" and isinstance(data, Path):
        models = Landmarks.load(data).modes
        variances = [models[bone][2][: recipe.shape.modes] for bone in recipe.shape.bones]
        facts["shape_model"] = {"variances_mm2": [float(value) for some in variances for value in some]}
    return write_bundle(bundle_folder, network, recipe.network_config, network.state_dict(), facts)


def describe_bundle(
    recipe: Recipe, step: int, sources: list[dict[str, str]], figures: dict[str, Any], origin: str = ""
) -> dict[str, Any]:
    """Return a bundle's metadata beside the network: channels, grid, classes, recipe, sources, measured figures."""
    return {
        "name": recipe.name,
        "description": _DESCRIPTIONS[recipe.kind].format(classes=", ".join(recipe.classes[1:])),
        "kind": recipe.kind,
        "channels": {"neighbour_offsets_mm": list(recipe.neighbour_offsets_mm)},
        "spacing_mm": [recipe.spacing_mm] * 3,
        "classes": list(recipe.classes),
        **_describe_kind(recipe),
        "recipe": {**recipe.as_dict(), "trained_steps": step, "started_from": origin or "fresh weights"},
        "training_statement": TRAINING_STATEMENT,
        "sources": sources,
        "figures": figures,
    }


def _describe_kind(recipe: Recipe) -> dict[str, Any]:
    """Metadata that only one kind of network has."""
    if recipe.kind == "ct-volume":
        return {"volume": {"shape": list(recipe.shapes[0]), "input": recipe.volume.input}}
    if recipe.kind == "mr-patches":
        patches = {"shape": list(recipe.shapes[0]), "spacing_range_mm": [recipe.spacing_mm] * 2}
        return {"patches": patches, **_describe_input(recipe.mr.input)}
    if recipe.kind == "mr-shape":
        return {"bone": recipe.shape.bone, **_describe_input(recipe.shape.input)}
    if recipe.kind != "patches":
        return {}
    spacings = [recipe.patches.finest_spacing_mm, recipe.spacing_mm]
    return {"patches": {"shape": list(recipe.shapes[0]), "spacing_range_mm": spacings}}


def _describe_input(given: MrInput) -> dict[str, str]:
    """An entry where it is not the usual one: bundles of before have none."""
    return {"input": given} if given == "signal" else {}


def read_averaged_weights(folder: Path, file: str = "checkpoint.pt") -> tuple[dict[str, torch.Tensor], int, str]:
    """Return the averaged weights of a training, the step they were saved at, and the bundle they started from."""
    state = read_checkpoint(Path(folder) / file, torch.device("cpu"))
    average, step = state.get("average"), state.get("step")
    if not isinstance(average, dict) or not isinstance(step, int):
        raise InputError(f"The checkpoint {file} in {folder} holds no averaged weights; give the folder of a training.")
    return average, step, str(state.get("origin", ""))


def interpolate_weights(
    first: dict[str, torch.Tensor], last: dict[str, torch.Tensor], weight: float
) -> dict[str, torch.Tensor]:
    """Return the weights between those that a training began with and those that it came to; ``weight`` is of these."""
    return {
        name: torch.lerp(first[name].float(), tensor.float(), weight).to(tensor.dtype)
        if tensor.is_floating_point()
        else tensor
        for name, tensor in last.items()
    }
