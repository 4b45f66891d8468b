"""From a finished training to a bundle that ships."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from KneeSegLib.training.recipe import Recipe

TRAINING_STATEMENT = "Networks trained on synthetic CT images of real anatomy only; not a medical device."


def bundle_description(recipe: Recipe, sources: list[dict[str, str]], figures: dict[str, Any]) -> dict[str, Any]:
    """What a bundle says about itself beside the network: channels, grid, classes, recipe, sources and measured figures."""
    return {
        "name": recipe.name,
        "kind": recipe.kind,
        "channels": {"neighbour_offsets_mm": list(recipe.neighbour_offsets_mm)},
        "spacing_mm": [recipe.spacing_mm] * 3,
        "classes": list(recipe.classes),
        "recipe": recipe.as_dict(),
        "training_statement": TRAINING_STATEMENT,
        "sources": sources,
        "figures": figures,
    }


def averaged_weights(folder: Path) -> tuple[dict[str, torch.Tensor], int]:
    """The averaged weights of a training folder, and the step they were taken at."""
    state = torch.load(Path(folder) / "checkpoint.pt", map_location="cpu", weights_only=True)
    return state["average"], int(state["step"])
