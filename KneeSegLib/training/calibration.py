"""Calibrated probabilities: one temperature for each slice network, and for the patches of knee MR.

A network trained to the end is more confident than it is accurate. Its logits are divided by one number, its
temperature, before the softmax; the most probable class stays the same. The number is that which minimises the negative
log-likelihood of validation subjects (Guo et al., *On calibration of modern neural networks*, 2017).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from scipy.optimize import minimize_scalar
from torch import nn

from KneeSegLib.bundles import Bundle
from KneeSegLib.training.bundle_files import amend_bundle
from KneeSegLib.training.losses import give_to_background
from KneeSegLib.training.recipe import Recipe
from KneeSegLib.training.recipe_files import parse_recipe
from KneeSegLib.training.samples import SoftLabels
from KneeSegLib.training.settings import CALIBRATED_KINDS, CALIBRATION_VOXELS, TEMPERATURE_BOUNDS
from KneeSegLib.training.sources import TrainingData, as_training_data


@dataclass(frozen=True)
class Calibration:
    """A temperature, and the mean negative log-likelihood of a voxel (nats) without and with it."""

    temperature: float
    nll_before: float
    nll_after: float
    voxels: int


def calibrate_bundle(
    bundle: Bundle,
    data: Path | TrainingData,
    renders: int = 40,
    seed: int = 4000,
    report: Callable[[str], None] = print,
) -> Bundle:
    """Fit the temperature of a network on the validation subjects of its recipe and write it into its bundle.

    Args:
        data: whose validation subjects; or a folder of prepared anatomy.
        renders: how many slabs of slices or boxes of patches are rendered, see the recipe.
        seed: of the images and of the voxels drawn from them.

    Raises:
        InputError: the folder holds no validation subjects.
        ValueError: the bundle holds a network of another kind.
    """
    if bundle.spec.kind not in CALIBRATED_KINDS:
        raise ValueError(f"{bundle.name} is of the kind {bundle.spec.kind}, which has no temperature.")
    recipe = parse_recipe(bundle.spec.recipe, bundle.name)
    logits, targets = predict_voxels(bundle.network(), recipe, data, renders, seed)
    found = fit_temperature(logits, targets)
    report(
        f"{bundle.name}: temperature {found.temperature:.3f}, negative log-likelihood {found.nll_before:.5f} -> "
        f"{found.nll_after:.5f} on {found.voxels} voxels of validation subjects"
    )
    return amend_bundle(bundle, temperature=round(found.temperature, 4), calibration=asdict(found))


def predict_voxels(
    network: nn.Module, recipe: Recipe, data: Path | TrainingData, renders: int, seed: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return logits and fractions of the classes, both ``(N, K)``, for random voxels of validation subjects."""
    source = as_training_data(data).open(recipe, "validation")
    generator = torch.Generator().manual_seed(seed)
    logits, targets = [], []
    for number in range(renders):
        samples = source.render(recipe.shapes[number % len(recipe.shapes)], generator)
        with torch.inference_mode():
            predicted = network(samples.inputs)
        if samples.labels.labelled is not None:
            predicted = give_to_background(predicted.log_softmax(dim=1), samples.labels.labelled)
        predicted = predicted.movedim(1, -1).flatten(0, -2)
        fractions = compute_class_fractions(samples.labels, predicted.shape[-1])
        chosen = torch.randperm(len(predicted), generator=generator)[:CALIBRATION_VOXELS]
        logits.append(predicted[chosen].clone())
        targets.append(fractions[chosen])
    return torch.cat(logits), torch.cat(targets)


def compute_class_fractions(labels: SoftLabels, classes: int) -> torch.Tensor:
    """Return the fraction of each voxel that belongs to each class, ``(N, K)``: edges are no class of their own."""
    index, filled = labels.classes.flatten().long(), labels.occupancy.flatten()
    fractions = torch.zeros(len(index), classes)
    fractions.scatter_(1, index[:, None], filled[:, None])
    fractions.scatter_add_(1, labels.rest.flatten().long()[:, None], 1.0 - filled[:, None])
    return fractions / fractions.sum(dim=1, keepdim=True)


def fit_temperature(logits: torch.Tensor, targets: torch.Tensor) -> Calibration:
    """Return the temperature under which ``targets`` ``(N, K)`` are most probable, and what it gains.

    A temperature that gains nothing is 1.
    """

    def nll(temperature: float) -> float:
        return float(-(targets * (logits / temperature).log_softmax(dim=1)).sum(dim=1).mean())

    low, high = (float(torch.log(torch.tensor(bound))) for bound in TEMPERATURE_BOUNDS)
    best: Any = minimize_scalar(lambda t: nll(float(torch.exp(torch.tensor(t)))), bounds=(low, high), method="bounded")
    temperature = float(torch.exp(torch.tensor(best.x)))
    before = nll(1.0)
    if best.fun >= before:
        temperature = 1.0
    return Calibration(temperature, before, nll(temperature), len(logits))
