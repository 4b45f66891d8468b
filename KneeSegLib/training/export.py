"""From a finished training to a bundle that ships."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch

from KneeSegLib import TRAINING_STATEMENT
from KneeSegLib.bundles import Bundle, write_bundle
from KneeSegLib.synthesis.anatomy_file import Anatomy
from KneeSegLib.training.loop import build_network
from KneeSegLib.training.recipe import Recipe

_DESCRIPTIONS = {
    "slices": "2D U-Net that labels {classes} on transverse CT slices of right legs (left ones in a mirror).",
    "localiser": "Coarse 3D U-Net that says which bones of which leg are where in a CT scan, averaged to 4 mm.",
    "naming": "Coarse 3D U-Net that says which bone each part of a bone mask is ({classes}); it sees no grey values.",
    "patches": "3D U-Net that refines the probability of one bone in patches along its surface in a CT scan.",
}


def export_bundle(
    recipe: Recipe, training_folder: Path, prepared: Path, bundle_folder: Path, figures: dict[str, Any] | None = None
) -> Bundle:
    """Write the averaged weights of ``training_folder`` as the bundle ``bundle_folder``.

    Args:
        prepared: the people trained on; their sources and licences go into the bundle.
        figures: what was measured, and on what.
    """
    state, step = averaged_weights(training_folder)
    network = build_network(recipe)
    network.load_state_dict(state)
    facts = bundle_description(
        recipe, step, sources_of(prepared, recipe.joints), figures or {"note": "not measured yet"}
    )
    return write_bundle(bundle_folder, network, recipe.network_config, state, facts)


def bundle_description(
    recipe: Recipe, step: int, sources: list[dict[str, str]], figures: dict[str, Any]
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
        "recipe": {**recipe.as_dict(), "trained_steps": step},
        "training_statement": TRAINING_STATEMENT,
        "sources": sources,
        "figures": figures,
    }


def _facts_of_kind(recipe: Recipe) -> dict[str, Any]:
    """What only one kind of network has to say."""
    if recipe.kind != "patches":
        return {}
    spacings = [recipe.patches.finest_spacing_mm, recipe.spacing_mm]
    return {"patches": {"shape": list(recipe.shapes[0]), "spacing_range_mm": spacings}}


def averaged_weights(folder: Path) -> tuple[dict[str, torch.Tensor], int]:
    """The averaged weights of a training folder, and the step they were taken at."""
    state = torch.load(Path(folder) / "checkpoint.pt", map_location="cpu", weights_only=True)
    return state["average"], int(state["step"])


def sources_of(prepared: Path, joints: Iterable[str]) -> list[dict[str, str]]:
    """Name, licence and use of every source that the training people of some joints were made from."""
    subjects: dict[str, set[str]] = {}
    for path in sorted(Path(prepared).rglob("*.npz")):
        anatomy = Anatomy.load(path)
        if anatomy.joint in joints and anatomy.group == "train":
            for source in anatomy.sources:
                subjects.setdefault(source, set()).add(anatomy.subject)
    found = []
    for source, people in sorted(subjects.items()):
        name, licence = re.fullmatch(r"(.*?)(?: \(([^()]*)\))?", source).groups()
        found.append(
            {"name": name, "licence": licence or "unknown", "use": f"bone shapes of {len(people)} prepared people"}
        )
    return found
