"""From a finished training to its bundle: of own cases the best weights, calibrated on the validation cases."""

from __future__ import annotations

import logging
import math
from pathlib import Path
from typing import Any

import torch

from KneeSegLib.bundles import Bundle
from KneeSegLib.training.calibration import calibrate_bundle
from KneeSegLib.training.export import export_bundle
from KneeSegLib.training.own_cases.data import OwnCases
from KneeSegLib.training.own_cases.settings import CALIBRATION_RENDERS
from KneeSegLib.training.recipe import Recipe
from KneeSegLib.training.settings import CALIBRATED_KINDS


def write_finished_bundle(recipe: Recipe, data: Path | OwnCases, training: Path, bundle: Path) -> Bundle:
    """Write the network that a training came to as a bundle; of own cases with the figures that chose it.

    Args:
        data: what was trained on; a folder of prepared anatomy gives the last weights, not calibrated, as ever.
        training: the training's folder.
    """
    if isinstance(data, Path):
        return export_bundle(recipe, training, data, bundle)
    written = export_bundle(recipe, training, data, bundle, _read_figures(training / data.weights_file))
    if recipe.kind not in CALIBRATED_KINDS:
        return written
    report = logging.getLogger(__name__).info
    return calibrate_bundle(written, data, CALIBRATION_RENDERS, report=report)


def _read_figures(path: Path) -> dict[str, Any]:
    state = torch.load(path, map_location="cpu", weights_only=True)
    figures = {name: round(value, 4) for name, value in state["figures"].items() if math.isfinite(value)}
    return {
        "note": "Dice on samples of the validation cases while training; the step with the best mean was kept",
        "step": int(state["step"]),
        **figures,
    }
