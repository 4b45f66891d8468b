"""Rendered samples that batches are drawn from."""

from __future__ import annotations

from typing import Any

import torch


class Pool:
    """Rendered samples of one shape: neighbours of a slab seldom meet in a batch."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.samples: list[tuple[torch.Tensor, ...]] = []

    def add(self, samples: Any, generator: torch.Generator) -> None:
        """Take in samples (:class:`~KneeSegLib.training.samples.Samples` or alike), in the place of random ones."""
        for one in samples.split():
            if len(self.samples) < self.capacity:
                self.samples.append(one)
            else:
                self.samples[int(torch.randint(self.capacity, (), generator=generator))] = one

    def draw(self, size: int, generator: torch.Generator) -> list[tuple[torch.Tensor, ...]]:
        """Return so many different samples, fewer only if there are fewer."""
        return [self.samples[i] for i in torch.randperm(len(self.samples), generator=generator)[:size].tolist()]
