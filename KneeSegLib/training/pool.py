"""Rendered samples that batches are drawn from."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Any

import torch

Sample = tuple[Any, ...]
"""The arrays of one sample, as :meth:`~KneeSegLib.training.samples.Samples.split` yields them."""


class Pool:
    """The newest rendered samples of one shape: neighbours of a slab seldom meet in a batch.

    What it holds follows from which renderings were added last, so that a resumed training can fill it again.
    """

    def __init__(self, capacity: int) -> None:
        self._samples: deque[tuple[int, Sample]] = deque(maxlen=capacity)

    def __len__(self) -> int:
        return len(self._samples)

    @property
    def is_full(self) -> bool:
        """True where each further sample takes the place of the oldest one."""
        return len(self._samples) == self._samples.maxlen

    @property
    def renderings(self) -> set[int]:
        """The numbers of the renderings that the samples come from."""
        return {number for number, _ in self._samples}

    def add(self, rendering: int, samples: Iterable[Sample]) -> None:
        """Take in the samples of a rendering, in the place of the oldest ones."""
        self._samples.extend((rendering, sample) for sample in samples)

    def draw(self, size: int, generator: torch.Generator) -> list[Sample]:
        """Return so many different samples, fewer only if there are fewer."""
        return [self._samples[i][1] for i in torch.randperm(len(self), generator=generator)[:size].tolist()]
