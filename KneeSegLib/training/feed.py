"""What batches are drawn from: rendered samples in pools, and the renderings that fill these."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from typing import Any

import torch

from KneeSegLib.training.pool import Pool
from KneeSegLib.training.process_group import ProcessGroup
from KneeSegLib.training.recipe import Recipe
from KneeSegLib.training.rendering import NumberedRenderings, Rendering, RenderingStream, Task
from KneeSegLib.training.settings import VALIDATION_RENDERS


class SampleFeed:
    """Fills pools with renderings, as many as the recipe's reuse asks for, and draws batches from them.

    Attributes:
        rendered: samples taken in since it was opened. waited_seconds: how long batches have waited for them.
    """

    def __init__(self, recipe: Recipe, renderings: NumberedRenderings, processes: ProcessGroup) -> None:
        self.recipe, self.renderings, self.processes = recipe, renderings, processes
        self.batch = processes.count_own(recipe.batch)
        self.pools = {shape: Pool(recipe.pool) for shape in recipe.shapes}
        self.rendered, self.waited_seconds = 0, 0.0
        self._stream: RenderingStream | None = None
        self._owed = 0.0
        self._next = processes.rank
        self._kept: list[int] = []
        self._validation: list[list[tuple[torch.Tensor, ...]]] = []

    def open(self, workers: int) -> None:
        """Begin to render; a resumed training's pools are filled again first."""
        self._stream = RenderingStream(self.renderings, self._list_tasks(), workers)
        if self.processes.is_main:
            self._validation = [_as_tensors(self._stream.take()) for _ in range(VALIDATION_RENDERS)]
        for _ in self._kept:
            self._take_in(self._stream.take())

    def close(self) -> None:
        """End the processes that render."""
        if self._stream is not None:
            self._stream.close()
        self._stream = None

    def draw_batch(self, generator: torch.Generator) -> list[tuple[torch.Tensor, ...]]:
        """Return this process's part of a batch of one shape."""
        assert self._stream is not None
        recipe = self.recipe
        pool = self.pools[recipe.shapes[int(torch.randint(len(recipe.shapes), (), generator=generator))]]
        self._owed += self.batch / recipe.reuse
        started = time.monotonic()
        while self._owed > 0 or (len(pool) < self.batch and not pool.is_full):
            rendering = self._stream.take()
            self._next = rendering.task.number + self.processes.size
            self._owed -= len(rendering.samples)
            self.rendered += len(rendering.samples)
            self._take_in(rendering)
        self.waited_seconds += time.monotonic() - started
        return pool.draw(self.batch, generator)

    def list_validation(self) -> list[list[tuple[torch.Tensor, ...]]]:
        """Return the samples of each image that figures are measured on, always the same ones."""
        if not self._validation:
            self._validation = [_as_tensors(self.renderings[Task(n, True)]) for n in range(VALIDATION_RENDERS)]
        return self._validation

    def get_state(self) -> dict[str, Any]:
        """Return what a checkpoint has to hold: which renderings the pools are made of, and what comes next."""
        kept = set[int]().union(*(pool.renderings for pool in self.pools.values()))
        return {"kept": sorted(kept), "next": self._next, "owed": self._owed}

    def set_state(self, state: dict[str, Any]) -> None:
        """Go on where another feed was; to be called before :meth:`open`."""
        self._kept, self._next, self._owed = list(state["kept"]), int(state["next"]), float(state["owed"])

    def _list_tasks(self) -> Iterator[Task]:
        """In the order in which they are taken: :meth:`open` and :meth:`draw_batch` rely on it."""
        validating = range(VALIDATION_RENDERS) if self.processes.is_main else ()
        new = itertools.count(self._next, self.processes.size)
        return itertools.chain((Task(number, True) for number in validating), map(Task, self._kept), map(Task, new))

    def _take_in(self, rendering: Rendering) -> None:
        self.pools[rendering.shape].add(rendering.task.number, _as_tensors(rendering))


def _as_tensors(rendering: Rendering) -> list[tuple[torch.Tensor, ...]]:
    return [tuple(torch.as_tensor(array) for array in sample) for sample in rendering.samples]
