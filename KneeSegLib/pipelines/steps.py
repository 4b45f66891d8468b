"""The steps of a run: each is timed, fills its part of the progress, and can be cancelled by it."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from KneeSegLib.progress import Progress, no_progress, split_progress


class Steps:
    """Stopwatch and progress of a run.

        steps.plan(localise=8, legs=92)
        with steps("localise", "Finding the joints") as progress:
            ...
        for leg, leg_steps in zip(legs, steps.split("legs", [leg.length_mm for leg in legs])):
            ...

    Args:
        progress: told how far the run is; may raise ``Cancelled``.

    Attributes:
        seconds: one entry per step, in the order of their first start; a step that comes again adds up.
    """

    def __init__(self, progress: Progress = no_progress) -> None:
        self.seconds: dict[str, float] = {}
        self._progress = progress
        self._planned: dict[str, Progress] = {}

    def plan(self, **weights: float) -> None:
        """Say which steps follow, in order, and how long each takes beside the others; 0 for one that is left out."""
        self._planned = dict(zip(weights, split_progress(self._progress, weights.values())))

    @contextmanager
    def __call__(self, name: str, message: str = "") -> Iterator[Progress]:
        """Time a planned step; yields what its progress is reported to."""
        progress = self._planned[name]
        if message:
            progress(0.0, message)
        started = time.perf_counter()
        try:
            yield progress
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - started

    def split(self, name: str, weights: Iterable[float]) -> list[Steps]:
        """Return the steps of each of several items that a planned step goes through, one after the other."""
        shared = []
        for progress in split_progress(self._planned[name], weights):
            steps = Steps(progress)
            steps.seconds = self.seconds
            shared.append(steps)
        return shared
