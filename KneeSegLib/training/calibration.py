"""Probabilities that mean what they say: one temperature for each slice network, and for the patches of knee MR.

A network trained to the end is surer of itself than it is right. Its logits are divided by one number, its
temperature, before the softmax; the likeliest class stays the likeliest. The number is that which makes the negative
log-likelihood of validation people least (Guo et al., *On calibration of modern neural networks*, 2017).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from scipy.optimize import minimize_scalar
from torch import nn

from KneeSegLib.bundles import Bundle, amend_bundle
from KneeSegLib.training.recipe import Recipe, recipe_from
from KneeSegLib.training.samples import Samples
from KneeSegLib.training.sources import SOURCES

BOUNDS = (0.25, 4.0)
VOXELS_PER_LOOK = 60_000
CALIBRATED = ("slices", "mr-slices", "mr-patches")
"""The kinds of network whose probabilities are used as such."""


@dataclass(frozen=True)
class Calibration:
    """A temperature, and the mean negative log-likelihood of a voxel (nats) without and with it."""

    temperature: float
    nll_before: float
    nll_after: float
    voxels: int


def calibrate_bundle(
    bundle: Bundle, prepared: Path, looks: int = 40, seed: int = 4000, report: Callable[[str], None] = print
) -> Bundle:
    """Fit the temperature of a network on the validation people of its recipe and write it into its bundle.

    Args:
        prepared: folder of prepared anatomy.
        looks: how many slabs of slices or boxes of patches are rendered, see the recipe.

    Raises:
        InputError: the folder holds no validation people.
        ValueError: the bundle holds a network of another kind.
    """
    if bundle.spec.kind not in CALIBRATED:
        raise ValueError(f"{bundle.name} is of the kind {bundle.spec.kind}, which has no temperature.")
    recipe = recipe_from(bundle.spec.recipe, bundle.name)
    logits, targets = looked_at(bundle.network(), recipe, prepared, looks, seed)
    found = fitted(logits, targets)
    report(
        f"{bundle.name}: temperature {found.temperature:.3f}, negative log-likelihood {found.nll_before:.5f} -> "
        f"{found.nll_after:.5f} on {found.voxels} voxels of validation people"
    )
    return amend_bundle(bundle, temperature=round(found.temperature, 4), calibration=asdict(found))


def looked_at(
    network: nn.Module, recipe: Recipe, prepared: Path, looks: int, seed: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return logits and the shares of the classes, both ``(N, K)``, for random voxels of validation people."""
    source = SOURCES[recipe.kind].of_folder(recipe, prepared, "validation")
    generator = torch.Generator().manual_seed(seed)
    logits, targets = [], []
    for look in range(looks):
        samples = source.render(recipe.shapes[look % len(recipe.shapes)], generator)
        with torch.inference_mode():
            answer = network(samples.inputs).movedim(1, -1).flatten(0, -2)
        shares = class_shares(samples, answer.shape[-1])
        chosen = torch.randperm(len(answer), generator=generator)[:VOXELS_PER_LOOK]
        logits.append(answer[chosen].clone())
        targets.append(shares[chosen])
    return torch.cat(logits), torch.cat(targets)


def class_shares(samples: Samples, classes: int) -> torch.Tensor:
    """Return how much of each voxel belongs to each class, ``(N, K)``: edges are no class of their own."""
    index, filled = samples.classes.flatten().long(), samples.occupancy.flatten()
    shares = torch.zeros(len(index), classes)
    shares.scatter_(1, index[:, None], filled[:, None])
    shares.scatter_add_(1, samples.rest.flatten().long()[:, None], 1.0 - filled[:, None])
    return shares / shares.sum(dim=1, keepdim=True)


def fitted(logits: torch.Tensor, targets: torch.Tensor) -> Calibration:
    """Return the temperature under which ``targets`` ``(N, K)`` are likeliest, and what it brings.

    A temperature that brings nothing is 1.
    """

    def nll(temperature: float) -> float:
        return float(-(targets * (logits / temperature).log_softmax(dim=1)).sum(dim=1).mean())

    low, high = (float(torch.log(torch.tensor(bound))) for bound in BOUNDS)
    best = minimize_scalar(lambda t: nll(float(torch.exp(torch.tensor(t)))), bounds=(low, high), method="bounded")
    temperature = float(torch.exp(torch.tensor(best.x)))
    before = nll(1.0)
    if best.fun >= before:
        temperature = 1.0
    return Calibration(temperature, before, nll(temperature), len(logits))
