"""Renderings by number: each drawn from a seed of its own, in this process or in others.

The processes are the workers of ``torch.utils.data.DataLoader``, which hands out what they render in the order in which
it was asked for. So the same recipe gives the same images whoever renders them.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from KneeSegLib.errors import KneeSegError, ResourceError
from KneeSegLib.training.recipe import Recipe
from KneeSegLib.training.samples import Renderer
from KneeSegLib.training.settings import VALIDATION_SEED

_DEAD_WORKER = "DataLoader worker"
"""So begins what torch says when a worker has ended."""


class Task(NamedTuple):
    """One rendering to be made: its number, of samples to train on or of those to validate on."""

    number: int
    validates: bool = False


class Rendering(NamedTuple):
    """Samples as arrays: those are passed between processes through pipes, tensors through scarce shared memory."""

    task: Task
    shape: tuple[int, ...]
    samples: list[tuple[np.ndarray, ...]]


class NumberedRenderings(Dataset[Rendering]):
    """Renders whatever number is asked for, always the same under the same number.

    Args:
        source: of the samples to train on. validation: of those to validate on.
    """

    def __init__(self, recipe: Recipe, source: Renderer, validation: Renderer) -> None:
        self.seed, self.shapes = recipe.seed, recipe.shapes
        self.source, self.validation = source, validation

    def __getitem__(self, task: Task) -> Rendering:
        """Render."""
        if task.validates:
            generator = torch.Generator().manual_seed(VALIDATION_SEED + task.number)
            shape, source = self.shapes[task.number % len(self.shapes)], self.validation
        else:
            generator = torch.Generator().manual_seed(mix_seed(self.seed, task.number))
            shape, source = self.shapes[int(torch.randint(len(self.shapes), (), generator=generator))], self.source
        samples = source.render(shape, generator).split()
        return Rendering(task, shape, [tuple(tensor.numpy() for tensor in sample) for sample in samples])


class _Reporting(Dataset["Rendering | KneeSegError"]):
    """Renders, and returns errors of ours instead of raising them: torch would put a traceback into the sentence."""

    def __init__(self, renderings: NumberedRenderings) -> None:
        self.renderings = renderings

    def __getitem__(self, task: Task) -> Rendering | KneeSegError:
        try:
            return self.renderings[task]
        except KneeSegError as error:
            return error


class RenderingStream:
    """Renderings in the order of their tasks, made ahead by ``workers`` processes; by this one where there are none.

    On Linux workers are forked and share the prepared subjects with this process; elsewhere they are given copies.
    """

    def __init__(self, renderings: NumberedRenderings, tasks: Iterable[Task], workers: int) -> None:
        context = ("fork" if sys.platform == "linux" else "spawn") if workers else None
        loader = DataLoader(
            _Reporting(renderings),
            batch_size=None,
            sampler=tasks,
            num_workers=workers,
            collate_fn=_keep,
            worker_init_fn=_leave_signals_to_parent,
            multiprocessing_context=context,
        )
        self._iterator: Iterator[Rendering | KneeSegError] | None = iter(loader)

    def take(self) -> Rendering:
        """Return the next rendering.

        Raises:
            KneeSegError: as the source of the samples raises it.
        """
        assert self._iterator is not None
        rendering = next(self._iterator)
        if isinstance(rendering, KneeSegError):
            raise rendering
        return rendering

    def close(self) -> None:
        """End the workers."""
        self._iterator = None


@contextmanager
def explain_dead_worker(workers: int) -> Iterator[None]:
    """Say in one sentence that a worker has died; torch interrupts whatever runs in the block then.

    Raises:
        ResourceError: one has.
    """
    try:
        yield
    except RuntimeError as error:
        if not str(error).startswith(_DEAD_WORKER):
            raise
        raise ResourceError(
            f"One of the {workers} processes that render images has ended unexpectedly, for lack of memory perhaps; "
            "the same command, with fewer --workers if need be, goes on from the last checkpoint."
        ) from error


def mix_seed(seed: int, number: int) -> int:
    """Return a seed of 64 bits for one rendering of a training."""
    entropy = (seed % 2**64, number)
    return int(np.random.SeedSequence(entropy).generate_state(1, np.uint64)[0])


def _keep(rendering: Any) -> Any:
    return rendering


def _leave_signals_to_parent(worker: int) -> None:
    """Ctrl-C reaches every process of a terminal: this one is ended by its parent, without a word of its own."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
