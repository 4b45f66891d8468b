"""What a training writes down as it goes: ``log.csv`` always, and TensorBoard's files where it is installed."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter


class TrainingLog:
    """Rows of numbers by step.

    Args:
        folder: gets ``log.csv`` (rows are appended) and, with the ``training`` extra, ``tensorboard/``.
        figures: names of what is measured now and then.
    """

    def __init__(self, folder: Path, figures: Sequence[str]) -> None:
        self._path = folder / "log.csv"
        self._columns = ["step", "loss", "seconds", *figures]
        self._board = _open_board(folder / "tensorboard")

    def write(self, step: int, **values: float) -> None:
        """Write one row."""
        fresh = not self._path.exists()
        with self._path.open("a", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, self._columns)
            if fresh:
                writer.writeheader()
            writer.writerow({"step": step, **values})
        if self._board is not None:
            for name, value in values.items():
                self._board.add_scalar(name.replace("dice_", "dice/"), value, step)
            self._board.flush()


def read_training_seconds(folder: Path) -> float | None:
    """Return the wall time of a training as its ``log.csv`` has it, of all its runs; None where it has none.

    The time is written beside the loss and begins anew where a training was resumed.
    """
    try:
        with (folder / "log.csv").open(newline="", encoding="utf-8") as file:
            seconds = [float(row["seconds"]) for row in csv.DictReader(file) if row.get("seconds")]
    except FileNotFoundError:
        return None
    ends = [now for now, after in zip(seconds, [*seconds[1:], 0.0]) if after < now]
    return sum(ends) if ends else None


def _open_board(folder: Path) -> SummaryWriter | None:
    """TensorBoard's writer, or None where it is not installed."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter(str(folder))
