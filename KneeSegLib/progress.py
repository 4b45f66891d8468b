"""How long work reports to its caller how far it is, and how it is cancelled.

A progress callback takes ``(fraction, message)`` with ``0 <= fraction <= 1``. It may raise
:class:`~KneeSegLib.errors.Cancelled`, which no stage catches: work is cancelled between two slices or patches.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

Progress = Callable[[float, str], None]
Item = TypeVar("Item")


def no_progress(fraction: float, message: str) -> None:
    """Ignore a report: the default where no caller asks for progress."""


def narrow_progress(progress: Progress, start: float, stop: float) -> Progress:
    """Return a callback whose 0..1 fills ``start..stop`` of ``progress``."""

    def report(fraction: float, message: str) -> None:
        progress(start + (stop - start) * min(max(fraction, 0.0), 1.0), message)

    return report


def report_each(items: Sequence[Item], progress: Progress, message: str) -> Iterator[Item]:
    """Yield ``items`` and report after each one, so that a cancel takes effect between two of them."""
    for position, item in enumerate(items):
        progress(position / len(items), message)
        yield item
    progress(1.0, message)


def split_progress(progress: Progress, weights: Iterable[float]) -> list[Progress]:
    """Split ``progress`` into consecutive callbacks in proportion to ``weights``."""
    fractions = list(weights)
    total = sum(fractions)
    bounds = [0.0]
    for fraction in fractions:
        bounds.append(bounds[-1] + fraction / total)
    bounds[-1] = 1.0
    return [narrow_progress(progress, start, stop) for start, stop in zip(bounds, bounds[1:])]
