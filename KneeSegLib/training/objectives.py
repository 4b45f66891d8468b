"""What a training wants of its network: a loss, and figures on people that are not trained on."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, TypeVar

import torch

from KneeSegLib.networks import ShapeLayer
from KneeSegLib.training.landmark_loss import landmark_loss
from KneeSegLib.training.losses import merged_sides, total_loss
from KneeSegLib.training.recipe import Recipe
from KneeSegLib.training.samples import Samples
from KneeSegLib.training.shape_source import ShapeSamples
from KneeSegLib.training.synthesis.mr.landmarks_file import Landmarks

AnySamples = TypeVar("AnySamples", Samples, ShapeSamples)


class Objective(Protocol[AnySamples]):
    """One kind of goal.

    Attributes:
        samples: what a batch is.
        figures: names of what :meth:`measured` returns.
    """

    samples: type[AnySamples]
    figures: Sequence[str]

    def loss(self, answer: torch.Tensor, samples: AnySamples) -> torch.Tensor:
        """Of the network's answer to ``samples.inputs``; a scalar on its device."""

    def measured(self, looks: Sequence[tuple[torch.Tensor, AnySamples]]) -> dict[str, float]:
        """The figures over several answers and their samples."""


class LabelObjective:
    """Labels of voxels: the recipe's losses; Dice per class (hard labels on the sample grid)."""

    samples = Samples

    def __init__(self, recipe: Recipe) -> None:
        self.losses = recipe.losses
        self.classes = recipe.classes
        self.merged = merged_sides(recipe.classes)
        self.figures = [f"dice_{name}" for name in recipe.classes]

    def loss(self, answer: torch.Tensor, samples: Samples) -> torch.Tensor:
        truth = (samples.classes, samples.occupancy, samples.weight)
        return total_loss(
            answer, *(t.to(answer.device) for t in truth), self.losses, self.merged, samples.rest.to(answer.device)
        )

    def measured(self, looks: Sequence[tuple[torch.Tensor, Samples]]) -> dict[str, float]:
        shared, size = torch.zeros(len(self.classes)), torch.zeros(len(self.classes))
        for answer, samples in looks:
            predicted = answer.argmax(1).cpu()
            truth = torch.where(samples.occupancy > 0.5, samples.classes, samples.rest)
            for index in range(len(shared)):
                a, b = (predicted == index) * (samples.weight > 0.5), (truth == index) * (samples.weight > 0.5)
                shared[index] += 2 * (a & b).sum()
                size[index] += a.sum() + b.sum()
        return {name: float(s / t) if t else math.nan for name, s, t in zip(self.figures, shared, size)}


class LandmarkObjective:
    """Landmarks of a shape model: mean squared distance; mean distance in mm."""

    samples = ShapeSamples
    figures = ("landmark_mm",)

    def __init__(self, recipe: Recipe, prepared: Path, device: torch.device) -> None:
        mean, components, variances = Landmarks.load(prepared).modes[recipe.shape.bone]
        kept = recipe.shape.modes
        self.layer = ShapeLayer(mean, components[:kept], variances[:kept]).to(device)

    def loss(self, answer: torch.Tensor, samples: ShapeSamples) -> torch.Tensor:
        return landmark_loss(self.layer(answer), samples.landmarks_mm.to(answer.device))

    def measured(self, looks: Sequence[tuple[torch.Tensor, ShapeSamples]]) -> dict[str, float]:
        distances = [
            (self.layer(answer.float()).cpu() - samples.landmarks_mm).norm(dim=-1).mean() for answer, samples in looks
        ]
        return {"landmark_mm": float(torch.stack(distances).mean())}


def objective_of(recipe: Recipe, prepared: Path, device: torch.device) -> Objective:
    """The objective of a recipe's kind."""
    return LandmarkObjective(recipe, prepared, device) if recipe.kind == "mr-shape" else LabelObjective(recipe)
