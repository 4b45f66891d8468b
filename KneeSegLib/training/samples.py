"""What a training step sees: rendered inputs and their soft labels, and the sources that render them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch

from KneeSegLib.training.recipe import Recipe


@dataclass
class SoftLabels:
    """The truth of voxels that lie partly in one class and partly in another.

    Attributes:
        classes: ``(N, ...)`` uint8, output channel of the structure that is nearest, 0 where there is none.
        occupancy: ``(N, ...)`` float32, the fraction of the voxel that this structure fills.
        weight: ``(N, ...)`` float32, how much the voxel counts.
        rest: ``(N, ...)`` uint8, output channel of what else is in the voxel: 0 all over, unless structures touch.
        labelled: ``(N, C)`` boolean, False for output channels that the labels do not tell from background, as where
            a collection has no patella drawn; None where they tell all.
    """

    classes: torch.Tensor
    occupancy: torch.Tensor
    weight: torch.Tensor
    rest: torch.Tensor
    labelled: torch.Tensor | None = None

    def to(self, device: torch.device) -> SoftLabels:
        """Return these labels on a device."""
        tensors = (self.classes, self.occupancy, self.weight, self.rest, self.labelled)
        return SoftLabels(*(None if tensor is None else tensor.to(device) for tensor in tensors))  # pyright: ignore[reportArgumentType]


@dataclass
class Samples:
    """A few samples of one shape: inputs ``(N, C, ...)`` float32, and their labels."""

    inputs: torch.Tensor
    labels: SoftLabels

    def split(self) -> Iterator[tuple[torch.Tensor, ...]]:
        """Yield the samples one by one, small enough to be kept."""
        labels = self.labels
        columns = (self.inputs.half(), labels.classes, labels.occupancy.half(), labels.weight.half(), labels.rest)
        yield from zip(*columns, *(() if labels.labelled is None else (labels.labelled,)))

    @classmethod
    def join(cls, parts: Sequence[tuple[torch.Tensor, ...]]) -> Samples:
        """Return the samples that :meth:`split` took apart."""
        inputs, classes, occupancy, weight, rest, *labelled = (torch.stack(column) for column in zip(*parts))
        return cls(inputs.float(), SoftLabels(classes, occupancy.float(), weight.float(), rest, *labelled))


class Renderer(Protocol):
    """Makes batches of samples."""

    def render(self, shape: tuple[int, ...], generator: torch.Generator) -> Any:
        """Return one batch of samples of one random subject."""
        ...


class SampleSource(Renderer, Protocol):
    """Renders samples of the prepared subjects of a group (``train``, ``validation``, ``test``)."""

    @classmethod
    def of_folder(cls, recipe: Recipe, folder: Path, group: str) -> SampleSource:
        """Return a source of the subjects of a group that are prepared in a folder.

        Raises:
            InputError: the folder holds none of them.
        """
        ...
