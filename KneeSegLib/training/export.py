"""From a finished training to a bundle that ships."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch

from KneeSegLib import TRAINING_STATEMENT
from KneeSegLib.bundles import Bundle, write_bundle
from KneeSegLib.training.loop import build_network, first_network
from KneeSegLib.training.recipe import Recipe
from KneeSegLib.training.synthesis.anatomy_file import Anatomy
from KneeSegLib.training.synthesis.mr.anatomy_file import JOINT as MR_JOINT
from KneeSegLib.training.synthesis.mr.landmarks_file import Landmarks
from KneeSegLib.training.synthesis.mr.subjects import read_knees

_DESCRIPTIONS = {
    "slices": "2D U-Net that labels {classes} on transverse CT slices of right legs (left ones in a mirror).",
    "localiser": "Coarse 3D U-Net that says which bones of which leg are where in a CT scan, averaged to 4 mm.",
    "naming": "Coarse 3D U-Net that says which bone each part of a bone mask is ({classes}); it sees no grey values.",
    "patches": "3D U-Net that refines the probability of one bone in patches along its surface in a CT scan.",
    "mr-slices": "2D U-Net that labels {classes} on sagittal slices of knee MR of any sequence.",
    "mr-shape": "3D network that fits a shape model to a bone of the knee; it sees probabilities, no grey values.",
    "mr-patches": "3D U-Net that labels {classes} in small volumes where cartilage is, in knee MR of any sequence.",
}


def export_bundle(
    recipe: Recipe,
    training_folder: Path,
    prepared: Path,
    bundle_folder: Path,
    figures: dict[str, Any] | None = None,
    start: Path | None = None,
    share: float = 0.5,
) -> Bundle:
    """Write the averaged weights of ``training_folder`` as the bundle ``bundle_folder``.

    Args:
        prepared: the people trained on; their sources and licences go into the bundle.
        figures: what was measured, and on what.
        start: bundle that the training started from, to ship what lies between its weights and the trained ones: after
            a further training this often does better on images of several kinds than either (Wortsman et al., *Robust
            fine-tuning of zero-shot models*, CVPR 2022).
        share: of the trained weights in that.
    """
    averaged, step, origin = averaged_weights(training_folder)
    network = build_network(recipe)
    network.load_state_dict(averaged)
    if start is not None:
        before, _ = first_network(recipe, start)
        network.load_state_dict(between(before.state_dict(), network.state_dict(), share))
        origin = f"{origin}; the weights are {1.0 - share:g} of it and {share:g} of this run"
    facts = bundle_description(
        recipe, step, sources_of(prepared, recipe.joints), figures or {"note": "not measured yet"}, origin
    )
    if recipe.kind == "mr-shape":
        _, _, variances = Landmarks.load(prepared).modes[recipe.shape.bone]
        facts["shape_model"] = {"variances_mm2": [float(value) for value in variances[: recipe.shape.modes]]}
    return write_bundle(bundle_folder, network, recipe.network_config, network.state_dict(), facts)


def bundle_description(
    recipe: Recipe, step: int, sources: list[dict[str, str]], figures: dict[str, Any], origin: str = ""
) -> dict[str, Any]:
    """What a bundle says of itself beside the network: channels, grid, classes, recipe, sources, measured figures."""
    return {
        "name": recipe.name,
        "description": _DESCRIPTIONS[recipe.kind].format(classes=", ".join(recipe.classes[1:])),
        "kind": recipe.kind,
        "channels": {"neighbour_offsets_mm": list(recipe.neighbour_offsets_mm)},
        "spacing_mm": [recipe.spacing_mm] * 3,
        "classes": list(recipe.classes),
        **_facts_of_kind(recipe),
        "recipe": {**recipe.as_dict(), "trained_steps": step, "started_from": origin or "fresh weights"},
        "training_statement": TRAINING_STATEMENT,
        "sources": sources,
        "figures": figures,
    }


def _facts_of_kind(recipe: Recipe) -> dict[str, Any]:
    """What only one kind of network has to say."""
    if recipe.kind == "mr-patches":
        return {"patches": {"shape": list(recipe.shapes[0]), "spacing_range_mm": [recipe.spacing_mm] * 2}}
    if recipe.kind == "mr-shape":
        return {"bone": recipe.shape.bone}
    if recipe.kind != "patches":
        return {}
    spacings = [recipe.patches.finest_spacing_mm, recipe.spacing_mm]
    return {"patches": {"shape": list(recipe.shapes[0]), "spacing_range_mm": spacings}}


def averaged_weights(folder: Path) -> tuple[dict[str, torch.Tensor], int, str]:
    """The averaged weights of a training folder, the step they were taken at, and the bundle they started from."""
    state = torch.load(Path(folder) / "checkpoint.pt", map_location="cpu", weights_only=True)
    return state["average"], int(state["step"]), state.get("origin", "")


def between(first: dict[str, torch.Tensor], last: dict[str, torch.Tensor], share: float) -> dict[str, torch.Tensor]:
    """What lies between the weights that a training began with and those that it came to; ``share`` is of these."""
    return {
        name: torch.lerp(first[name].float(), tensor.float(), share).to(tensor.dtype)
        if tensor.is_floating_point()
        else tensor
        for name, tensor in last.items()
    }


def sources_of(prepared: Path, joints: Iterable[str]) -> list[dict[str, str]]:
    """Name, licence and use of every source that the training people of some joints were made from."""
    subjects: dict[str, set[str]] = {}
    people = read_knees(prepared, "train") if tuple(joints) == (MR_JOINT,) else _prepared_for(prepared, joints)
    for person in people:
        for source in person.sources:
            subjects.setdefault(source, set()).add(person.name)
    found = []
    for source, named in sorted(subjects.items()):
        name, licence = re.fullmatch(r"(.*?)(?: \(([^()]*)\))?", source).groups()
        found.append(
            {"name": name, "licence": licence or "unknown", "use": f"bone shapes of {len(named)} prepared people"}
        )
    return found


def _prepared_for(folder: Path, joints: Iterable[str]) -> list[Anatomy]:
    found = [Anatomy.load(path) for path in sorted(Path(folder).rglob("*.npz"))]
    return [anatomy for anatomy in found if anatomy.joint in joints and anatomy.group == "train"]
