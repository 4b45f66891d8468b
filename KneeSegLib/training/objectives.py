"""The objective of a training: a loss, and figures on subjects that are not trained on."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np
import torch
from monai.losses.dice import DiceLoss
from torch.nn.functional import binary_cross_entropy_with_logits

from KneeSegLib.networks import ShapeLayer
from KneeSegLib.training.landmark_loss import compute_landmark_loss
from KneeSegLib.training.losses import compute_loss, merge_sides, merge_unlabelled
from KneeSegLib.training.recipe import Recipe
from KneeSegLib.training.samples import Samples
from KneeSegLib.training.shape_source import ShapeSamples
from KneeSegLib.training.sources import TrainingData
from KneeSegLib.training.synthesis.mr.landmarks_file import Landmarks

AnySamples = TypeVar("AnySamples", Samples, ShapeSamples)


class Objective(Protocol[AnySamples]):
    """One kind of goal.

    Attributes:
        samples: the class of a batch.
        figures: names of what :meth:`measure` returns.
    """

    samples: type[AnySamples]
    figures: Sequence[str]

    def compute_loss(self, prediction: torch.Tensor, samples: AnySamples) -> torch.Tensor:
        """Return the loss of the network's prediction for ``samples.inputs``; a scalar on its device."""
        ...

    def measure(self, predicted: Sequence[tuple[torch.Tensor, AnySamples]]) -> dict[str, float]:
        """Return the figures over several predictions and their samples."""
        ...

    def score(self, figures: dict[str, float]) -> float:
        """Return one number of what :meth:`measure` returned: the higher, the better."""
        ...


class LabelObjective:
    """Labels of voxels: the recipe's losses; Dice per class (hard labels on the sample grid)."""

    samples = Samples

    def __init__(self, recipe: Recipe) -> None:
        self.losses = recipe.losses
        self.classes = recipe.classes
        self.merged = merge_sides(recipe.classes)
        self.figures: Sequence[str] = [f"dice_{name}" for name in recipe.classes]

    def compute_loss(self, prediction: torch.Tensor, samples: Samples) -> torch.Tensor:
        """As :meth:`Objective.compute_loss`."""
        return compute_loss(prediction, samples.labels.to(prediction.device), self.losses, self.merged)

    def measure(self, predicted: Sequence[tuple[torch.Tensor, Samples]]) -> dict[str, float]:
        """As :meth:`Objective.measure`; NaN for classes that are nowhere."""
        shared, size = torch.zeros(len(self.classes)), torch.zeros(len(self.classes))
        for prediction, samples in predicted:
            labels = samples.labels
            found = merge_unlabelled(prediction.argmax(1).cpu(), labels.labelled)
            truth = torch.where(labels.occupancy > 0.5, labels.classes, labels.rest)
            counted = labels.weight > 0.5
            for index in range(len(shared)):
                a, b = (found == index) * counted, (truth == index) * counted
                shared[index] += 2 * (a & b).sum()
                size[index] += a.sum() + b.sum()
        return {name: float(s / t) if t else math.nan for name, s, t in zip(self.figures, shared, size)}

    def score(self, figures: dict[str, float]) -> float:
        """As :meth:`Objective.score`: the mean Dice of the structures that are there."""
        known = [figures[name] for name in self.figures[1:] if not math.isnan(figures[name])]
        return sum(known) / len(known) if known else -math.inf


class BoneObjective:
    """Bone or not, for each channel by itself: binary cross-entropy and Dice; Dice (hard labels on the sample grid)."""

    samples = Samples

    def __init__(self, recipe: Recipe) -> None:
        self.losses = recipe.losses
        self.figures: Sequence[str] = [f"dice_{name}" for name in recipe.classes]

    def compute_loss(self, prediction: torch.Tensor, samples: Samples) -> torch.Tensor:
        """As :meth:`Objective.compute_loss`."""
        labels = samples.labels.to(prediction.device)
        told = _told_channels(samples).to(prediction.device)
        weight = labels.weight.unsqueeze(1) * told / told.mean()
        loss = self.losses.cross_entropy * binary_cross_entropy_with_logits(prediction, labels.occupancy, weight)
        if self.losses.dice:
            dice_loss = DiceLoss(squared_pred=True, batch=True)
            loss = loss + self.losses.dice * dice_loss(prediction.sigmoid() * told, labels.occupancy * told)
        return loss

    def measure(self, predicted: Sequence[tuple[torch.Tensor, Samples]]) -> dict[str, float]:
        """As :meth:`Objective.measure`."""
        shared, size = (torch.zeros(len(self.figures)) for _ in range(2))
        for prediction, samples in predicted:
            told = _told_channels(samples) > 0.0
            found, truth = (prediction.cpu() > 0.0) & told, (samples.labels.occupancy > 0.5) & told
            shared += 2 * (found & truth).sum(dim=(0, 2, 3, 4))
            size += (found.sum(dim=(0, 2, 3, 4)) + truth.sum(dim=(0, 2, 3, 4))).float()
        return {name: float(s / t) if t else math.nan for name, s, t in zip(self.figures, shared, size)}

    def score(self, figures: dict[str, float]) -> float:
        """As :meth:`Objective.score`: the mean Dice of the edges."""
        known = [value for value in figures.values() if not math.isnan(value)]
        return sum(known) / len(known) if known else -math.inf


def _told_channels(samples: Samples) -> torch.Tensor:
    """1 for the channels of a sample that its labels tell, else 0: ``(N, C, 1, 1, 1)``."""
    labelled = samples.labels.labelled
    if labelled is None:
        labelled = torch.ones(samples.labels.occupancy.shape[:2])
    return labelled.float()[:, :, None, None, None]


class LandmarkObjective:
    """Landmarks of one shape model, or of two at once: mean squared distance; mean distance in mm."""

    samples = ShapeSamples
    figures: Sequence[str] = ("landmark_mm",)

    def __init__(self, recipe: Recipe, prepared: Path, device: torch.device) -> None:
        models = Landmarks.load(prepared).modes
        self.layers = [make_shape_layer(models[bone], recipe.shape.modes).to(device) for bone in recipe.shape.bones]

    def compute_loss(self, prediction: torch.Tensor, samples: ShapeSamples) -> torch.Tensor:
        """As :meth:`Objective.compute_loss`."""
        return compute_landmark_loss(self._locate(prediction, samples), samples.landmarks_mm.to(prediction.device))

    def measure(self, predicted: Sequence[tuple[torch.Tensor, ShapeSamples]]) -> dict[str, float]:
        """As :meth:`Objective.measure`."""
        distances = [
            (self._locate(prediction.float(), samples).cpu() - samples.landmarks_mm).norm(dim=-1).mean()
            for prediction, samples in predicted
        ]
        return {"landmark_mm": float(torch.stack(distances).mean())}

    def score(self, figures: dict[str, float]) -> float:
        """As :meth:`Objective.score`: the smaller the distance, the better."""
        return -figures["landmark_mm"]

    def _locate(self, prediction: torch.Tensor, samples: ShapeSamples) -> torch.Tensor:
        """The landmarks of all shapes, one after the other, in mm from the crop's centre."""
        parts = prediction.chunk(len(self.layers), dim=1)
        points = torch.cat([layer(part) for layer, part in zip(self.layers, parts)], dim=1)
        return points * samples.scale.to(points.device)[:, None]


def make_shape_layer(model: tuple[np.ndarray, np.ndarray, np.ndarray], modes: int) -> ShapeLayer:
    """Return the layer of the first modes of a model: its mean, components and variances."""
    mean, components, variances = map(torch.as_tensor, model)
    return ShapeLayer(mean, components[:modes], variances[:modes])


def choose_objective(recipe: Recipe, data: Path | TrainingData, device: torch.device) -> Objective[Any]:
    """Return the objective of a recipe's kind."""
    if recipe.kind == "mr-bone":
        return BoneObjective(recipe)
    if recipe.kind == "mr-shape" and isinstance(data, Path):
        return LandmarkObjective(recipe, data, device)
    return LabelObjective(recipe)
