"""The time of a training: how much of it there was and may be, how fast it went, and what was waited for."""

from __future__ import annotations

import time


class TrainingClock:
    """Seconds of a training, those of its earlier runs included.

    Args:
        limit_seconds: after which the training ends; None where its steps end it.
    """

    def __init__(self, limit_seconds: float | None) -> None:
        self.limit_seconds = limit_seconds
        self.first_step_seconds: float | None = None
        self._before = 0.0
        self._started: float | None = None
        self._reported = (0.0, 0, 0, 0.0)

    def start(self) -> None:
        """Begin to count; until then earlier runs alone count."""
        self._started = time.monotonic()

    @property
    def run_seconds(self) -> float:
        """Of this run alone."""
        return 0.0 if self._started is None else time.monotonic() - self._started

    @property
    def seconds(self) -> float:
        """Of all runs."""
        return self._before + self.run_seconds

    def place_in_schedule(self, seconds: float) -> tuple[int, int]:
        """Return how many milliseconds of a schedule by time have passed, and how many it has.

        It runs from the first step, which waits for images, to the limit.
        """
        assert self.limit_seconds is not None
        if self.first_step_seconds is None:
            self.first_step_seconds = seconds
        first = self.first_step_seconds
        passed, whole = (round(1000.0 * (until - first)) for until in (seconds, self.limit_seconds))
        return passed, max(whole, 1)

    def describe_speed(self, step: int, rendered: int, waited_seconds: float) -> str:
        """Return speeds since the last call, and what was waited for.

        Args:
            step, rendered, waited_seconds: steps, rendered samples and waiting for them, all of this run.
        """
        now = (self.run_seconds, step, rendered, waited_seconds)
        seconds, steps, images, waited = (a - b for a, b in zip(now, self._reported))
        self._reported = now
        seconds = max(seconds, 1e-6)
        percent = round(100.0 * min(waited / seconds, 1.0))
        return (
            f"{steps / seconds:.2f} steps and {images / seconds:.1f} new images a second, "
            f"waiting for images {percent} % and for the network {100 - percent} % of the time"
        )

    def get_state(self) -> dict[str, float | None]:
        """Return what a checkpoint has to hold."""
        return {"seconds": self.seconds, "first_step_seconds": self.first_step_seconds}

    def set_state(self, state: dict[str, float | None]) -> None:
        """Go on where another clock was."""
        self._before = state["seconds"] or 0.0
        self.first_step_seconds = state["first_step_seconds"]
